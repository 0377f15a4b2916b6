"""Steps a second of the environments without a policy: batched, by observation, by action codec, and single."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from fusion_rl.analysis.benchmarks.measure import BENCHMARKS, Measurement, Size, alternating, measured, workload
from fusion_rl.arrays import Ints64
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.envs.vector import OpticalVecEnv

BATCH_LANES = 256
LANES = (1, 16, 256)
CODECS = ("path", "path-block:3", "path-start", "path-modulation")

_POLICY = "random legal actions, drawn in a first pass over the same traffic"


def make_simulator(
    lanes: int, observation: str = "deeprmsa", action: str = "path", episode_requests: int | None = None
) -> OpticalSimulator:
    """The lanes that are timed."""
    found = workload()
    return OpticalSimulator(
        found.setting,
        num_lanes=lanes,
        observation=observation,
        action=action,
        reward=found.config.reward,
        seed=1,
        episode_requests=episode_requests,
    )


@dataclass(frozen=True)
class Case:
    """A batched environment to time, within one episode or, without a number of steps, over a whole one."""

    lanes: int = BATCH_LANES
    observation: str = "deeprmsa"
    action: str = "path"
    steps: int | None = None

    @property
    def conditions(self) -> dict[str, Any]:
        """What a figure must name."""
        said = {"lanes": self.lanes, "observation": self.observation, "action": self.action}
        return {**workload().conditions, **said, "steps": self.actions.size}

    @cached_property
    def env(self) -> OpticalVecEnv:
        """The environment, made once."""
        episode = None if self.steps is None else self.steps + 1
        return OpticalVecEnv(make_simulator(self.lanes, self.observation, self.action, episode))

    @cached_property
    def actions(self) -> Ints64:
        """What is done, [steps, lanes]."""
        return legal_actions(self.env, self.steps or workload().setting.scenarios[0].requests_per_episode)

    def speed(self) -> float:
        """Steps a second, once."""
        env = self.env
        env.seed(1)
        env.reset()
        started = time.perf_counter()
        for row in self.actions:
            env.step(row)
            env.action_masks()
        return self.actions.size / (time.perf_counter() - started)


def legal_actions(env: OpticalVecEnv, steps: int) -> Ints64:
    """Random actions that the masks allow, [steps, lanes]; legal again whenever the same traffic is met."""
    generator = np.random.default_rng(0)
    actions = np.zeros((steps, env.num_envs), np.int64)
    env.seed(1)
    env.reset()
    for row in actions:
        masks = env.action_masks()
        row[:] = (generator.random(masks.shape, np.float32) * masks).argmax(axis=1)
        env.step(row)
    return actions


def compare(cases: Mapping[str, Case], size: Size) -> Iterator[Measurement]:
    """Steps a second of each case, in turns."""
    for case in cases.values():
        assert case.actions.size, "the first pass, before any clock starts"
    speeds = alternating([case.speed for case in cases.values()], size.repetitions)
    timed = f"env.step and env.action_masks within one episode (its reset and warm-up left out); {_POLICY}"
    for (name, case), found in zip(cases.items(), speeds, strict=True):
        yield measured(name, found, "steps/s", timed, **case.conditions)


@BENCHMARKS.register("batched-env")
def batched_env(size: Size) -> Iterator[Measurement]:
    """The batched environment, without and with the reset that ends an episode."""
    yield from compare({"batched env": Case(steps=size.steps // BATCH_LANES)}, size)
    whole, scenario = Case(), workload().setting.scenarios[0]
    whole.speed()
    timed = (
        f"env.step and env.action_masks over one episode of {scenario.requests_per_episode} steps with the reset that "
        f"ends it, which serves {scenario.warmup_requests} requests a lane to warm up; {_POLICY}"
    )
    [speeds] = alternating([whole.speed], size.repetitions)
    yield measured("batched env with reset", speeds, "steps/s", timed, **whole.conditions)


@BENCHMARKS.register("env-lanes")
def env_lanes(size: Size) -> Iterator[Measurement]:
    """The batched environment by its number of lanes."""
    # one lane makes a step of Python for each request, so it does fewer
    cases = {f"env lanes B={lanes}": Case(lanes, steps=size.steps // max(lanes, 16)) for lanes in LANES}
    yield from compare(cases, size)


@BENCHMARKS.register("observations")
def observations(size: Size) -> Iterator[Measurement]:
    """The batched environment by what it shows."""
    steps = size.steps // BATCH_LANES
    yield from compare({f"observation {name}": Case(observation=name, steps=steps) for name in OBSERVATIONS}, size)


@BENCHMARKS.register("codecs")
def codecs(size: Size) -> Iterator[Measurement]:
    """The batched environment by what its action numbers mean."""
    steps = size.steps // BATCH_LANES
    yield from compare({f"codec {name}": Case(action=name, steps=steps) for name in CODECS}, size)


@BENCHMARKS.register("single-env")
def single_env(size: Size) -> Iterator[Measurement]:
    """The gymnasium environment of one lane."""
    steps = max(1, size.steps // 8)
    env = UnifiedSimEnv(make_simulator(1, episode_requests=steps + 1))
    actions = legal_actions(OpticalVecEnv(env.simulator), steps)[:, 0].tolist()
    [speeds] = alternating([partial(_single_speed, env, actions)], size.repetitions)
    timed = f"env.step and env.action_masks within one episode; {_POLICY}"
    same = {**workload().conditions, "lanes": 1, "observation": "deeprmsa", "action": "path", "steps": steps}
    yield measured("single env", speeds, "steps/s", timed, **same)


def _single_speed(env: UnifiedSimEnv, actions: list[int]) -> float:
    env.reset(seed=1)
    started = time.perf_counter()
    for action in actions:
        env.step(action)
        env.action_masks()
    return len(actions) / (time.perf_counter() - started)
