"""Layers are laid in the promised order, every value knows its origin, and what is wrong is said in one line."""

from pathlib import Path
from typing import Any

import pytest

from fusion_rl.config.load import flatten, load, preset_names, preset_summary
from fusion_rl.config.sources import CONCERNS
from fusion_rl.errors import ConfigError, UnknownNameError

BENCHMARKS = (
    "deeprmsa-cost239",
    "deeprmsa-nsfnet",
    "deeprmsa-usnet",
    "maskrsa-jpn48",
    "maskrsa-nsfnet",
    "ptrnet40-nsfnet",
    "ptrnet80-nsfnet",
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_with_nothing_given_the_default_is_deeprmsa_on_nsfnet() -> None:
    resolved = load()
    network, scenario = resolved.config.network, resolved.config.scenarios[0]
    assert resolved.config.name == "deeprmsa-nsfnet"
    assert (network.topology, network.links, network.slots, network.guard_slots) == ("nsfnet", "directed", 100, 1)
    assert (network.k_paths, network.path_order) == (5, "hops-per-se")
    assert scenario.load_erlang == 250
    assert scenario.offered_erlang == pytest.approx(171.7, abs=0.1)
    assert resolved.config.algorithm.name == "maskable-ppo"


def test_every_published_benchmark_is_there() -> None:
    assert set(preset_names("experiment")) == {*BENCHMARKS, "nsfnet-qot"}, "the one of ours is no benchmark"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_loads_with_five_paths_by_hops_per_efficiency(name: str) -> None:
    config = load(name).config
    assert config.name == name
    assert (config.network.k_paths, config.network.path_order) == (5, "hops-per-se")
    assert config.network.links == ("directed" if name.startswith("deeprmsa") else "shared")


@pytest.mark.parametrize("concern", CONCERNS)
def test_each_preset_of_a_concern_loads_and_says_what_it_is(concern: str) -> None:
    for name in preset_names(concern):
        base = name if name in BENCHMARKS else "deeprmsa-nsfnet"  # networks go with traffic that they can carry
        assert load(base, **{concern: name}).origin
        assert len(preset_summary(concern, name)) > 10


def test_an_unknown_concern_of_presets_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'network'"):
        preset_names("netwrok")


def test_origins_cover_exactly_the_settings() -> None:
    resolved = load()
    assert list(resolved.origin) == list(flatten(resolved.config))


def test_later_layers_win_and_each_value_knows_its_origin(tmp_path: Path) -> None:
    write(
        tmp_path / "agent.yaml", "name: ppo\nn_steps: 32\nbatch_size: 32\ngamma: 0.9\nexecution: {lanes: 4, seed: 3}\n"
    )
    write(tmp_path / "way.yaml", "seed: 4\ntimesteps: 10\nalgorithm: {gamma: 0.8, n_epochs: 2}\n")
    top = "network: deeprmsa-nsfnet\nscenarios: deeprmsa\nalgorithm: {preset: agent.yaml, n_epochs: 3}\n"
    path = write(tmp_path / "mine.yaml", top + "execution: way.yaml\n")
    resolved = load(path, overrides=["algorithm.n_steps=64"], overrides_from="command line")
    algorithm, execution = resolved.config.algorithm.hyperparameters(), resolved.config.execution
    expected = {
        "algorithm.clip_range": (0.2, "default"),
        "algorithm.batch_size": (32, "algorithm file agent.yaml"),
        "execution.lanes": (4, "algorithm file agent.yaml"),
        "execution.seed": (4, "execution file way.yaml"),
        "algorithm.gamma": (0.8, "execution file way.yaml"),
        "algorithm.n_epochs": (3, f"experiment file {path}"),
        "algorithm.n_steps": (64, "command line"),
        "reward.name": ("service", "reward file service"),
    }
    values = flatten(resolved.config)
    assert {key: (values[key], resolved.origin[key]) for key in expected} == expected
    assert (algorithm["gamma"], execution.seed) == (0.8, 4)
    assert resolved.config.name == "mine"


def test_a_concern_that_is_given_replaces_the_experiments_choice_with_its_changes() -> None:
    experiment: dict[str, Any] = {
        "network": {"preset": "deeprmsa-nsfnet", "k_paths": 50},
        "scenarios": {"preset": "deeprmsa", "load_erlang": 210},
    }
    config = load(experiment).config
    assert (config.network.k_paths, config.scenarios[0].load_erlang) == (50, 210)
    assert load(experiment, network="deeprmsa-cost239").config.network.k_paths == 5
    changed = load(experiment, network={"preset": "deeprmsa-usnet", "k_paths": 7}).config.network
    assert (changed.topology, changed.k_paths) == ("usnet", 7)


def test_another_algorithm_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    way = write(tmp_path / "way.yaml", "timesteps: 10\nalgorithm: {n_epochs: 2, net_arch: [8], gamma: 0.5}\n")
    config = load(algorithm="dqn", execution=way).config
    assert config.algorithm.name == "dqn"
    assert config.algorithm.net_arch == (8,)
    assert config.algorithm.hyperparameters()["gamma"] == 0.5
    changed = load(algorithm={"preset": "dqn", "tau": 0.5}, execution=way).config.algorithm.hyperparameters()
    assert (changed["tau"], changed["gamma"]) == (0.5, 0.5)
    by_name = load(overrides=["algorithm.learning_rate=0.5", "algorithm.name=a2c"]).config.algorithm
    assert by_name.hyperparameters()["learning_rate"] == 0.5
    assert by_name.hyperparameters()["gamma"] == 0.99  # its own default, not the preset of maskable-ppo


def test_advice_that_no_algorithm_knows_is_an_error(tmp_path: Path) -> None:
    way = write(tmp_path / "way.yaml", "timesteps: 10\nalgorithm: {n_epoch: 2}\n")
    with pytest.raises(ConfigError, match=r"algorithm.n_epoch \(execution file .*way.yaml\).*'n_epochs'"):
        load(execution=way)
    choosing = write(tmp_path / "choosing.yaml", "algorithm: {name: dqn}\n")
    with pytest.raises(ConfigError, match="can only advise"):
        load(execution=choosing)


TWO_SCENARIOS = [
    {"name": name, "load_erlang": 100, "bandwidth": {"kind": "uniform-integers", "low_gbps": 1, "high_gbps": 9}}
    for name in ("quiet", "busy")
]


def test_scenarios_are_addressed_by_number_by_name_and_all_at_once() -> None:
    overrides = ["scenarios.*.load_erlang=200", "scenarios.busy.seed=7", "scenarios.0.warmup_requests=5"]
    quiet, busy = load(scenarios=TWO_SCENARIOS, overrides=overrides).config.scenarios
    assert (quiet.load_erlang, quiet.seed, quiet.warmup_requests) == (200, 0, 5)
    assert (busy.load_erlang, busy.seed, busy.warmup_requests) == (200, 7, 0)


def test_a_part_wins_over_a_whole_whatever_the_order() -> None:
    formats = "network.reach_table=[{bits_per_s_per_hz: 2, reach_km: 900}, {bits_per_s_per_hz: 1}]"
    table = load(overrides=["network.reach_table.0.reach_km=800", formats]).config.network.reach_table
    assert table is not None
    assert [form.reach_km for form in table] == [800, None]


def test_another_kind_of_bandwidth_drops_the_values_of_the_first() -> None:
    overrides = ["scenarios.*.bandwidth.widths_slots=[1, 3]", "scenarios.*.bandwidth.weights=[1, 1]"]
    config = load(overrides=[*overrides, "scenarios.*.bandwidth.kind=slots"]).config
    assert config.scenarios[0].bandwidth.model_dump() == {
        "kind": "slots",
        "widths_slots": (1, 3),
        "weights": (1.0, 1.0),
    }


def test_overrides_may_be_a_mapping_and_may_choose_a_preset() -> None:
    config = load(overrides={"network": "maskrsa-nsfnet", "network.k_paths": 3, "reward.parameters.power": 2}).config
    assert (config.network.slots, config.network.k_paths) == (80, 3)
    assert config.reward.parameters == {"power": 2}


def test_numbers_are_read_as_people_write_them() -> None:
    config = load(overrides=["algorithm.learning_rate=1e-3", "execution.timesteps=1e6"]).config
    assert config.algorithm.hyperparameters()["learning_rate"] == 0.001
    assert config.execution.timesteps == 1_000_000


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("network.k_path=5", "unknown setting 'network.k_path': did you mean 'network.k_paths'"),
        ("k_paths=5", "unknown setting 'k_paths': did you mean 'network.k_paths'"),
        ("lanes=5", "did you mean 'execution.lanes'"),
        ("netwrok.k_paths=5", "did you mean 'network.k_paths'"),
        ("algorithm.gama=0.5", "did you mean 'algorithm.gamma'"),
        ("algorithm.buffer_size=5", "'buffer_size' is not a setting of maskable-ppo"),
        ("scenarios.1.seed=5", "unknown entry of scenarios '1': known: 0, deeprmsa"),
        ("scenarios.deprmsa.seed=5", "did you mean 'deeprmsa'"),
        ("network.k_paths.x=5", "unknown setting 'network.k_paths.x': did you mean 'network.k_paths'"),
        ("algorithm.net_arch.0=5", "did you mean 'algorithm.net_arch'"),
        ("network.k_paths=0", r"network.k_paths \(override\): 0 should be greater than or equal to 1"),
        ("network.k_paths=true", r"network.k_paths \(override\): cannot be true"),
        ("network.k_paths=2.5", "2.5 should be a valid integer"),
        ("network.links=shard", "unknown links 'shard': did you mean 'shared'"),
        ("algorithm.name=maskable-pppo", "unknown algorithm 'maskable-pppo': did you mean 'maskable-ppo'"),
        ("scenarios.*.load_erlang=0", "scenarios.0.load_erlang"),
        ("scenarios.*.bandwidth.kind=slots", "scenarios.0.bandwidth.widths_slots is missing"),
        ("network.reach_table=[]", "is empty"),
        ("network.paths_file=nowhere.csv", "no such file: nowhere.csv"),
        ("network.topology=nowhere.csv", "no such file: nowhere.csv"),
        ("network.k_paths", "has no '='"),
        ("network.k_paths=[", "malformed YAML"),
        ("network=nsfnet", "unknown network preset 'nsfnet'"),
        ("execution.lanes=3", "must divide"),
    ],
)
def test_a_wrong_override_is_one_clear_line(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(overrides=[override])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("concern", "text", "message"),
    [
        ("network", "topology: nsfnet\nslot: 80\n", r"network.slot \(network file .*mine.yaml\): unknown key 'slot'"),
        ("network", "topology: [\n", r"mine.yaml, line 2, column 1: malformed YAML"),
        ("network", "slots: 1\nslots: 2\n", r"mine.yaml, line 2, column 1: malformed YAML: the key 'slots' is given"),
        ("network", "", "is empty"),
        ("network", "- a\n", "expected settings of network"),
        ("network", "slots: 80\n", "network.topology is missing"),
        ("scenarios", "scenarios: []\n", "give at least one"),
        ("scenarios", "slots: 80\nscenarios: []\n", "'slots' belongs in `network`"),
        ("scenarios", "name: a\nload_erlang: 3\ntopology: nsfnet\n", "'topology' belongs in `network`"),
        ("algorithm", "learning_rate: 1\n", "algorithm.name is missing: choose from maskable-ppo, ppo"),
        ("reward", "nmae: service\n", "did you mean 'name'"),
        ("execution", "lanes: many\n", "'many' should be a valid integer"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, concern: str, text: str, message: str) -> None:
    path = write(tmp_path / "mine.yaml", text)
    with pytest.raises(ConfigError, match=message) as caught:
        load(**{concern: path})  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_wrong_experiment_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'deeprmsa-nsfnet'"):
        load("deeprmsa-nsfent")
    with pytest.raises(ConfigError, match=r"no such file: missing\.yaml"):
        load("missing.yaml")
    with pytest.raises(ConfigError, match="unknown key 'netwrok': did you mean 'network'"):
        load({"netwrok": "deeprmsa-nsfnet"})
    with pytest.raises(ConfigError, match=r"algorithm.name is missing"):
        load(algorithm={"gamma": 0.9})
    with pytest.raises(ConfigError, match="names no network: give a preset"):
        load({"scenarios": "deeprmsa"})
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(tmp_path / "bytes.yaml")


def test_files_are_found_beside_the_yaml_that_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside, elsewhere = tmp_path / "study", tmp_path / "cwd"
    beside.mkdir()
    elsewhere.mkdir()
    edges = write(beside / "ring.csv", "source,target,length_km\na,b,1\nb,c,1\nc,a,1\n")
    write(elsewhere / "paths.csv", "source,target\n")
    network = write(beside / "network.yaml", "topology: ring.csv\nreach_table: [{bits_per_s_per_hz: 1}]\n")
    monkeypatch.chdir(elsewhere)
    config = load(network=network, overrides=["network.paths_file=paths.csv"]).config
    assert config.network.topology == str(edges)
    assert config.network.paths_file == str(elsewhere / "paths.csv")


def test_a_stray_file_does_not_hide_a_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "nsfnet", "not a topology")
    write(tmp_path / "deeprmsa-nsfnet", "not an experiment")
    monkeypatch.chdir(tmp_path)
    assert load("deeprmsa-nsfnet").config.network.topology == "nsfnet"


def test_flat_settings_are_scalars() -> None:
    flat = flatten(load(overrides=["scenarios.*.pairs={kind: node-weights, weights: {1: 2, NO: 1}}"]).config)
    assert flat["algorithm.net_arch"] == "[128, 128]"
    assert flat["network.reach_table.0.reach_km"] == 625.0
    assert flat["scenarios.0.pairs.weights.NO"] == 1.0
    assert flat["reward.parameters"] == "{}"
    assert all(value is None or isinstance(value, str | int | float | bool) for value in flat.values())
