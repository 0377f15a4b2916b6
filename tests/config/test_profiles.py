"""Profiles and modes: what they set, what wins over them, and that they go with every algorithm."""

from pathlib import Path

import pytest

from fusion_rl.config.load import load, preset_names
from fusion_rl.errors import ConfigError, UnknownNameError

# timesteps, and that the mode evaluates and saves on the way
MODES = {"sanity": 100, "quick": 5_000, "production": 100_000, "long": 500_000, "gpu": 2_000_000}
SCENARIO = {
    "load_erlang": 100,
    "mean_holding_time": 10,
    "bandwidth": {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 50},
}


def experiment(scenarios: int = 3, **concerns: object) -> dict[str, object]:
    many = [{"name": f"s{i}", **SCENARIO} for i in range(scenarios)]
    return {"extends": "deeprmsa-nsfnet", "scenarios": many, **concerns}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", preset_names("algorithm"))
def test_each_mode_goes_with_every_algorithm(mode: str, algorithm: str) -> None:
    execution = load(algorithm=algorithm, execution=mode).config.execution
    assert execution.timesteps == MODES[mode]
    assert 0 < execution.eval_every < execution.timesteps
    assert 0 < execution.checkpoint_every < execution.timesteps


def test_the_gpu_mode_asks_for_a_gpu_and_larger_minibatches() -> None:
    gpu, usual = load(execution="gpu").config, load().config
    assert gpu.execution.device == "auto"
    assert gpu.algorithm.hyperparameters()["batch_size"] > usual.algorithm.hyperparameters()["batch_size"]


@pytest.mark.parametrize("profile", ["local", "server"])
@pytest.mark.parametrize("algorithm", preset_names("algorithm"))
def test_each_profile_goes_with_every_algorithm_and_every_mode(profile: str, algorithm: str) -> None:
    for mode in (None, *MODES):
        config = load(experiment(), algorithm=algorithm, execution=mode, profile=profile).config
        assert config.execution.timesteps == MODES[mode or {"local": "quick", "server": "production"}[profile]]


def test_local_is_one_lane_on_the_first_scenario() -> None:
    resolved = load(experiment(), profile="local")
    config = resolved.config
    assert (config.execution.lanes, config.scenarios.names()) == (1, ("s0",))
    assert config.algorithm.hyperparameters()["batch_size"] == 64, "n_steps x 1 lane"
    assert resolved.origin["execution.lanes"] == "profile local"
    assert load(experiment(), profile="local", all_scenarios=True).config.scenarios.names() == ("s0", "s1", "s2")


@pytest.mark.parametrize(("scenarios", "lanes"), [(1, 64), (64, 64), (65, 128), (200, 256)])
def test_server_has_a_lane_for_each_scenario(scenarios: int, lanes: int) -> None:
    config = load(experiment(scenarios), profile="server").config
    assert (len(config.scenarios), config.execution.lanes) == (scenarios, lanes)
    assert config.algorithm.hyperparameters()["batch_size"] == 1024, "the algorithm's own"


def test_a_profile_wins_over_the_experiment_and_overrides_win_over_the_profile(tmp_path: Path) -> None:
    mine = experiment(execution={"lanes": 8, "timesteps": 77, "tracking_dir": str(tmp_path)})
    config = load(mine, profile="local").config
    assert (config.execution.lanes, config.execution.timesteps) == (1, 5000)
    assert config.execution.tracking_dir == str(tmp_path), "what a profile does not speak of stays"
    changed = load(mine, profile="local", overrides=["execution.lanes=2", "execution.timesteps=9"]).config
    assert (changed.execution.lanes, changed.execution.timesteps) == (2, 9)
    long = load(mine, execution="long", profile="local").config
    assert (long.execution.lanes, long.execution.timesteps) == (1, 500_000)


def test_what_is_wrong_is_said_with_a_profile_as_without() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'local'"):
        load(profile="locale")
    for wrong in ({"lanes": 0}, {"lanes": "many"}):
        with pytest.raises(ConfigError, match=r"execution\.lanes"):
            load(experiment(execution=wrong), profile="server")
    with pytest.raises(ConfigError, match=r"algorithm\.batch_size"):
        load(experiment(algorithm={"name": "ppo", "batch_size": 1}), profile="server")
