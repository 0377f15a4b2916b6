"""A FUSION ini becomes an experiment, and every one of its keys is accounted for."""

import configparser
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.cli.main import main
from fusion_rl.config.load import load
from fusion_rl.envs.make import create_sim_env
from fusion_rl.errors import ConfigError
from fusion_rl.parity.fusion import FORMATS, GBPS
from fusion_rl.parity.fusion_import import ALGORITHMS, _efficiency, read_ini
from fusion_rl.parity.fusion_ini import DEFAULTS
from fusion_rl.parity.fusion_keys import LEFT_OUT

INI = """
[general_settings]
holding_time = 0.2                 ; mean, seconds
mod_assumption = DEFAULT
erlang_start = 300
erlang_stop = 900
erlang_step = 300
max_iters = 4
guard_slots = 1
max_segments = 1
num_requests = 500
request_distribution = {"25": 0.0, "50": 0.10, "100": 0.60, "200": 0.20, "400": 0.10}
allocation_method = first_fit
route_method = k_shortest_path
save_step = 10
[topology_settings]
network = NSFNet
bw_per_slot = 12.5
cores_per_link = 3
[routing_settings]
k_paths = 3
[spectrum_settings]
c_band = 320
guard_slots = 2
[rl_settings]
obs_space = obs_4
device = cpu
path_algorithm = dqn
alpha_start = 0.001
alpha_end = 0.0001
alpha_update = linear_decay
gamma = 0.1
epsilon_start = 1.0
epsilon_end = 0.01
epsilon_update = exp_decay
feature_extractor = path_gnn
reward = 1
penalty = -10
sparkle = 7
[s3_settings]
bucket = x
"""


def write(folder: Path, text: str, name: str = "mine.ini") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def test_the_five_concerns_come_out_as_the_ini_says(tmp_path: Path) -> None:
    config = load(read_ini(write(tmp_path, INI)).experiment).config
    network, scenario, algorithm = config.network, config.scenarios["erlang-600"], config.algorithm.model_dump()
    assert (network.topology, network.links, network.slots, network.k_paths) == ("nsfnet-fusion", "shared", 320, 3)
    assert (network.guard_slots, network.path_order, network.slicing) == (2, "km", None)
    assert [(f.name, f.bits_per_s_per_hz, f.reach_km) for f in network.reach_table or ()] == [
        ("64-QAM", 6.0, 916.0), ("16-QAM", 4.0, 2375.0), ("QPSK", 2.0, 5540.0),
    ]  # fmt: skip
    assert config.scenarios.names() == ("erlang-300", "erlang-600", "erlang-900")
    assert (scenario.mean_holding_time, scenario.requests_per_episode, scenario.warmup_requests) == (0.2, 500, 0)
    assert scenario.bandwidth.model_dump()["values_gbps"] == (50, 100, 200, 400)
    assert (algorithm["name"], algorithm["observation"], algorithm["gamma"]) == ("dqn", "obs_4", 0.1)
    assert algorithm["learning_rate"] == {"kind": "linear", "start": 0.001, "end": 0.0001}
    assert algorithm["exploration"]["floor"] == 0.01
    assert (config.reward.success, config.reward.block, config.execution.timesteps) == (1, -10, 2000)


def test_every_key_is_accounted_for_and_what_is_not_used_has_a_reason(tmp_path: Path) -> None:
    imported = read_ini(write(tmp_path, INI))
    parser = configparser.ConfigParser(inline_comment_prefixes=(";", "#"))
    parser.read_string(INI)
    keys = [(section, key) for section in parser.sections() for key in parser[section]]
    assert [(note.section, note.key) for note in imported.notes] == keys
    left = {(note.section, note.key): note.why for note in imported.left_out}
    assert set(left) == {
        ("general_settings", "guard_slots"), ("general_settings", "save_step"), ("rl_settings", "sparkle"),
        ("topology_settings", "cores_per_link"), ("rl_settings", "feature_extractor"), ("s3_settings", "bucket"),
    }  # fmt: skip
    assert all(left.values())
    assert "given again in [spectrum_settings]" in left["general_settings", "guard_slots"]
    assert left["s3_settings", "bucket"] == left["rl_settings", "sparkle"]


