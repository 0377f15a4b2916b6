"""How fast the package is, measured: every figure with what was timed, and on what.

Compilation comes before the clock starts. A figure is the median of several repetitions, with the least and the
most beside it; where two things are compared, their repetitions alternate, so that a machine that slows down
slows both. Other work on the machine spoils the figures: each tells the load average it was taken under.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from fusion_rl.agents.catalog import make_agent
from fusion_rl.arrays import Ints64
from fusion_rl.catalog import Catalog
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import make_simulator
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.rollout import Rollout
from fusion_rl.domains.optical.rollout import run as serve_rollout
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.envs.vector import OpticalVecEnv

EXPERIMENT = "deeprmsa-nsfnet"
LOAD_ERLANG = 250
LIBRARIES = ("fusion_rl", "numpy", "numba", "torch", "stable-baselines3", "sb3-contrib")

_BATCH_LANES = 256
_ROLLOUT_LANES = 8


@dataclass(frozen=True)
class Measurement:
    """One figure.

    Attributes:
        name: what was measured.
        value: the median, in `unit`.
        unit: such as "requests/s".
        conditions: what was timed, its size, the repetitions and their spread, the machine's load.
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
        requests: of one rollout, over all its lanes, warm-up left out.
        steps: of one repetition of an environment, over all its lanes.
        learning_steps: of one repetition of an agent's training, over all its lanes.
        memory_requests: served while the memory is watched.
    """

    repetitions: int = 5
    requests: int = 2_000_000
    steps: int = 256_000
    learning_steps: int = 65_536  # an episode and its reset
    memory_requests: int = 10_000_000


FULL = Size()
QUICK = Size(repetitions=3, requests=200_000, steps=51_200, learning_steps=8_192, memory_requests=1_000_000)

Benchmark = Callable[[Size], Iterator[Measurement]]
BENCHMARKS: Catalog[Benchmark] = Catalog("benchmark")


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
    chosen = {name: BENCHMARKS[name] for name in only or BENCHMARKS}
    measurements = []
    for name, benchmark in chosen.items():
        starting(name)
        measurements += list(benchmark(size))
    return measurements


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": _usable_cores(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


@BENCHMARKS.register("rollout")
def rollout(size: Size) -> Iterator[Measurement]:
    """Every heuristic on one thread; KSP-FF with fifty candidate paths too."""
    setting = _setting(k_paths=5)
    for name in HEURISTICS.names():
        yield _rollout_speed(name, setting, size)
    yield _rollout_speed("ksp-ff", _setting(k_paths=50), size)


@BENCHMARKS.register("threads")
def threads(size: Size) -> Iterator[Measurement]:
    """What a second thread adds; left out where there is one core."""
    setting = _setting(k_paths=5)
    if _usable_cores() < 2:
        return
    one, two = _alternating([partial(_serve, setting, size.requests, n) for n in (1, 2)], size.repetitions)
    ratios = [b.requests_per_second / a.requests_per_second for a, b in zip(one, two, strict=True)]
    timed = "KSP-FF rollout on two threads against one, in turns"
    yield _measured("two threads / one thread", ratios, "ratio", timed, k_paths=5, requests=size.requests)


@BENCHMARKS.register("batched-env")
def batched_env(size: Size) -> Iterator[Measurement]:
    """The batched environment without a policy."""
    config, setting = _config(k_paths=5), _setting(k_paths=5)
    steps = size.steps // _BATCH_LANES
    same: dict[str, Any] = {
        "lanes": _BATCH_LANES,
        "observation": "deeprmsa",
        "k_paths": 5,
        "steps": steps * _BATCH_LANES,
    }
    policy = "random legal actions, drawn in a first pass over the same traffic"
    within = OpticalVecEnv(_simulator(config, setting, _BATCH_LANES, episode_requests=steps + 1))
    actions = _legal_actions(within, steps)
    timed = f"env.step and env.action_masks within one episode (its reset and warm-up left out); {policy}"
    speeds = [_batched_speed(within, actions) for _ in range(size.repetitions)]
    yield _measured("batched env", speeds, "steps/s", timed, **same)

    scenario = setting.scenarios[0]
    whole = OpticalVecEnv(_simulator(config, setting, _BATCH_LANES))
    actions = _legal_actions(whole, scenario.requests_per_episode)
    same["steps"] = actions.size
    timed = (
        f"env.step and env.action_masks over one episode of {scenario.requests_per_episode} steps with the reset that "
        f"ends it, which serves {scenario.warmup_requests} requests a lane to warm up; {policy}"
    )
    speeds = [_batched_speed(whole, actions) for _ in range(size.repetitions)]
    yield _measured("batched env with reset", speeds, "steps/s", timed, **same)


@BENCHMARKS.register("single-env")
def single_env(size: Size) -> Iterator[Measurement]:
    """The gymnasium environment of one lane, without a policy."""
    config, setting = _config(k_paths=5), _setting(k_paths=5)
    steps = max(1, size.steps // 8)
    env = UnifiedSimEnv(_simulator(config, setting, 1, episode_requests=steps + 1))
    actions = _legal_actions(OpticalVecEnv(env.simulator), steps)[:, 0].tolist()

    def speed() -> float:
        env.reset(seed=1)
        started = time.perf_counter()
        for action in actions:
            env.step(action)
            env.action_masks()
        return steps / (time.perf_counter() - started)

    timed = "env.step and env.action_masks within one episode; random legal actions, drawn in a first pass"
    speeds = [speed() for _ in range(size.repetitions)]
    yield _measured("single env", speeds, "steps/s", timed, observation="deeprmsa", k_paths=5, steps=steps)


@BENCHMARKS.register("maskable-ppo")
def maskable_ppo(size: Size) -> Iterator[Measurement]:
    """Training end to end, and how near it comes to training on an environment that costs nothing."""
    config = _config(k_paths=5)
    lanes = config.execution.lanes
    torch.set_num_threads(1)
    env = OpticalVecEnv(_simulator(config, _setting(k_paths=5), lanes))
    learners = [_learner(config, env), _learner(config, _FreeVecEnv(env))]
    tasks = [partial(learn, size.learning_steps) for learn in learners]
    _alternating(tasks, 1)  # what is done once, is done now
    ours, ceiling = _alternating(tasks, size.repetitions)
    same = {
        "lanes": lanes,
        "steps": size.learning_steps,
        "torch_threads": 1,
        "algorithm": config.algorithm.model_dump(mode="json"),
    }
    timed = "agent.learn: rollouts with masks, the resets that fall due, updates; no evaluation, no run log"
    yield _measured("MaskablePPO", ours, "steps/s", timed, **same)
    timed = "the same on an environment that returns constant arrays of the same spaces"
    yield _measured("MaskablePPO, free environment", ceiling, "steps/s", timed, **same)
    timed = "the first divided by the second, repetition by repetition, in turns"
    ratios = [a / b for a, b in zip(ours, ceiling, strict=True)]
    yield _measured("MaskablePPO / free environment", ratios, "ratio", timed, **same)


@BENCHMARKS.register("memory")
def memory(size: Size) -> Iterator[Measurement]:
    """Growth of the resident set while one lane serves many requests."""
    setting, process = _setting(k_paths=5), psutil.Process()
    resident: list[int] = []

    def watch(_count: int) -> None:
        resident.append(process.memory_info().rss)

    policy = HEURISTICS["ksp-ff"]
    serve_rollout(setting, policy, requests=size.memory_requests, lanes=1, threads=1, on_chunk=watch)
    settled = resident[len(resident) // 10]
    growth_mb = (max(resident[len(resident) // 10 :]) - settled) / 1e6
    timed = "most resident memory while serving, less that after the first tenth of the requests; KSP-FF, one lane"
    yield _measured("memory growth", [growth_mb], "MB", timed, requests=size.memory_requests, resident_mb=settled / 1e6)


@BENCHMARKS.register("start-up")
def start_up(size: Size) -> Iterator[Measurement]:
    """What a user waits for before anything happens: new processes, with warm file caches."""
    module = ("-m", "fusion_rl.cli.main")
    commands: dict[str, tuple[str, ...]] = {
        "python": ("-c", "pass"),
        "import fusion_rl": ("-c", "import fusion_rl"),
        "fusion-rl --help": (*module, "--help"),
    }
    for name, command in commands.items():
        seconds = [_process_seconds(command) for _ in range(size.repetitions + 1)][1:]
        yield _measured(name, seconds, "s", f"a whole process: python {' '.join(command)}")
    evaluate = (*module, "evaluate", "--experiment", EXPERIMENT, "--requests", "1000", "--lanes", "1", "--json")
    with tempfile.TemporaryDirectory() as cache:
        cold = [_process_seconds(evaluate, cache)]
        warm = [_process_seconds(evaluate, cache) for _ in range(size.repetitions)]
    timed = "a whole process: fusion-rl evaluate with 1000 requests, all kernels compiled"
    yield _measured("first evaluate, empty kernel cache", cold, "s", timed)
    yield _measured("evaluate, warm kernel cache", warm, "s", timed.replace("compiled", "read from the cache"))


def _rollout_speed(name: str, setting: Setting, size: Size) -> Measurement:
    rollouts = [_serve(setting, size.requests, 1, name) for _ in range(size.repetitions)]
    k_paths = setting.network.k_paths
    timed = "one thread, by wall clock: drawing traffic, deciding, releasing, counting; warm-up included"
    same = {"k_paths": k_paths, "lanes": _ROLLOUT_LANES, "requests": rollouts[0].served}
    speeds = [found.requests_per_second for found in rollouts]
    return _measured(f"rollout {name} K={k_paths}", speeds, "requests/s", timed, **same)


def _serve(setting: Setting, requests: int, threads: int, name: str = "ksp-ff") -> Rollout:
    return serve_rollout(setting, HEURISTICS[name], requests=requests, lanes=_ROLLOUT_LANES, threads=threads)


def _batched_speed(env: Any, actions: Ints64) -> float:
    env.seed(1)
    env.reset()
    started = time.perf_counter()
    for row in actions:
        env.step(row)
        env.action_masks()
    return actions.size / (time.perf_counter() - started)


def _legal_actions(env: Any, steps: int) -> Ints64:
    """Random actions that the masks allow, [steps, lanes]; legal again whenever the same traffic is met."""
    generator = np.random.default_rng(0)
    actions = np.zeros((steps, env.num_envs), np.int64)
    env.seed(1)
    env.reset()
    for row in actions:
        masks = env.action_masks()
        row[:] = (generator.random(masks.shape) * masks).argmax(axis=1)
        env.step(row)
    return actions


class _FreeVecEnv(VecEnv):
    """An environment that costs nothing: it has another's spaces and always returns the same arrays."""

    def __init__(self, like: VecEnv) -> None:
        self.render_mode = None
        super().__init__(like.num_envs, like.observation_space, like.action_space)
        self._observations: Any = like.reset()
        self._masks = like.env_method("action_masks")
        self._rest: tuple[Any, ...] = (
            np.ones(self.num_envs, np.float32),
            np.zeros(self.num_envs, np.bool_),
            [{}] * self.num_envs,
        )

    def reset(self) -> Any:
        return self._observations

    def step_async(self, actions: Any) -> None:
        pass

    def step_wait(self) -> Any:
        return self._observations, *self._rest

    def close(self) -> None:
        pass

    def has_attr(self, attr_name: str) -> bool:
        return attr_name in ("action_masks", "render_mode")

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        setattr(self, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> list[Any]:
        return self._masks  # the only method that an agent asks for

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        return [False] * self.num_envs


def _learner(config: ExperimentConfig, env: Any) -> Callable[[int], float]:
    """An agent as a function: learn for about so many steps, and say how many a second that were."""
    agent = make_agent(config.algorithm, env, seed=1, device="cpu")
    agent.set_logger(Logger(folder=None, output_formats=[]))

    def learn(steps: int) -> float:
        before, started = agent.num_timesteps, time.perf_counter()
        agent.learn(steps, reset_num_timesteps=False)
        return (agent.num_timesteps - before) / (time.perf_counter() - started)

    return learn


def _config(k_paths: int) -> ExperimentConfig:
    overrides = {"network.k_paths": k_paths, "scenarios.*.load_erlang": LOAD_ERLANG}
    return load(EXPERIMENT, algorithm="maskable-ppo", overrides=overrides).config


def _setting(k_paths: int) -> Setting:
    config = _config(k_paths)
    return prepare(config.network, config.scenarios)


def _simulator(config: ExperimentConfig, setting: Setting, lanes: int, episode_requests: int | None = None) -> Any:
    return make_simulator(config, setting, lanes, 1, episode_requests=episode_requests)


def _alternating(tasks: Sequence[Callable[[], Any]], repetitions: int) -> list[list[Any]]:
    """The results of each task, run in turns."""
    rounds = [[task() for task in tasks] for _ in range(repetitions)]
    return [list(results) for results in zip(*rounds, strict=True)]


def _process_seconds(arguments: Sequence[str], kernel_cache: str | None = None) -> float:
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": kernel_cache} if kernel_cache else {})
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def _measured(name: str, values: Sequence[float], unit: str, timed: str, **conditions: Any) -> Measurement:
    spread = {"repetitions": len(values), "min": min(values), "max": max(values)}
    setting = {"experiment": EXPERIMENT, "load_erlang": LOAD_ERLANG} if conditions else {}
    now = {"load_average": os.getloadavg()[0], "cpu": _cpu_model()}
    return Measurement(name, median(values), unit, {"timed": timed, **setting, **conditions, **spread, **now})


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
