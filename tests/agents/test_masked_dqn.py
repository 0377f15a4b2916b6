"""The mask counts when a masked agent explores, when it predicts, and in its target."""

from typing import Any

import numpy as np
import pytest
import torch
from sb3_contrib.common.utils import quantile_huber_loss
from torch.nn import functional

from fusion_rl.agents.masking import epsilon_greedy, random_allowed
from fusion_rl.errors import PolicyError
from tests.agents.worlds import agent_of, seen_after

MASKED = ("masked-dqn", "masked-qr-dqn")
KINDS = pytest.mark.parametrize(("name", "observation"), [(n, o) for n in MASKED for o in ("deeprmsa", "unified")])


def note_actions(env: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """The masks and actions of every step to come."""
    noted: list[tuple[np.ndarray, np.ndarray]] = []
    step = env.step_async

    def noting(actions: np.ndarray) -> None:
        noted.append((env.action_masks(), np.array(actions)))
        step(actions)

    env.step_async = noting
    return noted


@KINDS
def test_it_never_tries_what_is_masked(name: str, observation: str) -> None:
    agent, env = agent_of(name, observation=observation, exploration=0.5)
    noted = note_actions(env)
    agent.learn(1_600)
    masks, actions = (np.concatenate(parts) for parts in zip(*noted, strict=True))
    assert masks[np.arange(len(actions)), actions].all()
    assert not masks.all(), "nothing was masked: the test proves nothing"
    assert len(set(actions[masks.all(axis=1)])) == env.action_space.n, "what is allowed is tried"


@KINDS
def test_the_buffer_keeps_the_masks_of_the_next_observations(name: str, observation: str) -> None:
    agent, env = agent_of(name, observation=observation, learning_starts=10_000)
    noted = note_actions(env)
    agent.learn(8 * 150)  # episodes have 100 requests
    kept = agent.replay_buffer.next_masks[:149]
    ended = agent.replay_buffer.dones[:149].astype(bool)
    following = np.stack([masks for masks, _ in noted[1:150]])
    assert (kept[~ended] == following[~ended]).all()
    assert ended.any()
    assert (kept[ended] != following[ended]).any(), "a terminal observation has its own mask, not the next episode's"


def expected_loss(agent: Any, batch: Any, allowed: int) -> torch.Tensor:
    """The loss where the next request leaves one action, written out."""
    rows = torch.arange(len(batch.rewards))
    taken = batch.actions[:, 0]
    if hasattr(agent, "q_net"):
        hoped = agent.q_net_target(batch.next_observations)[rows, allowed]
        target = batch.rewards[:, 0] + (1 - batch.dones[:, 0]) * agent.gamma * hoped
        return functional.smooth_l1_loss(agent.q_net(batch.observations)[rows, taken], target)
    hoped = agent.quantile_net_target(batch.next_observations)[rows, :, allowed]
    target = batch.rewards + (1 - batch.dones) * agent.gamma * hoped
    current = agent.quantile_net(batch.observations)[rows, :, taken]
    return quantile_huber_loss(current, target, sum_over_quantiles=True)


@pytest.mark.parametrize("name", MASKED)
def test_the_target_hopes_for_allowed_actions_alone(name: str) -> None:
    agent, _ = agent_of(name, learning_starts=64, target_update_interval=100)
    agent.learn(800)
    batch = agent.replay_buffer._get_samples(np.arange(60))
    losses = []
    for allowed in (0, 1):
        masks = functional.one_hot(torch.full((60,), allowed), 2).bool()
        losses.append(agent._loss(batch._replace(next_masks=masks)))
        torch.testing.assert_close(losses[-1], expected_loss(agent, batch, allowed))
    assert losses[0] != losses[1]


@pytest.mark.parametrize("name", MASKED)
def test_it_predicts_within_masks_for_a_batch_and_for_one(name: str) -> None:
    agent, env = agent_of(name)
    observations = seen_after(env, 20)
    for action in (0, 1):
        masks = np.tile(np.arange(2) == action, (8, 1))
        assert (agent.predict(observations, deterministic=True, action_masks=masks)[0] == action).all()
        assert agent.predict(observations[0], deterministic=True, action_masks=masks[0])[0] == action
    free, _ = agent.predict(observations, deterministic=True)
    assert (agent.predict(observations, deterministic=True, action_masks=np.ones((8, 2), bool))[0] == free).all()


def test_a_random_choice_is_even_among_what_is_allowed() -> None:
    np.random.seed(1)  # noqa: NPY002  # the generator that exploration draws from
    masks = np.tile(np.array([True, False, True, True]), (30_000, 1))
    share = np.bincount(random_allowed(masks), minlength=4) / 30_000
    assert share == pytest.approx([1 / 3, 0, 1 / 3, 1 / 3], abs=0.02)
    explored = epsilon_greedy(np.full(30_000, 2), masks, 0.3)
    assert (explored != 2).mean() == pytest.approx(0.3 * 2 / 3, abs=0.02)


def test_an_environment_without_masks_is_refused() -> None:
    agent, env = agent_of("masked-dqn")
    env.has_attr = lambda name: False  # type: ignore[method-assign]
    with pytest.raises(PolicyError, match="action_masks"):
        agent.learn(64)
