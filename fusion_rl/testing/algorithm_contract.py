"""What every algorithm must keep to, on a world small enough to learn in seconds.

A contract is a class of tests. Derive from it in a test module, say for which names, and with which settings::

    @pytest.mark.parametrize("name", ["my-algorithm"])
    class TestMyAlgorithm(AlgorithmContract):
        def settings(self, name: str) -> AlgorithmConfig: ...
"""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.agents.catalog import callbacks_of, make_agent
from fusion_rl.agents.masking import random_allowed
from fusion_rl.arrays import AnyArray, Bools, Ints64
from fusion_rl.config.algorithm import AlgorithmConfig
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.domains.base import Domain
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.envs.make import domain_of
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.testing import tiny
from fusion_rl.tracking.sb3_classes import MASKED, load_zip
from fusion_rl.training import bundle, resume
from fusion_rl.training.checkpoints import weights_sha256
from fusion_rl.training.evaluate import Evaluation, evaluate
from fusion_rl.training.policies import Agent, as_policy

LANES = 8
LOAD_ERLANG = 6.0  # where the better of the tiny world's heuristics block half of what a random choice does
STEPS = 6_000
REQUESTS = 10_000


def experiment(settings: AlgorithmConfig) -> ExperimentConfig:
    """The tiny world under a load at which choices matter."""
    return ExperimentConfig(
        name="tiny",
        network=tiny.NETWORK,
        scenarios=ScenariosConfig((tiny.SCENARIO.model_copy(update={"load_erlang": LOAD_ERLANG}),)),
        algorithm=settings,
        execution=ExecutionConfig(lanes=LANES),
    )


def lanes_for(settings: AlgorithmConfig, seed: int = 1) -> OpticalVecEnv:
    """Lanes of that world."""
    config = experiment(settings)
    return OpticalVecEnv(make_simulator(config, prepare(config), LANES, seed))


@cache
def trained(settings: AlgorithmConfig, steps: int, seed: int = 1) -> Any:
    """An agent that has learned for some steps on lanes of its own."""
    agent = make_agent(settings, lanes_for(settings, seed), seed=seed, device="cpu")
    return agent.learn(steps, callback=callbacks_of(settings))


def judged(policy: Agent) -> Evaluation:
    """A policy on held-out traffic."""
    return evaluate(policy.config, policy, requests=REQUESTS, lanes=LANES)


def by_chance(settings: AlgorithmConfig) -> Agent:
    """A random choice among the actions that this algorithm may take."""
    env = lanes_for(settings)

    def act(observations: AnyArray | dict[str, AnyArray], masks: Bools) -> Ints64:
        return random_allowed(masks if settings.name in MASKED else np.ones_like(masks))

    return Agent("chance", lambda: act, experiment(settings), env.observation_space, env.action_space)


class _Keeping(BaseCallback):
    """Writes the state of a training when an update first finds it at a step.

    Args:
        step: which.
        path: of the bundle.
        domain: whose lanes it is trained on.
    """

    def __init__(self, step: int, path: Path, domain: Domain) -> None:
        super().__init__()
        self.step, self.path, self.domain = step, path, domain

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        env: Any = self.model.env
        if self.num_timesteps >= self.step and not self.path.exists():
            bundle.write(self.path, resume.capture(self.model, env, self.domain), {})


class AlgorithmContract:
    """An algorithm learns, repeats itself, is the same after it was saved, and goes on where it was interrupted."""

    steps = STEPS

    def settings(self, name: str) -> AlgorithmConfig:
        """Settings that learn this world in `steps`."""
        raise NotImplementedError

    def learned(self, name: str) -> Any:
        return trained(self.settings(name), self.steps)

    def test_it_learns_to_block_clearly_less_than_chance(self, name: str) -> None:
        settings = self.settings(name)
        np.random.seed(1)  # noqa: NPY002  # the generator that chance draws from
        chance = judged(by_chance(settings))
        agent = judged(as_policy(name, self.learned(name), experiment(settings)))
        assert agent.service_blocking.mean < 0.85 * chance.service_blocking.mean
        difference = chance.tally.blocking_by_lane() - agent.tally.blocking_by_lane()
        assert difference.mean() > 3 * difference.std(ddof=1) / np.sqrt(LANES), "on the same traffic, lane by lane"

    def test_what_was_saved_is_what_is_loaded(self, name: str, tmp_path: Path) -> None:
        agent, settings = self.learned(name), self.settings(name)
        agent.save(tmp_path / "agent.zip")
        loaded = load_zip(name, tmp_path / "agent.zip")
        assert weights_sha256(loaded) == weights_sha256(agent)
        assert loaded.num_timesteps == agent.num_timesteps
        config = experiment(settings)
        first = as_policy(name, agent, config).begin()
        second = as_policy(name, loaded, config).begin()
        env = lanes_for(settings, seed=2)
        observations: Any = env.reset()
        for _ in range(100):
            masks = env.action_masks()
            actions = first(observations, masks)
            assert (second(observations, masks) == actions).all()
            assert name not in MASKED or masks[np.arange(LANES), actions].all(), "an action that was masked"
            observations, *_ = env.step(actions)

    def test_a_seed_learns_the_same_each_time_and_another_seed_does_not(self, name: str) -> None:
        settings = self.settings(name)
        once, again, other = (trained.__wrapped__(settings, 600, seed) for seed in (1, 1, 2))
        assert weights_sha256(again) == weights_sha256(once)
        assert weights_sha256(other) != weights_sha256(once)

    def test_it_goes_on_learning_where_it_was_told_to_stop(self, name: str) -> None:
        settings = self.settings(name)
        agent = make_agent(settings, lanes_for(settings), seed=1, device="cpu")
        agent.learn(600)
        first, weights = agent.num_timesteps, weights_sha256(agent)
        agent.learn(600, reset_num_timesteps=False)
        assert agent.num_timesteps >= first + 600
        assert weights_sha256(agent) != weights

    def test_learning_that_is_taken_up_elsewhere_ends_as_if_it_had_never_stopped(
        self, name: str, tmp_path: Path
    ) -> None:
        settings = self.settings(name)
        domain = domain_of(experiment(settings))
        keeping = _Keeping(300, tmp_path / "half.bundle", domain)
        expected = make_agent(settings, lanes_for(settings), seed=1, device="cpu")
        expected.learn(600, callback=[*callbacks_of(settings), keeping])
        env = lanes_for(settings)
        agent = make_agent(settings, env, seed=1, device="cpu")
        resume.restore(agent, env, domain, bundle.read(keeping.path)[0])
        assert 300 <= agent.num_timesteps < expected.num_timesteps
        agent.learn(600 - agent.num_timesteps, callback=callbacks_of(settings), reset_num_timesteps=False)
        assert agent.num_timesteps == expected.num_timesteps
        assert weights_sha256(agent) == weights_sha256(expected)
