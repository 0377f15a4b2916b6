"""Link failures as events of a lane: scheduled, or drawn edge by edge.

Like requests, events depend on the scenario and its seeds alone, not on how far ahead they are asked for.
"""

import heapq
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

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
        if isinstance(failures, ScheduledFailures):
            self._timeline: Iterator[tuple[float, bool, int]] = iter(schedule(failures, topology))
        else:
            self._timeline = _draw(failures, len(topology.edges), entropy)
        self._next = next(self._timeline, None)

    def until(self, time: float) -> Events:
        """The events up to a time that were not asked for before."""
        rows = []
        while self._next is not None and self._next[0] <= time:
            rows.append(self._next)
            self._next = next(self._timeline, None)
        return Events(
            frozen(np.array([row[0] for row in rows], np.float64)),
            frozen(np.array([row[2] for row in rows], np.int32)),
            frozen(np.array([row[1] for row in rows], np.bool_)),
        )


def failures_of(scenario: ScenarioConfig, topology: Topology, entropy: Sequence[int]) -> FailureStream | None:
    """The failures of a lane that runs a scenario; None where links never fail."""
    return None if scenario.failures is None else FailureStream(scenario.failures, topology, entropy)


def schedule(failures: ScheduledFailures, topology: Topology) -> list[tuple[float, bool, int]]:
    """(time, whether it is a repair, edge) of scheduled failures, in order.

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
            rows += [(failed, False, edge), (repaired, True, edge)]
    return sorted(rows, key=lambda row: (row[0], not row[1], row[2]))  # repairs first


def _draw(law: RandomFailures, edges: int, entropy: Sequence[int]) -> Iterator[tuple[float, bool, int]]:
    """Every edge alternates between up and down, with a generator of its own."""
    draws = [np.random.default_rng(child) for child in np.random.SeedSequence([*entropy, _STREAM]).spawn(edges)]
    queue = [(draws[edge].exponential(law.mean_time_between), False, edge) for edge in range(edges)]
    heapq.heapify(queue)
    while True:
        time, up, edge = queue[0]
        yield time, up, edge
        stays = law.mean_time_between if up else law.mean_time_to_repair
        heapq.heapreplace(queue, (time + draws[edge].exponential(stays), not up, edge))
