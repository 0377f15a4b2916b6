"""An experiment in one file, and experiments that extend others."""

from pathlib import Path

import pytest

from fusion_rl.config.load import load, preset_names
from fusion_rl.errors import ConfigError

MONOLITH = """
description: all five concerns in one file
network: {topology: nsfnet, links: shared, slots: 80, reach_table: [{bits_per_s_per_hz: 2}], k_paths: 3}
scenarios:
  - {name: low, load_erlang: 100, mean_holding_time: 10, bandwidth: {kind: uniform-integers, low_gbps: 25, high_gbps: 50}}
  - {name: high, load_erlang: 200, mean_holding_time: 10, bandwidth: {kind: uniform-integers, low_gbps: 25, high_gbps: 50}}
algorithm: {name: ppo, n_steps: 32, batch_size: 64, gamma: 0.9}
reward: {name: service, block: -2}
execution: {lanes: 4, timesteps: 1000}
"""  # noqa: E501


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write(tmp_path / "base.yaml", MONOLITH)


def test_one_file_may_hold_all_five_concerns(base: Path) -> None:
    resolved = load(base)
    config = resolved.config
    assert (config.name, config.network.slots, config.algorithm.name) == ("base", 80, "ppo")
    assert config.scenarios.names() == ("low", "high")
    assert (config.reward.block, config.execution.timesteps) == (-2, 1000)
    assert resolved.origin["reward.block"] == f"experiment file {base}"


def test_an_experiment_that_extends_another_says_only_what_is_different(base: Path, tmp_path: Path) -> None:
    top = "extends: base.yaml\nnetwork: {slots: 100}\nalgorithm: {gamma: 0.8}\nexecution: {seed: 7}\n"
    resolved = load(write(tmp_path / "more.yaml", top))
    below = load(base).config.model_dump()
    expected = {
        **below,
        "name": "more",
        "network": {**below["network"], "slots": 100},
        "algorithm": {**below["algorithm"], "gamma": 0.8},
        "execution": {**below["execution"], "seed": 7},
    }
    assert resolved.config.model_dump() == expected
    assert resolved.origin["network.slots"].endswith("more.yaml")
    assert resolved.origin["network.k_paths"] == "experiment file base.yaml"


def test_values_change_every_scenario_below_and_a_list_replaces_them(base: Path, tmp_path: Path) -> None:
    longer = load(write(tmp_path / "a.yaml", "extends: base.yaml\nscenarios: {requests_per_episode: 50}\n")).config
    assert [(s.name, s.load_erlang, s.requests_per_episode) for s in longer.scenarios] == [
        ("low", 100, 50),
        ("high", 200, 50),
    ]
    one = (
        "[{name: only, load_erlang: 5, mean_holding_time: 1,"
        " bandwidth: {kind: weighted, values_gbps: [25], weights: [1]}}]"
    )
    assert load(write(tmp_path / "b.yaml", f"extends: base.yaml\nscenarios: {one}\n")).config.scenarios.names() == (
        "only",
    )


def test_a_preset_or_another_algorithm_takes_the_place_of_what_is_below(base: Path, tmp_path: Path) -> None:
    config = load(write(tmp_path / "a.yaml", "extends: base.yaml\nalgorithm: dqn\nreward: efficient\n")).config
    assert config.algorithm == load(algorithm="dqn").config.algorithm
    assert config.reward == load(reward="efficient").config.reward
    other = load(write(tmp_path / "b.yaml", "extends: base.yaml\nalgorithm: {name: a2c}\n")).config.algorithm
    assert (other.name, other.hyperparameters()["gamma"]) == ("a2c", 0.99), "gamma was that of ppo"


def test_a_chain_is_laid_from_its_lowest_link_up_and_presets_can_be_extended(tmp_path: Path) -> None:
    write(tmp_path / "one.yaml", "extends: deeprmsa-nsfnet\nscenarios: {load_erlang: 210}\nnetwork: {slots: 90}\n")
    (tmp_path / "deep").mkdir()
    path = write(tmp_path / "deep" / "two.yaml", "extends: ../one.yaml\nnetwork: {slots: 70}\n")
    config = load(path, overrides=["network.k_paths=2"]).config
    assert (config.network.slots, config.network.k_paths, config.network.guard_slots) == (70, 2, 1)
    assert config.scenarios[0].load_erlang == 210
    assert load({"extends": str(path), "network": {"slots": 60}}).config.network.slots == 60


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extends: me.yaml\n", "extends itself: me.yaml -> me.yaml"),
        ("extends: gone.yaml\n", "no such file: gone.yaml"),
        ("extends: deeprmsa-nsfent\n", "did you mean 'deeprmsa-nsfnet'"),
        ("extends: [a, b]\n", "extends names one experiment"),
        ("extend: deeprmsa-nsfnet\n", "did you mean 'extends'"),
        ("extends: deeprmsa-nsfnet\nnetwork: {slotz: 3}\n", "did you mean 'slots'"),
    ],
)
def test_a_chain_that_cannot_be_followed_is_refused(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        load(write(tmp_path / "me.yaml", text))


def test_experiments_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "extends: b.yaml\n")
    with pytest.raises(ConfigError, match=r"a.yaml -> b.yaml -> a.yaml"):
        load(write(tmp_path / "b.yaml", "extends: a.yaml\n").with_name("a.yaml"))


def test_every_preset_of_an_experiment_can_be_extended() -> None:
    for name in preset_names("experiment"):
        assert load({"extends": name, "name": name}).config == load(name).config
