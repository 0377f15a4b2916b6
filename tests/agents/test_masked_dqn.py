"""The mask counts when a masked agent explores, when it predicts, and in what it learns from."""

from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from sb3_contrib.common.utils import quantile_huber_loss
from torch.nn import functional

from fusion_rl.agents.catalog import make_agent
from fusion_rl.agents.masking import epsilon_greedy, random_allowed
from fusion_rl.errors import PolicyError
from fusion_rl.testing.algorithm_contract import lanes_for
from tests.agents.worlds import agent_of, seen_after, settings_of

MASKED = ("masked-dqn", "masked-qr-dqn")
KINDS = pytest.mark.parametrize(("name", "observation"), [(n, o) for n in MASKED for o in ("deeprmsa", "unified")])


class Noted(NamedTuple):
    """A step of all lanes."""

    masks: np.ndarray  # [B, A]
    choices: np.ndarray  # [B, A]
    actions: np.ndarray  # [B]
    rewards: np.ndarray  # [B]
    ended: np.ndarray  # [B]
    next_choices: np.ndarray  # [B, A] of ended lanes, for the terminal request


def note_steps(env: Any) -> list[Noted]:
    """Every step to come."""
    noted: list[Noted] = []
    step_async, step_wait = env.step_async, env.step_wait
    before: tuple[np.ndarray, ...] = ()

    def noting_async(actions: np.ndarray) -> None:
        nonlocal before
        before = (env.action_masks(), env.choices(), np.array(actions))
        step_async(actions)

    def noting_wait() -> Any:
        shown, rewards, ended, infos = step_wait()
        after = env.choices()
        for lane in np.flatnonzero(ended):
            after[lane] = infos[lane]["terminal_choices"]
        noted.append(Noted(*before, rewards, ended, after))
        return shown, rewards, ended, infos

    env.step_async, env.step_wait = noting_async, noting_wait
    return noted


@KINDS
def test_it_never_tries_what_is_masked(name: str, observation: str) -> None:
    agent, env = agent_of(name, observation=observation, exploration=0.5)
    noted = note_steps(env)
    agent.learn(1_600)
    masks, actions = (np.concatenate(part) for part in ([one.masks for one in noted], [one.actions for one in noted]))
    assert masks[np.arange(len(actions)), actions].all()
    assert not masks.all(), "nothing was masked: the test proves nothing"
    assert len(set(actions[masks.all(axis=1)])) == env.action_space.n, "what is allowed is tried"


@KINDS
def test_the_buffer_keeps_what_actions_decide(name: str, observation: str) -> None:
    agent, env = agent_of(name, observation=observation, learning_starts=10_000)
    noted = note_steps(env)
    agent.learn(8 * 152)  # episodes have 100 requests
    kept = agent.replay_buffer.next_masks[:152]
    assert (kept == np.stack([one.next_choices for one in noted])).all()
    assert (agent.replay_buffer.decided[:152] == np.stack([one.choices.any(axis=1) for one in noted])).all()
    ended = agent.replay_buffer.dones[:151].astype(bool)
    following = np.stack([one.choices for one in noted[1:]])
    assert (kept[:151][~ended] == following[~ended]).all()
    assert (kept[:151][ended] != following[ended]).any(), "a terminal observation has its own, not the next episode's"


def expected_loss(agent: Any, batch: Any, allowed: int) -> torch.Tensor:
    """The loss where the next request leaves one action, written out."""
    rows = torch.arange(len(batch.rewards))
    taken = batch.actions[:, 0]
    if hasattr(agent, "q_net"):
        hoped = agent.q_net_target(batch.next_observations)[rows, allowed]
        target = batch.rewards[:, 0] + (1 - batch.dones[:, 0]) * batch.discounts[:, 0] * hoped
        return functional.smooth_l1_loss(agent.q_net(batch.observations)[rows, taken], target)
    hoped = agent.quantile_net_target(batch.next_observations)[rows, :, allowed]
    target = batch.rewards + (1 - batch.dones) * batch.discounts * hoped
    current = agent.quantile_net(batch.observations)[rows, :, taken]
    return quantile_huber_loss(current, target, sum_over_quantiles=True)


@pytest.mark.parametrize("name", MASKED)
def test_the_target_hopes_for_allowed_actions_alone(name: str) -> None:
    agent, _ = agent_of(name, n_steps=3, learning_starts=64, target_update_interval=100)
    agent.learn(800)
    batch = agent.replay_buffer._get_samples(np.arange(60))
    assert (batch.discounts <= agent.gamma**3).all()
    losses = []
    for allowed in (0, 1):
        masks = functional.one_hot(torch.full((len(batch.rewards),), allowed), 2).bool()
        losses.append(agent._loss(batch._replace(next_masks=masks)))
        torch.testing.assert_close(losses[-1], expected_loss(agent, batch, allowed))
    assert losses[0] != losses[1]


