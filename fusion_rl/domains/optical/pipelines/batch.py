"""Many lanes at once, one request each: what the environments step."""

from typing import Any, NamedTuple

from fusion_rl.arrays import Bools, Bytes, Floats, Floats32, Ints, Ints64
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import demand, orchestrator
from fusion_rl.domains.optical.pipelines.lightpaths import (
    REPORT_GROOMED,
    REPORT_INVERSE_SNR,
    REPORT_LIT,
    REPORT_SLOT_HOPS,
)
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Request, Requests, request_at, rides_whole
from fusion_rl.domains.optical.rules import MBPS
from fusion_rl.domains.optical.state import Lane, Lightpaths, State, lane_of
from fusion_rl.domains.optical.world import World


class Window(NamedTuple):
    """The requests at hand of every lane, and which of them is to be served next."""

    arrival: Floats  # [B, T]
    holding: Floats  # [B, T]
    pair: Ints  # [B, T]
    bandwidth_class: Ints  # [B, T]
    key: Ints64  # [B]
    number: Ints64  # [B] number of the window's first request since the lane was reset
    cursor: Ints64  # [B]


class Outcome(NamedTuple):
    """What was done with the request of each lane."""

    verdict: Bytes  # [B]
    path: Ints  # [B] candidate path that carries it; -1 if blocked
    start: Ints  # [B] first slot; -1 if blocked
    width: Ints  # [B] slots taken, guard included; 0 if blocked
    hops: Ints  # [B] 0 if blocked
    gbps: Floats  # [B] bandwidth asked for
    groomed_gbps: Floats  # [B] of it, what rides on lightpaths that ran before
    lightpaths: Ints  # [B] lightpaths lit for it; more than one: sliced, or protected
    slot_hops: Ints  # [B] slots x hops lit for it, guard slots included
    inverse_snr: Floats  # [B] worst of the lightpaths lit for it, linear; 0 where transmission is not modelled


class View(NamedTuple):
    """What agents are shown of the request to come."""

    observation: Floats32  # [B, D]
    mask: Bools  # [B, A] actions that can be served
    servable: Bools  # [B] whether there is such an action


@kernel(inner=True)
def requests_of(window: Window, b: int) -> Requests:
    """The requests at hand of lane b."""
    return Requests(
        window.arrival[b],
        window.holding[b],
        window.pair[b],
        window.bandwidth_class[b],
        window.key[b],
        window.number[b],
        None,
    )


@kernel(inner=True)
def show(world: World, lane: Lane, request: Request, write: Any, memory: Any, row: Floats32) -> None:
    """Fill a row of an observation that looks at the network alone."""
    write(world, lane, request, row)


@kernel(inner=True)
def show_with_memory(world: World, lane: Lane, request: Request, write: Any, memory: Any, row: Floats32) -> None:
    """Fill a row of an observation that has tables of its own, or room to work in."""
    write(world, lane, request, memory, row)


@kernel(inner=True)
def look_at_lane(
    world: World,
    lane: Lane,
    window: Window,
    mask: Any,
    parameter: int,
    show: Any,
    write: Any,
    memory: Any,
    view: View,
    b: int,
) -> None:
    """Move lane b on to the arrival of its next request; fill its rows of the view.

    Where no action can be served the mask leaves action 0, since an agent must choose something: the request
    is then counted blocked, with its reason.
    """
    request = request_at(requests_of(window, b), window.cursor[b])
    orchestrator.handle_release(world, lane, request.arrival)
    request = orchestrator.after_grooming(world, lane, request)
    row = view.mask[b]
    if rides_whole(request):  # whatever the action, it is served
        row[:] = True
    else:
        mask(world, lane, request, parameter, row)
    view.servable[b] = row.any()
    if not view.servable[b]:
        row[0] = True
    show(world, lane, request, write, memory, view.observation[b])


@kernel
def look(
    world: World,
    state: State,
    window: Window,
    mask: Any,
    parameter: int,
    show: Any,
    write: Any,
    memory: Any,
    view: View,
    lanes: Ints64,
) -> None:
    """Fill the rows of some lanes."""
    for i in range(lanes.size):
        look_at_lane(world, lane_of(state, lanes[i]), window, mask, parameter, show, write, memory, view, lanes[i])


@kernel(inner=True)
def tell_lightpaths(lightpaths: Lightpaths | None, outcome: Outcome, b: int) -> None:
    """What was lit and ridden on for the request of lane b."""
    if lightpaths is None:
        outcome.lightpaths[b] = outcome.width[b] > 0
        outcome.slot_hops[b] = outcome.width[b] * outcome.hops[b]
        return
    served = outcome.verdict[b] == orchestrator.ACCEPTED
    report = lightpaths.report
    outcome.groomed_gbps[b] = report[REPORT_GROOMED] / MBPS if served else 0.0
    outcome.lightpaths[b] = int(report[REPORT_LIT]) if served else 0
    outcome.slot_hops[b] = int(report[REPORT_SLOT_HOPS]) if served else 0
    outcome.inverse_snr[b] = report[REPORT_INVERSE_SNR] if served else 0.0


@kernel
def step(
    world: World,
    state: State,
    window: Window,
    actions: Ints64,
    decode: Any,
    mask: Any,
    parameter: int,
    show: Any,
    write: Any,
    memory: Any,
    outcome: Outcome,
    view: View,
    first: int,
    last: int,
) -> int:
    """Serve the request of each lane first..last-1 as its action says, and look at the next one.

    Returns:
        The most services that run in one lane.
    """
    most = 0
    for b in range(first, last):
        lane = lane_of(state, b)
        request = orchestrator.after_grooming(world, lane, request_at(requests_of(window, b), window.cursor[b]))
        if orchestrator.needs_no_decision(world, request):
            path, start = NOWHERE, NOWHERE
        else:
            path, start = decode(world, lane, request, actions[b], parameter)
        width = 0
        if start != NOWHERE:
            width = demand.slots_needed(world, lane, demand.as_decided(world, request, path), path)
        verdict = orchestrator.handle_arrival(world, lane, request, path, start)
        taken = verdict == orchestrator.ACCEPTED and width > 0
        outcome.verdict[b] = verdict
        outcome.gbps[b] = world.class_gbps[request.bandwidth_class]
        outcome.path[b] = path if taken else NOWHERE
        outcome.start[b] = start if taken else NOWHERE
        outcome.width[b] = width if taken else 0
        outcome.hops[b] = world.path_hops[path] if taken else 0
        tell_lightpaths(lane.lightpaths, outcome, b)
        most = max(most, lane.live[0])
        window.cursor[b] += 1
        look_at_lane(world, lane, window, mask, parameter, show, write, memory, view, b)
    return most
