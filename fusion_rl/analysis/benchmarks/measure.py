"""What a benchmark is, what a figure tells, and how repetitions are taken.

Compilation comes before the clock starts. A figure is the median of several repetitions, with the least and the
most beside it; where things are compared, their repetitions alternate, so that a machine that slows down slows
all of them. Other work on the machine spoils the figures: each tells the load average it was taken under.
"""

import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from fusion_rl.catalog import Catalog
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.setting import Setting, prepare

EXPERIMENT = "deeprmsa-nsfnet"
LOAD_ERLANG = 250.0
LIBRARIES = ("fusion_rl", "numpy", "numba", "torch", "stable-baselines3", "sb3-contrib")

# what the package is held to on one idle core of a server of 2026 (the ratio: on two)
TARGETS = {
    "rollout ksp-ff K=5": 5_000_000.0,
    "paths ksp-ff K=50": 3_000_000.0,
    "rollout mscl K=5": 150_000.0,
    "two threads / one thread": 1.8,
    "batched env": 1_000_000.0,
    "single env": 40_000.0,
}


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Attributes:
        name: what was measured.
        value: the median, in `unit`.
        unit: such as "requests/s".
        conditions: the benchmark, the target where there is one, what was timed, its size, the repetitions and
            their spread, the machine's load.
    """

    name: str
    value: float
    unit: str
    conditions: dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How much of everything a benchmark does.

    Attributes:
        repetitions: of each figure.
        requests: of one rollout, over all its lanes, warm-up left out; fewer where they would take too long.
        thread_requests: of one rollout on several threads, for each of them: samples of under a second differ by more
            than the threads do.
        seconds: of one rollout, about, at most; its warm-up comes on top.
        steps: of one repetition of an environment, over all its lanes.
        learning_steps: of one repetition of an agent's training, over all its lanes.
        memory_requests: served while the memory is watched.
        topologies: networks that rollouts are compared on.
    """

    repetitions: int = 5
    requests: int = 2_000_000
    thread_requests: int = 6_000_000
    seconds: float = 1.0
    steps: int = 256_000
    learning_steps: int = 65_536  # an episode and its reset
    memory_requests: int = 10_000_000
    topologies: tuple[str, ...] = ("nsfnet", "usnet", "jpn48", "conus", "usa100", "tataind")


FULL = Size()
QUICK = Size(
    repetitions=3,
    requests=200_000,
    thread_requests=600_000,
    seconds=0.2,
    steps=51_200,
    learning_steps=8_192,
    memory_requests=1_000_000,
    topologies=("nsfnet", "usnet", "jpn48"),
)

Benchmark = Callable[[Size], Iterator[Measurement]]
BENCHMARKS: Catalog[Benchmark] = Catalog("benchmark")


def chosen(only: Sequence[str] = ()) -> list[str]:
    """The names that are given, each once; all benchmarks where none is.

    Raises:
        UnknownNameError: there is no benchmark of that name.
    """
    for name in only:
        BENCHMARKS[name]
    return list(dict.fromkeys(only or BENCHMARKS))


def run(
    only: Sequence[str] = (), size: Size = FULL, starting: Callable[[str], None] = lambda _name: None
) -> list[Measurement]:
    """Measure.

    Args:
        only: names in BENCHMARKS; none: all of them.
        size: how much.
        starting: told the name of each benchmark before it starts.

    Raises:
        UnknownNameError: there is no benchmark of that name.
    """
    measurements = []
    for name in chosen(only):
        starting(name)
        for found in BENCHMARKS[name](size):
            known = {"benchmark": name, "target": TARGETS.get(found.name)}
            measurements.append(replace(found, conditions={**known, **found.conditions}))
    return measurements


def results(measurements: Sequence[Measurement], size: Size) -> dict[str, Any]:
    """All that there is to tell of a run, for a file."""
    return {"machine": machine(), "quick": size == QUICK, "results": list(measurements)}


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


@dataclass(frozen=True)
class Workload:
    """The experiment that is timed, with some of its settings replaced.

    Attributes:
        config, setting: the experiment, ready to simulate.
    """

    config: ExperimentConfig
    setting: Setting

    @property
    def conditions(self) -> dict[str, Any]:
        """What a figure must name."""
        network = self.config.network
        return {
            "experiment": EXPERIMENT,
            "topology": network.topology,
            "nodes": len(self.setting.topology.nodes),
            "slots": network.slots,
            "k_paths": network.k_paths,
            "load_erlang": self.setting.scenarios[0].load_erlang,
        }


@cache
def workload(
    *, k_paths: int = 5, slots: int = 100, topology: str = "nsfnet", load_erlang: float = LOAD_ERLANG
) -> Workload:
    """The experiment on this network at this load; made once."""
    overrides = {
        "network.k_paths": k_paths,
        "network.slots": slots,
        "network.topology": topology,
        "scenarios.*.load_erlang": load_erlang,
    }
    config = load(EXPERIMENT, algorithm="maskable-ppo", overrides=overrides).config
    return Workload(config, prepare(config.network, config.scenarios))


def alternating(tasks: Sequence[Callable[[], Any]], repetitions: int) -> list[list[Any]]:
    """The results of each task, run in turns."""
    rounds = [[task() for task in tasks] for _ in range(repetitions)]
    return [list(results) for results in zip(*rounds, strict=True)]


def measured(name: str, values: Sequence[float], unit: str, timed: str, **conditions: Any) -> Measurement:
    """A figure from its repetitions; `timed` says in words what was."""
    spread = {"repetitions": len(values), "min": min(values), "max": max(values)}
    now = {"load_average": os.getloadavg()[0], "cpu": cpu_model()}
    return Measurement(name, median(values), unit, {"timed": timed, **conditions, **spread, **now})


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@cache
def cpu_model() -> str:
    """The processor by name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
