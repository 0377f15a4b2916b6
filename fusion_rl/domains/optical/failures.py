"""Link failures as events of a lane: scheduled, or drawn edge by edge.

Like requests, events depend on the scenario and its seeds alone, not on how far ahead they are asked for.
"""

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Bools, Floats, Ints, frozen
from fusion_rl.config.failures import Failures, RandomFailures, ScheduledFailures
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.errors import TrafficError, nearest_hint

_STREAM = 0xFA11  # keeps these draws apart from those of the requests


class Events(NamedTuple):
    """Failures and repairs of edges in order of time."""

    time: Floats  # [E]
    edge: Ints  # [E] place in the topology's edges; its links in both directions fail together
    up: Bools  # [E] True: repaired


class FailureStream:
    """The failures of one lane, without end.

    Args:
        failures: the law.
        topology: whose edges fail.
        entropy: the seeds of the lane's traffic.

    Raises:
        TrafficError: a scheduled failure names an edge that there is not, or overlaps another of its edge.
    """

    def __init__(self, failures: Failures, topology: Topology, entropy: Sequence[int]) -> None:
        self._law = failures
        self._draws: list[np.random.Generator] = []  # of each edge, where failures are drawn
        if isinstance(failures, ScheduledFailures):
            self._queue = schedule(failures, topology)
        else:
            children = np.random.SeedSequence([*entropy, _STREAM]).spawn(len(topology.edges))
            self._draws = [np.random.default_rng(child) for child in children]
            first = [draw.exponential(failures.mean_time_between) for draw in self._draws]
            self._queue = [(time, True, edge) for edge, time in enumerate(first)]
        heapq.heapify(self._queue)

    def until(self, time: float) -> Events:
        """The events up to a time that were not asked for before."""
        rows = []
        while self._queue and self._queue[0][0] <= time:
            at, down, edge = heapq.heappop(self._queue)
            rows.append((at, edge, not down))
            if isinstance(self._law, RandomFailures):
                stays = self._law.mean_time_to_repair if down else self._law.mean_time_between
                heapq.heappush(self._queue, (at + self._draws[edge].exponential(stays), not down, edge))
        return Events(
            frozen(np.array([row[0] for row in rows], np.float64)),
            frozen(np.array([row[1] for row in rows], np.int32)),
            frozen(np.array([row[2] for row in rows], np.bool_)),
        )

    def state(self) -> dict[str, Any]:
        """What asking for events changes, as plain data."""
        return {"queue": np.array(self._queue), "draws": [draw.bit_generator.state for draw in self._draws]}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self._queue = [(float(time), bool(down), int(edge)) for time, down, edge in state["queue"]]
        for draw, kept in zip(self._draws, state["draws"], strict=True):
            draw.bit_generator.state = kept


def failures_of(scenario: ScenarioConfig, topology: Topology, entropy: Sequence[int]) -> FailureStream | None:
    """The failures of a lane that runs a scenario; None where links never fail."""
    return None if scenario.failures is None else FailureStream(scenario.failures, topology, entropy)


def schedule(failures: ScheduledFailures, topology: Topology) -> list[tuple[float, bool, int]]:
    """(time, whether it fails or is repaired, edge) of scheduled failures; at one instant repairs sort first.

    Raises:
        TrafficError: an edge is unknown, or fails again before it is repaired.
    """
    number = {frozenset((edge.source, edge.target)): e for e, edge in enumerate(topology.edges)}
    known = [f"{edge.source}-{edge.target}" for edge in topology.edges]
    down: dict[int, list[tuple[float, float]]] = {}
    for event in failures.events:
        name = f"{event.source}-{event.target}"
        edge = number.get(frozenset((event.source, event.target)))
        if edge is None:
            raise TrafficError(
                f"failures name the edge {name}, which topology '{topology.name}' does not have: "
                f"{nearest_hint(name, known)}"
            )
        down.setdefault(edge, []).append((event.at, event.at + event.repair_after))
    rows = []
    for edge, times in down.items():
        times.sort()
        for (_, repaired), (failed, _) in pairwise(times):
            if failed < repaired:
                raise TrafficError(
                    f"failures: edge {known[edge]} fails at {failed:g}, before its repair at {repaired:g}"
                )
        for failed, repaired in times:
            rows += [(failed, True, edge), (repaired, False, edge)]
    return rows
