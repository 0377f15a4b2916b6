"""A model in an environment that shows something else than the one it was trained on."""

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from fusion_rl.arrays import AnyArray
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.envs.make import create_sim_env
from fusion_rl.envs.transfer import ObservationAdapter
from fusion_rl.errors import PolicyError, SimulationError, UnknownNameError
from fusion_rl.testing.tiny import TOPOLOGY_FILE

STEPS = 40


def small_config(observation: str) -> ExperimentConfig:
    given = {
        "network.topology": TOPOLOGY_FILE,
        "network.slots": 16,
        "network.k_paths": 3,
        "scenarios.0.load_erlang": 20,
        "scenarios.0.warmup_requests": 30,
        "scenarios.0.requests_per_episode": STEPS,
        "algorithm.observation": observation,
    }
    return load("deeprmsa-nsfnet", overrides=given).config


def adapted(shows: str, trained_on: str) -> ObservationAdapter:
    return ObservationAdapter(create_sim_env(small_config(shows), True), shows=shows, trained_on=trained_on)


CAN_RUN = [
    *(("unified", own) for own in ("unified", "obs_1", "obs_2")),
    *(("deeprmsa", own) for own in ("deeprmsa", "obs_1", "obs_2")),
    *(("obs_8", f"obs_{number}") for number in range(1, 9)),
    ("obs_2", "obs_1"),
    ("obs_4", "obs_3"),
]


@pytest.mark.parametrize(("shows", "trained_on"), CAN_RUN)
def test_a_model_is_shown_to_the_last_digit_what_it_would_see_at_home(shows: str, trained_on: str) -> None:
    away, home = adapted(shows, trained_on), create_sim_env(small_config(trained_on), True)
    assert away.observation_space == home.observation_space
    given, expected = away.reset(seed=3)[0], home.reset(seed=3)[0]
    for _ in range(STEPS):
        assert away.observation_space.contains(given)
        if isinstance(expected, dict):
            assert isinstance(given, dict)
            assert list(given) == list(expected)
            for part, values in expected.items():
                np.testing.assert_array_equal(given[part], values, err_msg=part)
        else:
            np.testing.assert_array_equal(given, expected)
        np.testing.assert_array_equal(away.action_masks(), home.action_masks())
        action = int(home.action_masks().argmax())
        given, expected = away.step(action)[0], home.step(action)[0]


MISSING = {
    ("unified", "obs_3"): ["holding_time"],
    ("unified", "obs_4"): ["holding_time"],
    ("unified", "obs_8"): ["holding_time", "paths_cong"],
    ("deeprmsa", "obs_5"): ["holding_time", "slots_needed", "path_lengths"],
    ("obs_8", "unified"): ["path_congestion", "path_hops", "network_utilisation", "fragmentation"],
    ("obs_8", "deeprmsa"): ["paths"],
    ("obs_1", "obs_2"): ["request_bandwidth"],
    ("obs_5", "obs_8"): ["paths_cong", "available_slots", "is_feasible"],
}


@pytest.mark.parametrize(("shows", "trained_on"), MISSING)
def test_what_is_missing_is_listed_and_nothing_is_made_up(shows: str, trained_on: str) -> None:
    with pytest.raises(PolicyError) as raised:
        adapted(shows, trained_on)
    said, _, listed = str(raised.value).partition("missing: ")
    assert f"'{trained_on}'" in said
    assert f"'{shows}'" in said
    assert [item.split()[0] for item in listed.split("), ")] == MISSING[shows, trained_on]


def test_every_pair_of_observations_either_runs_or_is_refused() -> None:
    for shows in OBSERVATIONS:
        env = create_sim_env(small_config(shows), True)
        for trained_on in OBSERVATIONS:
            try:
                adapter = ObservationAdapter(env, shows=shows, trained_on=trained_on)
            except PolicyError:
                assert (shows, trained_on) not in CAN_RUN
                assert shows != trained_on
            else:
                assert adapter.observation_space.contains(adapter.reset(seed=1)[0])


def test_a_trained_model_decides_alike_at_home_and_away() -> None:
    home, away = create_sim_env(small_config("obs_2"), use_unified=False), adapted("unified", "obs_2")
    model = PPO("MultiInputPolicy", home, n_steps=40, batch_size=20, n_epochs=1, seed=1, device="cpu").learn(40)

    def decisions(env: ObservationAdapter | object) -> list[tuple[int, float]]:
        observation, _ = env.reset(seed=5)  # type: ignore[attr-defined]
        decided = []
        for _ in range(STEPS):
            action = int(model.predict(observation, deterministic=True)[0])
            observation, reward, *_ = env.step(action)  # type: ignore[attr-defined]
            decided.append((action, reward))
        return decided

    assert decisions(home) == decisions(away)


def test_a_batch_of_observations_is_rewritten_row_by_row() -> None:
    adapter = adapted("unified", "obs_2")
    env = create_sim_env(small_config("unified"), True)
    seen = [env.reset(seed=seed)[0] for seed in range(5)]
    batch: dict[str, AnyArray] = {name: np.stack([one[name] for one in seen]) for name in seen[0]}  # type: ignore[index]
    rewritten = adapter.observation(batch)
    for b, one in enumerate(seen):
        for name, part in adapter.observation(one).items():  # type: ignore[union-attr]
            np.testing.assert_array_equal(rewritten[name][b], part)  # type: ignore[index]


def test_a_bandwidth_class_that_its_bit_rate_does_not_tell_is_missing() -> None:
    """25 Gb/s, and a width of two slots that stands for 25 Gb/s, are two classes."""
    laws = {
        "rates": {"kind": "weighted", "values_gbps": [25, 50], "weights": [1, 1]},
        "widths": {"kind": "slots", "widths_slots": [2], "weights": [1]},
    }
    scenarios = [{"name": name, "load_erlang": 20, "bandwidth": law} for name, law in laws.items()]
    experiment = {"name": "mixed", "network": "deeprmsa-nsfnet", "scenarios": scenarios}
    for shows in ("unified", "obs_8"):
        config = load(experiment, overrides={"algorithm.observation": shows}).config
        env = create_sim_env(config, True)
        if shows == "obs_8":
            ObservationAdapter(env, shows=shows, trained_on="obs_2")
        else:
            with pytest.raises(PolicyError, match=r"missing: request_bandwidth \(bandwidth class\)"):
                ObservationAdapter(env, shows=shows, trained_on="obs_2")


def test_sb3_accepts_the_adapted_environment() -> None:
    sb3_check_env(adapted("unified", "obs_2"))


def test_an_environment_that_shows_something_else_is_refused() -> None:
    env = create_sim_env(small_config("unified"), True)
    with pytest.raises(SimulationError, match="does not show 'obs_8'"):
        ObservationAdapter(env, shows="obs_8", trained_on="obs_2")
    with pytest.raises(UnknownNameError, match="did you mean 'obs_8'"):
        ObservationAdapter(env, shows="unified", trained_on="obs8")
