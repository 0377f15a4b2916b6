"""Memory: whether it grows while requests are served, and what a lane takes."""

import tracemalloc
from collections.abc import Iterator

import psutil

from fusion_rl.analysis.benchmarks.environments import LANES, make_simulator
from fusion_rl.analysis.benchmarks.measure import BENCHMARKS, Measurement, Size, measured, workload
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.rollout import run as serve_rollout
from fusion_rl.envs.vector import OpticalVecEnv


@BENCHMARKS.register("memory")
def memory(size: Size) -> Iterator[Measurement]:
    """Growth of the resident set while one lane serves many requests."""
    process = psutil.Process()
    resident: list[int] = []

    def watch(_count: int) -> None:
        resident.append(process.memory_info().rss)

    policy = HEURISTICS["ksp-ff"]
    serve_rollout(workload().setting, policy, requests=size.memory_requests, lanes=1, threads=1, on_chunk=watch)
    settled = resident[len(resident) // 10]
    growth_mb = (max(resident[len(resident) // 10 :]) - settled) / 1e6
    timed = "most resident memory while serving, less that after the first tenth of the requests; KSP-FF, one lane"
    same = {**workload().conditions, "requests": size.memory_requests, "resident_mb": settled / 1e6}
    yield measured("memory growth", [growth_mb], "MB", timed, **same)


@BENCHMARKS.register("memory-lanes")
def memory_lanes(size: Size) -> Iterator[Measurement]:
    """What an environment takes, by its number of lanes."""
    timed = (
        "memory that Python and NumPy allocate, and keep, for making, resetting and once stepping the batched "
        "environment (tracemalloc); what all environments share is there before"
    )
    _stepped_env(1)
    for lanes in LANES:
        same = {**workload().conditions, "lanes": lanes, "observation": "deeprmsa", "action": "path"}
        yield measured(f"memory of the batched env B={lanes}", [kept_mb(lanes)], "MB", timed, **same)


def kept_mb(lanes: int) -> float:
    """Memory that a batched environment of so many lanes keeps."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        env = _stepped_env(lanes)
        after, _ = tracemalloc.get_traced_memory()
        env.close()
    finally:
        tracemalloc.stop()
    return (after - before) / 1e6


def _stepped_env(lanes: int) -> OpticalVecEnv:
    env = OpticalVecEnv(make_simulator(lanes))
    env.reset()
    env.step(env.action_masks().argmax(axis=1))
    return env
