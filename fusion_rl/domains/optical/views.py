"""One lane as objects that a person can read. Made on demand from the arrays; nothing is kept here."""

import math
from dataclasses import dataclass

from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.pipelines import bitmap, spectrum
from fusion_rl.domains.optical.pipelines.batch import Outcome
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, VERDICT_NAMES, after_grooming
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.simulator import OpticalSimulator


@dataclass(frozen=True)
class Request:
    """A request at hand.

    Attributes:
        number: its place since the episode's warm-up began.
        arrival_time, holding_time: in the scenario's time units.
    """

    number: int
    source: str
    destination: str
    bandwidth_gbps: float
    arrival_time: float
    holding_time: float


@dataclass(frozen=True)
class PathOption:
    """A candidate path as it stands for the request at hand.

    Attributes:
        action: the path's rank among the candidates, from 0.
        nodes: from source to destination.
        slots_needed: guard slots included; 0 where no format reaches.
        available_slots: slots that are free on all its links.
        congestion: share of slots in use on its busiest link.
        first_start: first slot of the lowest block with room; None if there is none.
    """

    action: int
    nodes: tuple[str, ...]
    hops: int
    length_km: float
    bits_per_s_per_hz: float
    slots_needed: int
    available_slots: int
    congestion: float
    first_start: int | None

    @property
    def feasible(self) -> bool:
        """Whether the request can be carried on it."""
        return self.first_start is not None


@dataclass(frozen=True)
class AllocationResult:
    """What became of a request.

    Attributes:
        reason: why it was blocked ("spectrum", "reach", "qot", "protection"); None if it was served.
        nodes: the path that was lit for it (the working one of two); empty if it was blocked, sliced, or rides on
            running lightpaths whole.
        start_slot, slots: the block it takes, guard slots included; None and 0 if it was blocked.
        bandwidth_allocated_gbps: 0 if it was blocked.
        groomed_gbps: of it, what rides on lightpaths that ran before.
        lightpaths_created: lit for it, a backup included.
        sliced: whether it was split over several of them.
        snr_db: worst of those; None where none was lit, or the network does not model transmission.
    """

    success: bool
    reason: str | None
    nodes: tuple[str, ...]
    start_slot: int | None
    slots: int
    bandwidth_allocated_gbps: float
    groomed_gbps: float = 0.0
    lightpaths_created: int = 0
    sliced: bool = False
    snr_db: float | None = None

    @property
    def groomed(self) -> bool:
        """Whether it rides on lightpaths that ran before, whole or in part."""
        return self.groomed_gbps > 0


def request_at_hand(simulator: OpticalSimulator, lane: int = 0) -> Request:
    """The request that a lane is to decide next."""
    asked = simulator.request(lane)
    world, nodes = simulator.setting.world, simulator.setting.topology.nodes
    pair = int(asked.pair[0])
    return Request(
        number=asked.number,
        source=nodes[world.pair_source[pair]],
        destination=nodes[world.pair_target[pair]],
        bandwidth_gbps=float(world.class_gbps[asked.bandwidth_class[0]]),
        arrival_time=float(asked.arrival[0]),
        holding_time=float(asked.holding[0]),
    )


def path_options(simulator: OpticalSimulator, lane: int = 0) -> list[PathOption]:
    """The candidate paths of the request at hand, best-ranked first."""
    setting, asked = simulator.setting, simulator.request(lane)
    world, view = setting.world, lane_state.view(simulator.state, lane)
    request = after_grooming(world, view, request_at(asked, 0))
    first, last = (int(world.path_first[asked.pair[0] + i]) for i in (0, 1))
    options = []
    for action, path in enumerate(range(first, last)):
        width = int(slots_needed(world, view, request, path))
        start = int(spectrum.first_fit(world, view, path, width)) if width else spectrum.NOWHERE
        spectrum.find_free(world, view, path)
        options.append(
            PathOption(
                action=action,
                nodes=tuple(setting.topology.nodes[node] for node in setting.candidates.nodes[path]),
                hops=int(world.path_hops[path]),
                length_km=float(world.path_length_km[path]),
                bits_per_s_per_hz=float(world.path_efficiency[path]),
                slots_needed=width,
                available_slots=int(bitmap.count(view.free)),
                congestion=float(spectrum.busiest_link_slots(world, view, path)) / world.slots,
                first_start=None if start == spectrum.NOWHERE else start,
            )
        )
    return options


def allocation(simulator: OpticalSimulator, outcome: Outcome, lane: int = 0) -> AllocationResult:
    """What a step did on one lane."""
    verdict = int(outcome.verdict[lane])
    if verdict != ACCEPTED:
        return AllocationResult(False, VERDICT_NAMES[verdict], (), None, 0, 0.0)
    setting, path, start = simulator.setting, int(outcome.path[lane]), int(outcome.start[lane])
    on_one_path = start != spectrum.NOWHERE  # neither split nor riding on other lightpaths whole
    inverse_snr = float(outcome.inverse_snr[lane])
    return AllocationResult(
        success=True,
        reason=None,
        nodes=tuple(setting.topology.nodes[node] for node in setting.candidates.nodes[path]) if on_one_path else (),
        start_slot=start if on_one_path else None,
        slots=int(outcome.width[lane]),
        bandwidth_allocated_gbps=float(outcome.gbps[lane]),
        groomed_gbps=float(outcome.groomed_gbps[lane]),
        lightpaths_created=int(outcome.lightpaths[lane]),
        sliced=not on_one_path and int(outcome.lightpaths[lane]) > 0,
        snr_db=-10 * math.log10(inverse_snr) if inverse_snr > 0 else None,
    )
