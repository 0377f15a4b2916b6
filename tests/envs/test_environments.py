"""The environments against gymnasium's and Stable-Baselines3's own checkers, and against each other."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.envs.adapter import RLSimulationAdapter
from fusion_rl.envs.make import create_sim_env
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import SimulationError

OBSERVATIONS = ["deeprmsa", "unified"]


def small_config(observation: str = "deeprmsa", **overrides: object) -> ExperimentConfig:
    given = {
        "network.slots": 40,
        "scenarios.0.warmup_requests": 200,
        "scenarios.0.requests_per_episode": 50,
        "algorithm.observation": observation,
        **overrides,
    }
    return load("deeprmsa-nsfnet", overrides=given).config


def actions_of(config: ExperimentConfig, seed: int, steps: int = 60) -> list[tuple[float, int, int]]:
    """What a first-feasible policy meets: reward, path and start of each request."""
    env = create_sim_env(config)
    env.reset(seed=seed)
    met = []
    for _ in range(steps):
        _, reward, _, truncated, info = env.step(int(env.action_masks().argmax()))
        met.append((reward, int(info["outcome"].path[0]), int(info["outcome"].start[0])))
        if truncated:
            env.reset()
    return met


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_gymnasium_and_sb3_accept_the_environment(observation: str) -> None:
    gymnasium_check_env(create_sim_env(small_config(observation)), skip_render_check=True)
    sb3_check_env(create_sim_env(small_config(observation)))


def test_a_seeded_reset_repeats_an_episode_and_an_unseeded_one_does_not() -> None:
    config = small_config()
    assert actions_of(config, seed=5) == actions_of(config, seed=5)
    assert actions_of(config, seed=5) != actions_of(config, seed=6)
    env = create_sim_env(config)
    first, _ = env.reset(seed=5)
    second, _ = env.reset()
    again, _ = env.reset(seed=5)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, again)


def test_another_process_meets_the_same_episode() -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); "
        "from test_environments import actions_of, small_config; print(actions_of(small_config(), seed=5, steps=20))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == str(actions_of(small_config(), seed=5, steps=20))


def test_an_episode_ends_by_truncation_after_its_requests_and_refuses_a_step_beyond() -> None:
    env = create_sim_env(small_config())
    env.reset(seed=1)
    ends = [env.step(0)[2:4] for _ in range(50)]
    assert ends == [(False, False)] * 49 + [(False, True)]
    with pytest.raises(SimulationError, match="call reset"):
        env.step(0)


def test_an_action_outside_the_space_is_refused() -> None:
    env = create_sim_env(small_config())
    env.reset(seed=1)
    with pytest.raises(SimulationError, match=r"action 7 is not in 0\.\.4"):
        env.step(7)


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_lane_0_of_the_vec_env_is_the_single_environment(observation: str) -> None:
    config = small_config(observation)
    env = create_sim_env(config, seed=3)
    lanes = OpticalVecEnv(make_simulator(config, prepare(config), 4, seed=3))
    one, _ = env.reset()
    many = lanes.reset()
    for _ in range(120):
        for name in one if isinstance(one, dict) else [None]:
            np.testing.assert_array_equal(one[name] if name else one, many[name][0] if name else many[0])
        masks = lanes.action_masks()
        np.testing.assert_array_equal(env.action_masks(), masks[0])
        actions = masks.argmax(axis=1)
        one, reward, _, truncated, _ = env.step(int(actions[0]))
        many, rewards, ends, infos = lanes.step(actions)
        assert (reward, truncated) == (rewards[0], ends[0])
        if truncated:
            shown = infos[0]["terminal_observation"]
            for name in one if isinstance(one, dict) else [None]:
                np.testing.assert_array_equal(one[name] if name else one, shown[name] if name else shown)
            assert infos[0]["TimeLimit.truncated"]
            one, _ = env.reset()


def test_observations_that_were_handed_out_do_not_change_afterwards() -> None:
    lanes = OpticalVecEnv(make_simulator(small_config(), prepare(small_config()), 2, seed=3))
    before = lanes.reset()
    kept = before.copy()
    lanes.step(np.zeros(2, np.int64))
    np.testing.assert_array_equal(before, kept)


def test_the_mask_leaves_one_action_where_none_is_feasible_and_the_request_is_counted_blocked() -> None:
    config = small_config(**{"network.slots": 4, "scenarios.0.load_erlang": 500})
    env = create_sim_env(config)
    env.reset(seed=1)
    adapter = RLSimulationAdapter(env)
    blocked = 0
    for _ in range(50):
        feasible = [option.feasible for option in adapter.get_path_options()]
        mask = adapter.get_action_mask()
        assert mask.any()
        if not any(feasible):
            assert mask.tolist() == [True, False, False, False, False]
            result = adapter.apply_action(0)
            assert (result.success, result.reason in ("spectrum", "reach")) == (False, True)
            assert adapter.compute_reward() == -1.0
            blocked += 1
        else:
            assert mask.tolist() == feasible
            adapter.apply_action(int(mask.argmax()))
    assert blocked > 0


def test_the_adapter_says_what_an_action_does_in_words_and_numbers() -> None:
    env = create_sim_env(small_config())
    observation, _ = env.reset(seed=1)
    adapter = RLSimulationAdapter(env)
    np.testing.assert_array_equal(adapter.build_observation(), observation)
    request, options = adapter.request, adapter.get_path_options()
    chosen = next(option for option in options if option.feasible)
    assert chosen.nodes[0] == request.source
    assert chosen.nodes[-1] == request.destination
    result = adapter.apply_action(chosen.action)
    assert result.success
    assert result.nodes == chosen.nodes
    assert result.start_slot == chosen.first_start
    assert result.slots == chosen.slots_needed
    assert result.bandwidth_allocated_gbps == request.bandwidth_gbps
    assert adapter.compute_reward() == 1.0


def test_the_adapter_pays_nothing_before_the_first_action() -> None:
    env = create_sim_env(small_config())
    env.reset(seed=1)
    with pytest.raises(SimulationError, match="apply_action first"):
        RLSimulationAdapter(env).compute_reward()


def test_episode_blocking_in_the_info_is_the_share_of_its_requests_that_were_blocked() -> None:
    config = small_config(**{"network.slots": 20})
    lanes = OpticalVecEnv(make_simulator(config, prepare(config), 2, seed=3))
    lanes.reset()
    blocked = np.zeros(2)
    for _ in range(50):
        _, _, ends, infos = lanes.step(lanes.action_masks().argmax(axis=1))
        blocked += lanes.outcome.verdict != ACCEPTED
    assert ends.all()
    assert [info["service_blocking"] for info in infos] == (blocked / 50).tolist()
    assert blocked.sum() > 0
