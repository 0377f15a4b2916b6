"""Requests a second: by heuristic, and along each thing that can grow (paths, slots, network, lanes, threads)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from fusion_rl.analysis.benchmarks.measure import (
    BENCHMARKS,
    LOAD_ERLANG,
    Measurement,
    Size,
    Workload,
    alternating,
    measured,
    usable_cores,
    workload,
)
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.rollout import Rollout
from fusion_rl.domains.optical.rollout import run as serve_rollout

K_PATHS = (5, 10, 50)
SLOTS = (100, 320)
LANES = (1, 16, 256)
THREADS = (1, 2)
CHEAP_AND_DEAR = ("ksp-ff", "mscl")  # heuristics that cost grows for in different ways

_TIMED = "wall clock: drawing traffic, deciding, releasing, counting; warm-up included, compilation not"
_PROBE = 20  # a rollout of one part in so many says how many requests fit into the time


@dataclass(frozen=True)
class Case:
    """A rollout to time."""

    heuristic: str
    workload: Workload
    lanes: int = 8
    threads: int = 1

    def serve(self, requests: int) -> Rollout:
        """Roll out once."""
        policy = HEURISTICS[self.heuristic]
        return serve_rollout(self.workload.setting, policy, requests=requests, lanes=self.lanes, threads=self.threads)

    def affordable(self, size: Size) -> int:
        """Requests that take no longer than they may."""
        probe = size.requests // _PROBE
        return min(size.requests, max(probe, int(self.serve(probe).requests_per_second * size.seconds)))


def compare(cases: Mapping[str, Case], size: Size) -> Iterator[Measurement]:
    """Requests a second of each case, in turns."""
    rollouts = alternating([partial(case.serve, case.affordable(size)) for case in cases.values()], size.repetitions)
    for (name, case), served in zip(cases.items(), rollouts, strict=True):
        same = {"heuristic": case.heuristic, "lanes": case.lanes, "threads": case.threads, "requests": served[0].served}
        speeds = [one.requests_per_second for one in served]
        yield measured(name, speeds, "requests/s", _TIMED, **case.workload.conditions, **same)


@BENCHMARKS.register("rollout")
def rollout(size: Size) -> Iterator[Measurement]:
    """Every heuristic on one thread."""
    yield from compare({f"rollout {name} K=5": Case(name, workload()) for name in HEURISTICS}, size)


@BENCHMARKS.register("paths")
def paths(size: Size) -> Iterator[Measurement]:
    """By the number of candidate paths."""
    cases = {
        f"paths {name} K={k_paths}": Case(name, workload(k_paths=k_paths))
        for name in CHEAP_AND_DEAR
        for k_paths in K_PATHS
    }
    yield from compare(cases, size)


@BENCHMARKS.register("slots")
def slots(size: Size) -> Iterator[Measurement]:
    """By the slots of a link; the load grows with them."""
    cases = {
        f"slots {name} S={count}": Case(name, workload(slots=count, load_erlang=LOAD_ERLANG * count / SLOTS[0]))
        for name in CHEAP_AND_DEAR
        for count in SLOTS
    }
    yield from compare(cases, size)


@BENCHMARKS.register("topologies")
def topologies(size: Size) -> Iterator[Measurement]:
    """By the size of the network, each loaded so that a link is asked for as often as one of the first."""
    first = _erlang_hops_a_link(workload(topology=size.topologies[0]))
    cases = {}
    for name in size.topologies:
        fair_erlang = round(LOAD_ERLANG * first / _erlang_hops_a_link(workload(topology=name)))
        found = workload(topology=name, load_erlang=float(fair_erlang))
        cases[f"topology {name}, {len(found.setting.topology.nodes)} nodes"] = Case("ksp-ff", found)
    yield from compare(cases, size)


@BENCHMARKS.register("lanes")
def lanes(size: Size) -> Iterator[Measurement]:
    """By the number of networks side by side, on one thread."""
    yield from compare({f"lanes ksp-ff B={count}": Case("ksp-ff", workload(), lanes=count) for count in LANES}, size)


@BENCHMARKS.register("threads")
def threads(size: Size) -> Iterator[Measurement]:
    """What a second thread adds; left out where there is one core."""
    counts = [count for count in THREADS if count <= usable_cores()]
    cases = [Case("ksp-ff", workload(), threads=count) for count in counts]
    tasks = [partial(case.serve, size.thread_requests * case.threads) for case in cases]
    rollouts = dict(zip(counts, alternating(tasks, size.repetitions), strict=True))
    speeds = {count: [one.requests_per_second for one in rollouts[count]] for count in counts}
    same = {**workload().conditions, "heuristic": "ksp-ff", "lanes": cases[0].lanes}
    for count in counts:
        told = {**same, "threads": count, "requests": rollouts[count][0].served}
        yield measured(f"threads ksp-ff {count}", speeds[count], "requests/s", _TIMED, **told)
    if len(counts) > 1:
        ratios = [two / one for one, two in zip(speeds[1], speeds[2], strict=True)]
        timed = (
            "the second of these divided by the first, in turns; `requests` are those of each thread, warm-up left out"
        )
        yield measured("two threads / one thread", ratios, "ratio", timed, **same, requests=size.thread_requests)


def _erlang_hops_a_link(found: Workload) -> float:
    """How often a link is asked for at the usual load, if all take their best path."""
    world = found.setting.world
    return float(LOAD_ERLANG * world.path_hops[world.path_first[:-1]].mean() / world.link_length_km.size)
