"""The environment of old: how it is chosen, and that it decides and pays as the unified one."""

from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.logger import KVWriter, Logger

import fusion_rl
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.observations.legacy import PARTS
from fusion_rl.envs.legacy import GeneralSimEnv
from fusion_rl.envs.make import SWITCHES, create_sim_env
from fusion_rl.envs.old_entry import create_environment
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.errors import ConfigError, SimulationError, UnknownNameError
from fusion_rl.testing.tiny import TOPOLOGY_FILE

EPISODE = 60


@pytest.fixture(autouse=True)
def _nothing_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in SWITCHES:
        monkeypatch.delenv(variable, raising=False)


def small_config(observation: str = "unified", **overrides: object) -> ExperimentConfig:
    given = {
        "network.topology": TOPOLOGY_FILE,
        "network.slots": 16,
        "network.k_paths": 2,
        "scenarios.0.load_erlang": 20,
        "scenarios.0.warmup_requests": 30,
        "scenarios.0.requests_per_episode": EPISODE,
        "algorithm.observation": observation,
        **overrides,
    }
    return load("deeprmsa-nsfnet", overrides=given).config


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "1"}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "Yes"}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "true"}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "0"}, GeneralSimEnv),
        ({"USE_UNIFIED_ENV": "FALSE"}, GeneralSimEnv),
        ({"USE_UNIFIED_ENV": "no"}, GeneralSimEnv),
        ({"RL_ENV_TYPE": "legacy"}, GeneralSimEnv),
        ({"RL_ENV_TYPE": "unified"}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "1", "RL_ENV_TYPE": "legacy"}, UnifiedSimEnv),
        ({"USE_UNIFIED_ENV": "0", "RL_ENV_TYPE": "unified"}, GeneralSimEnv),
    ],
)
def test_environment_variables_choose_where_the_caller_does_not(
    variables: dict[str, str], expected: type[UnifiedSimEnv], monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    assert type(create_sim_env(small_config())) is expected
    assert type(create_sim_env(small_config(), True)) is UnifiedSimEnv
    assert type(create_sim_env(small_config(), use_unified=False)) is GeneralSimEnv


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("USE_UNIFIED_ENV", "maybe", "known: 1, true, yes, 0, false, no"),
        ("USE_UNIFIED_ENV", "", "known: 1, true, yes, 0, false, no"),
        ("RL_ENV_TYPE", "legcy", "did you mean 'legacy'?"),
        ("RL_ENV_TYPE", "1", "known: unified, legacy"),
    ],
)
def test_a_value_that_means_nothing_is_an_error_that_names_the_variable(
    variable: str, value: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UnknownNameError) as raised:
        create_sim_env(small_config())
    assert variable in str(raised.value)
    assert hint in str(raised.value)


def test_the_set_is_the_configured_one_or_else_the_largest() -> None:
    for asked, expected in {"obs_3": "obs_3", "obs_8": "obs_8", "deeprmsa": "obs_8", "unified": "obs_8"}.items():
        env = create_sim_env(small_config(asked), use_unified=False)
        assert isinstance(env, GeneralSimEnv)
        assert env.observation_set == expected
        observation, _ = env.reset(seed=1)
        assert tuple(observation) == PARTS[expected]


def test_the_legacy_environment_refuses_a_simulator_that_shows_something_else() -> None:
    config = small_config("deeprmsa")
    with pytest.raises(SimulationError, match="one of obs_1, obs_2"):
        GeneralSimEnv(make_simulator(config, prepare(config), 1, seed=1))


@pytest.mark.parametrize("observation", ["obs_1", "obs_8"])
def test_gymnasium_and_sb3_accept_the_legacy_environment(observation: str) -> None:
    gymnasium_check_env(create_sim_env(small_config(observation), use_unified=False), skip_render_check=True)
    sb3_check_env(create_sim_env(small_config(observation), use_unified=False))


def play(env: UnifiedSimEnv, chooser_seed: int) -> list[tuple[object, ...]]:
    """Masks, rewards and what was done, over two episodes and a bit, with random actions, legal and not."""
    chooser = np.random.default_rng(chooser_seed)
    env.reset(seed=7)
    met = []
    for _ in range(2 * EPISODE + 20):
        mask = env.action_masks()
        legal = int(chooser.choice(np.flatnonzero(mask)))
        action = legal if chooser.random() < 0.8 else int(chooser.integers(mask.size))
        _, reward, terminated, truncated, info = env.step(action)
        done = tuple(column.tolist() for column in info["outcome"])
        met.append((mask.tolist(), action, reward, terminated, truncated, done))
        if truncated:
            env.reset()
    return met


@pytest.mark.parametrize("action", ["path", pytest.param("path-block:2", marks=pytest.mark.slow), "path-start"])
def test_legacy_and_unified_decide_and_pay_alike_to_the_last_digit(action: str) -> None:
    reward = {"reward.bandwidth_weighted": True, "reward.efficiency_weight": 0.3}
    config = small_config(**{"algorithm.action": action, **reward})
    legacy, unified = (play(create_sim_env(config, use_unified=which), 3) for which in (False, True))
    assert legacy == unified
    assert {row[-1][0][0] for row in unified} >= {0, 1}, "some requests are served and some blocked"


class Kept(KVWriter):
    """What a run logs, by name."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}

    def write(self, key_values: dict[str, float], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.values |= key_values

    def close(self) -> None:
        pass


def test_the_old_entry_gives_what_an_agent_needs_and_says_where_to_go(tmp_path: Path) -> None:
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text(
        "network: {preset: deeprmsa-nsfnet, slots: 20}\n"
        "scenarios: [{name: short, load_erlang: 250, warmup_requests: 50, requests_per_episode: 40,"
        " bandwidth: {kind: uniform-integers, low_gbps: 25, high_gbps: 100}}]\n"
        "algorithm: {preset: ppo, observation: obs_2}\n"
    )
    with pytest.warns(DeprecationWarning, match="fusion_rl.create_sim_env") as warned:
        env, config, callbacks = fusion_rl.create_environment(experiment)
    assert warned[0].filename == __file__
    assert type(env) is UnifiedSimEnv
    assert config == load(experiment).config
    assert config.network.slots == 20
    kept = Kept()
    agent = PPO("MultiInputPolicy", env, n_steps=80, batch_size=40, n_epochs=1, seed=1, device="cpu")
    agent.set_logger(Logger(folder=None, output_formats=[kept]))
    agent.learn(80, callback=callbacks, log_interval=1)
    blocked_requests = 80 * kept.values["rollout/service_blocking"]
    assert 0 < blocked_requests < 80
    assert blocked_requests == pytest.approx(round(blocked_requests)), "both episodes, of 40 requests each"


def test_the_old_entry_follows_the_same_switches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RL_ENV_TYPE", "legacy")
    with pytest.warns(DeprecationWarning, match="entry of old"):
        env, *_ = create_environment()
    assert type(env) is GeneralSimEnv


def test_the_old_entry_refuses_what_it_cannot_read() -> None:
    with pytest.warns(DeprecationWarning, match="entry of old"), pytest.raises(ConfigError, match=r"gone\.yaml"):
        create_environment("gone.yaml")
