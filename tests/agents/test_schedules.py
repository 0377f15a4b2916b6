"""A schedule reaches what it is said to schedule, while the agent trains."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.agents.catalog import callbacks_of, make_agent
from fusion_rl.agents.schedules import as_schedule, value_at
from fusion_rl.config.schedule import ConstantLaw, CosineLaw, ExponentialLaw, Law, LinearLaw
from fusion_rl.testing.algorithm_contract import lanes_for
from tests.agents.worlds import settings_of

LINEAR = {"kind": "linear", "start": 0.01, "end": 0.002}
STEPS = 2_048


class Watch(BaseCallback):
    """Notes at every rollout's beginning what the last update worked with: (share done, value)."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self._read = read
        self.seen: list[tuple[float, float]] = []

    def _on_rollout_start(self) -> None:
        if self.num_timesteps:
            self.seen.append((self.num_timesteps / STEPS, self._read(self.model)))

    def _on_step(self) -> bool:
        return True


def watched(name: str, read: Any, **values: Any) -> list[tuple[float, float]]:
    settings = settings_of(name, **values)
    watch = Watch(read)
    agent = make_agent(settings, lanes_for(settings), seed=1, device="cpu")
    agent.learn(STEPS, callback=[watch, *callbacks_of(settings)])
    return watch.seen


def rate_of_optimiser(agent: Any) -> float:
    [rate] = {group["lr"] for group in agent.policy.optimizer.param_groups}
    return float(rate)


@pytest.mark.parametrize(
    ("given", "done", "value"),
    [
        (ConstantLaw(value=3.0), 0.7, 3.0),
        (LinearLaw(start=1.0, end=0.2), 0.0, 1.0),
        (LinearLaw(start=1.0, end=0.2), 0.25, 0.8),
        (ExponentialLaw(start=1.0, decay_rate=2.0), 0.5, math.exp(-1)),
        (ExponentialLaw(start=1.0, decay_rate=10.0, floor=0.1), 0.5, 0.1),
        (CosineLaw(start=1.0, end=0.0), 0.5, 0.5),
        (CosineLaw(start=1.0, end=0.2), 1.0, 0.2),
    ],
)
def test_a_law_has_the_value_that_can_be_worked_out_by_hand(given: Law, done: float, value: float) -> None:
    assert value_at(given, done) == pytest.approx(value)
    assert as_schedule(given)(1.0 - done) == pytest.approx(value)


@given(st.floats(1e-6, 1), st.floats(0, 1), st.floats(-0.5, 1.5))
def test_a_falling_schedule_stays_between_its_ends_even_beyond_the_end(start: float, share: float, left: float) -> None:
    end = start * share
    for law in (LinearLaw(start=start, end=end), CosineLaw(start=start, end=end)):
        assert end - 1e-12 <= as_schedule(law)(left) <= start + 1e-12
    assert as_schedule(ExponentialLaw(start=start, decay_rate=3.0, floor=end))(left) >= end


@pytest.mark.parametrize("name", ["maskable-ppo", "ppo", "a2c", "trpo", "recurrent-ppo", "dqn", "masked-qr-dqn"])
def test_the_learning_rate_reaches_the_optimiser(name: str) -> None:
    seen = watched(name, rate_of_optimiser, learning_rate=LINEAR)
    late = [(done, rate) for done, rate in seen if done > 0.1]  # off policy there is no update at first
    assert len(late) > 4
    for done, rate in late:
        assert rate == pytest.approx(0.01 - 0.008 * done)


def test_a_rate_that_is_a_number_stays() -> None:
    assert {rate for _, rate in watched("maskable-ppo", rate_of_optimiser, learning_rate=3e-3)} == {3e-3}


@pytest.mark.parametrize("name", ["maskable-ppo", "a2c"])
def test_the_entropy_bonus_follows_its_schedule(name: str) -> None:
    for done, weight in watched(name, lambda agent: agent.ent_coef, ent_coef={**LINEAR, "kind": "cosine"}):
        assert weight == pytest.approx(value_at(CosineLaw(start=0.01, end=0.002), done))


def test_the_clip_range_follows_its_schedule() -> None:
    seen = watched("ppo", lambda agent: agent.clip_range(agent._current_progress_remaining), clip_range=LINEAR)
    for done, clip in seen:
        assert clip == pytest.approx(0.01 - 0.008 * done)


@pytest.mark.parametrize("name", ["dqn", "masked-dqn", "qr-dqn", "q-learning", "epsilon-greedy"])
def test_exploration_follows_its_schedule(name: str) -> None:
    law = {"kind": "exponential", "start": 0.8, "decay_rate": 2.0, "floor": 0.2}
    for done, share in watched(name, lambda agent: agent.exploration_rate, exploration=law):
        assert share == pytest.approx(max(0.2, 0.8 * math.exp(-2.0 * done)))