@KINDS
@pytest.mark.parametrize("n_steps", [1, 5])
def test_a_request_that_nothing_can_serve_teaches_the_value_of_no_action(
    name: str, observation: str, n_steps: int
) -> None:
    """Where the future does not count, all that was learned from was served: each request pays 1, or -1 if lost."""
    agent, env = agent_of(name, observation=observation, n_steps=n_steps, learning_starts=10_000, gamma=0.0)
    noted = note_steps(env)
    agent.learn(8 * 248)
    assert not all(one.choices.any(axis=1).all() for one in noted), "nothing was lost: the test proves nothing"
    rewards = torch.cat([agent.replay_buffer._get_samples(np.arange(248)).rewards for _ in range(40)])
    assert (rewards == 1.0).all()


@pytest.mark.parametrize("name", MASKED)
@pytest.mark.parametrize("n_steps", [1, 3, 40])
@pytest.mark.parametrize("steps", [132, 332])
def test_a_return_goes_on_until_a_request_that_an_action_decides(name: str, n_steps: int, steps: int) -> None:
    """Also over the seam of a full buffer, which holds 250 rows, and up to the end of an episode of 100."""
    agent, env = agent_of(name, n_steps=n_steps, learning_starts=10_000, gamma=0.9)
    noted = note_steps(env)
    agent.learn(8 * steps)
    buffer = agent.replay_buffer
    first = max(0, steps - 250)
    places = [(t, b) for t in range(first, steps) for b in range(8)]
    rows, lanes = np.array([(t % 250, b) for t, b in places]).T
    found = buffer.returns(rows, lanes)
    expected = [slow_return(noted, t, b, n_steps, 0.9) for t, b in places]
    assert found.usable.tolist() == [one is not None for one in expected]
    assert not all(found.usable[len(places) // 4 :]), "each request was a sample: the test proves nothing"
    for i, one in enumerate(expected):
        if one is not None:
            assert (found.rewards[i], found.discounts[i]) == pytest.approx(one[:2])
            assert found.last[i] == one[2] % 250


def slow_return(noted: list[Any], t: int, lane: int, n_steps: int, gamma: float) -> tuple[float, float, int] | None:
    """(return, discount of the value that follows, step that it ends with) of a request; None: it is no sample."""
    if not noted[t].choices[lane].any():
        return None
    paid, discount, last = 0.0, 1.0, t
    while True:
        paid, discount = paid + discount * noted[last].rewards[lane], discount * gamma
        decided = noted[last].next_choices[lane].any()
        is_over = noted[last].ended[lane] or last == len(noted) - 1
        if is_over or (decided and last - t + 1 >= n_steps):
            return (paid, discount, last) if decided else None
        last += 1


def test_with_one_quantile_masked_qr_dqn_learns_what_masked_dqn_does() -> None:
    values = {"n_steps": 3, "gamma": 0.9, "max_grad_norm": 1e6, "exploration": 0.3, "learning_rate": 1e-3}
    plain, _ = agent_of("masked-dqn", **values)
    plain.learn(1_600)
    settings = settings_of("masked-qr-dqn", **values)
    env = lanes_for(settings)
    quantile = make_agent(settings.model_copy(update={"n_quantiles": 1}), env, seed=1, device="cpu")
    quantile.policy.optimizer.param_groups[0]["eps"] = 1e-8  # as DQN's: the only other difference is half the loss
    quantile.learn(1_600)
    assert np.array_equal(plain.replay_buffer.actions[:200], quantile.replay_buffer.actions[:200])
    weights = [list(agent.policy.state_dict().values()) for agent in (plain, quantile)]
    assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(*weights, strict=True))
    assert plain._n_updates > 0


@pytest.mark.parametrize("name", MASKED)
def test_an_update_without_a_sample_changes_nothing(name: str) -> None:
    agent, _ = agent_of(name, learning_starts=64)
    agent.learn(400)
    before = [tensor.clone() for tensor in agent.policy.state_dict().values()]
    agent.replay_buffer.decided[:] = False
    agent.train(3, batch_size=16)
    assert all((a == b).all() for a, b in zip(before, agent.policy.state_dict().values(), strict=True))


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
