"""Tables: what their cells tell apart, what a transition teaches, and what is refused."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.agents.tabular.agent import Transition
from fusion_rl.agents.tabular.cells import Cells
from fusion_rl.errors import ConfigError
from tests.agents.worlds import agent_of, seen_after

NODES, PATHS = 4, 2
BOX = spaces.Box(0, 1, (NODES,))
UNIFIED = spaces.Dict({"source": BOX, "destination": BOX, "path_congestion": spaces.Box(0, 1, (PATHS,))})
SHARE = st.floats(0, 1, width=32)


def observed(source: int, destination: int, *congestion: float) -> dict[str, np.ndarray]:
    one_hot = np.eye(NODES, dtype=np.float32)
    return {
        "source": one_hot[[source]],
        "destination": one_hot[[destination]],
        "path_congestion": np.array([congestion], np.float32),
    }


@given(st.integers(0, 3), st.integers(0, 3), SHARE, SHARE, st.integers(1, 6))
def test_every_observation_has_a_cell_of_its_pair_and_levels(s: int, d: int, one: float, two: float, n: int) -> None:
    cell = int(Cells(UNIFIED, n).of(observed(s, d, one, two))[0])
    levels = [min(int(np.float32(share) * n), n - 1) for share in (one, two)]
    expected = (s * NODES + d) * n**2 + levels[0] + n * levels[1] if n > 1 else s * NODES + d
    assert cell == expected < Cells(UNIFIED, n).count


def met(
    cells: list[int], actions: list[int], rewards: list[float], choices: Any = None, decided: Any = None, to: Any = None
) -> Transition:
    """A step of some lanes; where nothing else is said it is decided, stays in its cell and leaves all choices."""
    count = len(cells)
    return Transition(
        np.array(cells),
        np.array(actions),
        np.array(rewards),
        np.ones(count, bool) if decided is None else np.array(decided),
        np.array(cells if to is None else to),
        np.ones((count, PATHS), bool) if choices is None else np.array(choices),
    )


def test_a_cell_reads_what_the_environment_shows() -> None:
    agent, env = agent_of("q-learning", congestion_levels=4)
    shown = seen_after(env, 30)
    cells = agent.policy.cells.of(shown)
    pairs = shown["source"].argmax(1) * NODES + shown["destination"].argmax(1)
    assert (cells // 16 == pairs).all()
    assert len(set(cells % 16)) > 1, "congestion counts"


def test_q_learning_moves_a_value_toward_reward_and_the_best_allowed_future() -> None:
    agent, _ = agent_of("q-learning", learning_rate=0.5, gamma=0.9)
    values = agent.policy.values
    values[7] = [10.0, 20.0, 30.0]
    agent.update(met([3], [1], [1.0], to=[7], choices=[[True, False]]))
    assert values[3].tolist() == [0.0, 0.5 * (1 + 0.9 * 10), 0.0]
    agent.update(met([3], [1], [1.0], to=[7]))
    assert values[3, 1] == pytest.approx(5.0 + 0.5 * (1 + 0.9 * 20 - 5.0))
    assert agent.policy.tries[3].tolist() == [0, 2, 0]


def test_a_request_that_nothing_can_serve_has_a_value_of_its_own_and_actions_build_on_it() -> None:
    agent, _ = agent_of("q-learning", learning_rate=0.5, gamma=0.9)
    values = agent.policy.values
    values[7] = [10.0, 20.0, 30.0]
    agent.update(met([3], [0], [-1.0], decided=[False], to=[7]))
    assert values[3].tolist() == [0.0, 0.0, 0.5 * (-1 + 0.9 * 20)], "not what action 0 is worth"
    agent.update(met([5], [1], [1.0], to=[3], choices=[[False, False]]))
    assert values[5].tolist() == [0.0, 0.5 * (1 + 0.9 * values[3, 2]), 0.0]
    assert agent.policy.tries[[3, 5]].tolist() == [[0, 0, 1], [0, 1, 0]]


def test_q_learning_finds_the_loss_of_a_request_in_the_value_of_no_action() -> None:
    """Where the future does not count, what an action serves pays 1, and what nothing can serve pays -1."""
    agent, _ = agent_of("q-learning", learning_rate=0.5, gamma=0.0)
    agent.learn(8 * 300)
    values, tries = agent.policy.values, agent.policy.tries
    assert (values[:, :PATHS] >= 0).all()
    assert (values[:, PATHS] <= 0).all()
    assert (tries.sum(axis=0) > 0).all()


def test_lanes_at_one_cell_count_as_so_many_visits_of_their_mean() -> None:
    agent, _ = agent_of("q-learning", learning_rate=0.5, gamma=0.0)
    agent.update(met([3, 3, 3, 5], [1, 1, 0, 1], [1.0, 3.0, 7.0, 1.0]))
    assert agent.policy.values[3].tolist() == [3.5, 0.75 * 2.0, 0.0]
    assert agent.policy.values[5].tolist() == [0.0, 0.5, 0.0]
    assert agent.policy.tries[3].tolist() == [1, 2, 0]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.floats(-1, 1)), min_size=1, max_size=40))
def test_an_arm_is_worth_the_mean_of_what_it_paid(pulls: list[tuple[int, int, float]]) -> None:
    agent, _ = agent_of("epsilon-greedy")
    paid: dict[tuple[int, int], list[float]] = {}
    for first in range(0, len(pulls), 8):
        cells, arms, rewards = (list(column) for column in zip(*pulls[first : first + 8], strict=True))
        agent.update(met(cells, arms, rewards))
    for cell, arm, reward in pulls:
        paid.setdefault((cell, arm), []).append(reward)
    for (cell, arm), rewards in paid.items():
        assert agent.policy.values[cell, arm] == pytest.approx(np.mean(rewards))
        assert agent.policy.tries[cell, arm] == len(rewards)


def test_a_step_size_weighs_the_newest_reward() -> None:
    agent, _ = agent_of("epsilon-greedy", step_size=0.25)
    for reward in (4.0, 8.0):
        agent.update(met([0], [0], [reward]))
    assert agent.policy.values[0, 0] == 1.0 + 0.25 * (8.0 - 1.0)


def test_ucb_tries_every_arm_once_and_then_weighs_value_against_doubt() -> None:
    agent, _ = agent_of("ucb", confidence=1.0)
    everything = np.ones((1, 2), bool)
    for expected in (0, 1):
        assert agent.choose(np.array([0]), everything) == expected
        agent.update(met([0], [expected], [0.5]))
    agent.policy.values[0], agent.policy.tries[0] = [0.6, 0.5], [100, 4]
    bounds = [0.6 + np.sqrt(2 * np.log(104) / 100), 0.5 + np.sqrt(2 * np.log(104) / 4)]
    assert agent.choose(np.array([0]), everything) == np.argmax(bounds) == 1
    assert agent.predict(observed(0, 0), deterministic=True)[0] == 0, "greedy goes by the value"


def test_a_bandit_learns_from_blocked_arms_and_takes_none_when_it_is_shown_masks() -> None:
    agent, _ = agent_of("epsilon-greedy", exploration=0.5)
    agent.learn(8 * 300)
    values = agent.policy.values[agent.policy.tries.sum(axis=1) > 0]
    assert ((values > -1) & (values < 1)).any(), "some arms were blocked at times"
    assert agent.predict(observed(0, 1), deterministic=True, action_masks=np.array([[False, True]]))[0] == 1


def test_one_observation_is_answered_with_one_action() -> None:
    agent, env = agent_of("q-learning")
    shown = seen_after(env, 10)
    batch, _ = agent.predict(shown, deterministic=True)
    alone, _ = agent.predict({name: part[3] for name, part in shown.items()}, deterministic=True)
    assert np.ndim(alone) == 0
    assert alone == batch[3]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("q-learning", {"observation": "deeprmsa"}, "choose from unified, obs_6"),
        ("q-learning", {"observation": "obs_4"}, "congestion of each path"),
        ("epsilon-greedy", {"observation": "deeprmsa"}, "source, destination"),
        ("ucb", {"observation": "deeprmsa"}, "choose from unified, obs_1"),
    ],
)
def test_an_observation_without_what_a_table_needs_is_refused(name: str, values: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agent_of(name, **values)


def test_a_table_that_would_not_fit_is_refused_before_it_is_made() -> None:
    many = spaces.Dict({"source": BOX, "destination": BOX, "paths_cong": spaces.Box(0, 1, (50,))})
    with pytest.raises(ConfigError, match="fewer levels"):
        Cells(many, 3)
    with pytest.raises(ConfigError, match="fewer levels"):
        Cells(many, 64)
