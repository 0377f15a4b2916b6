"""How fast the package is, measured: every figure with what was timed, and on what."""

from fusion_rl.analysis.benchmarks import environments, learning, logging, memory, rollouts, start_up
from fusion_rl.analysis.benchmarks.measure import (
    BENCHMARKS,
    FULL,
    QUICK,
    Benchmark,
    Measurement,
    Size,
    chosen,
    machine,
    results,
    run,
)

__all__ = [
    "BENCHMARKS",
    "FULL",
    "QUICK",
    "Benchmark",
    "Measurement",
    "Size",
    "chosen",
    "environments",
    "learning",
    "logging",
    "machine",
    "memory",
    "results",
    "rollouts",
    "run",
    "start_up",
]