def test_widths_in_slots_are_those_of_fusions_table() -> None:
    for form, entries in FORMATS.items():
        rows = tuple((float(gbps), km, slots) for gbps, (km, slots) in zip(GBPS, entries, strict=True))
        efficiency = _efficiency(rows, 12.5)
        assert [-(-gbps // (12.5 * efficiency)) for gbps in GBPS] == [slots for _, slots in entries], form


def test_a_short_ini_is_filled_up_with_fusions_defaults_and_says_so(tmp_path: Path) -> None:
    imported = read_ini(write(tmp_path, "[simulation]\nnum_requests = 50\n[rl]\npath_algorithm = q_learning\n"))
    config = load(imported.experiment).config
    assert (config.algorithm.name, config.network.slots, config.scenarios[0].load_erlang) == ("q-learning", 320, 300)
    defaults = {note.key: note for note in imported.notes if not note.section}
    assert set(defaults) == set(DEFAULTS) - {"num_requests"}
    assert all("not in the file" in note.why for note in defaults.values())


@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_of_fusions_agents_has_one_here_that_can_be_made(name: str, tmp_path: Path) -> None:
    imported = read_ini(write(tmp_path, INI.replace("path_algorithm = dqn", f"path_algorithm = {name}")))
    config = load(imported.experiment, overrides={"scenarios.*.requests_per_episode": 5}).config
    assert config.algorithm.name == ALGORITHMS[name]
    env = create_sim_env(config)
    env.reset(seed=1)


def test_formats_are_read_from_the_file_that_the_ini_names(tmp_path: Path) -> None:
    table = {"MINE": {"100": {"QPSK": {"max_length": 700, "slots_needed": 3}, "BPSK": {"max_length": 0}}}}
    (tmp_path / "mods").mkdir()
    (tmp_path / "mods" / "mine.json").write_text(json.dumps(table))
    text = INI.replace("mod_assumption = DEFAULT", "mod_assumption = MINE\nmod_assumption_path = mods\\mine.json")
    formats = load(read_ini(write(tmp_path, text)).experiment).config.network.reach_table or ()
    assert [(f.name, f.reach_km, f.bits_per_s_per_hz) for f in formats] == [("QPSK", 700, 3.0)]
    with pytest.raises(ConfigError, match="no table of formats named OTHER"):
        read_ini(write(tmp_path, text.replace("= MINE", "= OTHER")))
    stands_in = read_ini(write(tmp_path, text.replace("mods\\mine", "gone")))
    assert any(n.key == "mod_assumption" and "DEFAULT's stands in" in n.why for n in stands_in.notes)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("k_paths = 3", "k_paths = three", r"\[routing_settings\] k_paths cannot be 'three'"),
        ("erlang_step = 300", "erlang_step = 0", "erlang_step 0 makes no list"),
        ("network = NSFNet", "network = Spainbackbone30", "Spainbackbone30 is not a topology that is known here"),
        ("c_band = 320", "c_band = 0", "network.slots"),
        ('{"25": 0.0', '{"25": "many"', "request_distribution cannot be"),
        ("[general_settings]\n", "", "cannot be read as an ini file"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(old: str, new: str, told: str, tmp_path: Path) -> None:
    assert old in INI
    with pytest.raises(ConfigError, match=told):
        load(read_ini(write(tmp_path, INI.replace(old, new))).experiment)


def test_a_network_that_is_not_known_can_be_named(tmp_path: Path) -> None:
    path = write(tmp_path, INI.replace("NSFNet", "Spainbackbone30"))
    assert load(read_ini(path, topology="cost239").experiment).config.network.topology == "cost239"


def test_no_key_is_both_used_and_left_out() -> None:
    assert not set(DEFAULTS) & set(LEFT_OUT)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,12}", fullmatch=True), st.sampled_from(["1", "x", "", "None"])))
def test_keys_of_any_name_are_listed_and_never_lost(tmp_path_factory: pytest.TempPathFactory, keys: Any) -> None:
    known = {*DEFAULTS, "erlang_stop", "erlang_step", "max_iters", "max_segments", "seed"}
    keys = {key: value for key, value in keys.items() if key not in known}
    text = "[rl_settings]\nreward = 1\n" + "".join(f"{key} = {value}\n" for key, value in keys.items())
    imported = read_ini(write(tmp_path_factory.mktemp("ini"), text))
    assert {note.key for note in imported.notes if note.section} == {"reward", *keys}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def test_the_command_writes_one_file_or_one_for_each_concern(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ini = str(write(tmp_path, INI))
    code, out, err = run(capsys, "config", "import", ini)
    assert code == 0
    assert load(yaml.safe_load(out)).config.network.slots == 320
    assert "not a key of FUSION's" in err
    assert run(capsys, "config", "import", ini, "-o", str(tmp_path / "one.yaml"))[0] == 0
    assert run(capsys, "config", "import", ini, "-o", str(tmp_path / "many"))[0] == 0
    one, many = load(tmp_path / "one.yaml").config, load(tmp_path / "many" / "experiment.yaml").config
    assert one == many
    assert {path.stem for path in (tmp_path / "many").iterdir()} == {
        "network", "scenarios", "algorithm", "reward", "execution", "experiment",
    }  # fmt: skip
    told = json.loads(run(capsys, "config", "import", ini, "--json")[1])
    assert {key["key"] for key in told["keys"] if not key["setting"]} >= {"sparkle", "bucket", "cores_per_link"}
    code, out, err = run(capsys, "config", "import", str(tmp_path / "gone.ini"), "-o", str(tmp_path / "no.yaml"))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "no.yaml").exists()
