"""A saved configuration rebuilds the run by itself, wherever its folder is moved."""

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fusion_rl.config import yaml_text
from fusion_rl.config.load import dump, flatten, load, preset_names, save_resolved
from fusion_rl.errors import ConfigError


@pytest.mark.parametrize("name", preset_names("experiment"))
def test_a_saved_preset_loads_equal(name: str, tmp_path: Path) -> None:
    config = load(name, overrides=["execution.seed=7"]).config
    path = save_resolved(config, tmp_path / "run")
    again = load(path)
    assert again.config == config
    assert set(again.origin.values()) == {f"experiment file {path}"}
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["resolved_config.yaml"]


def test_the_dump_is_plain_yaml() -> None:
    config = load().config
    assert yaml.safe_load(dump(config))["network"]["topology"] == "nsfnet"


def test_named_files_go_with_the_configuration(tmp_path: Path) -> None:
    for folder, length in (("one", 1), ("two", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "table.csv").write_text(f"source,target,length_km\na,b,{length}\n")
    overrides = {
        "network.topology": str(tmp_path / "one" / "table.csv"),
        "network.paths_file": str(tmp_path / "two" / "table.csv"),
        "scenarios.*.pairs": {"kind": "matrix", "file": str(tmp_path / "one" / "table.csv")},
    }
    config = load(overrides=overrides).config
    save_resolved(config, tmp_path / "run")
    shutil.move(tmp_path / "run", tmp_path / "moved")
    shutil.rmtree(tmp_path / "one")
    shutil.rmtree(tmp_path / "two")

    again = load(tmp_path / "moved" / "resolved_config.yaml").config
    assert again.network.topology == str(tmp_path / "moved" / "inputs" / "table.csv")
    assert Path(again.network.topology).read_text().endswith("a,b,1\n")
    assert again.network.paths_file == str(tmp_path / "moved" / "inputs" / "table-2.csv")
    assert Path(again.network.paths_file).read_text().endswith("a,b,2\n")
    differ = {key for key, value in flatten(config).items() if flatten(again)[key] != value}
    assert differ == {"network.topology", "network.paths_file", "scenarios.0.pairs.file"}


def test_saving_again_in_the_same_folder_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "ring.csv").write_text("source,target,length_km\na,b,1\n")
    config = load(overrides={"network.topology": str(tmp_path / "ring.csv")}).config
    path = save_resolved(config, tmp_path / "run")
    first = path.read_text()
    again = load(path).config
    assert save_resolved(again, tmp_path / "run") == path
    assert path.read_text() == first
    assert sorted(file.name for file in (tmp_path / "run" / "inputs").iterdir()) == ["ring.csv"]


def test_a_folder_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot save the configuration in .*taken"):
        save_resolved(load().config, tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "a file"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("3.5", 3.5),
        ("1_000", 1000),
        ("010", 10),
        ("0x10", 16),
        ("NO", "NO"),
        ("on", "on"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("", None),
        ("~", None),
        ("[1, b]", [1, "b"]),
    ],
)
def test_yaml_values_are_what_they_look_like(text: str, value: object) -> None:
    read = yaml_text.parse(text, "test")
    assert read == value
    assert type(read) is type(value)


plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abNO01e-:._ ~\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abNO01", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(plain_values)
@example("0e0")
@example({"NO": "010"})
@settings(max_examples=200, deadline=None)
def test_what_is_written_as_yaml_is_read_back_equal(value: object) -> None:
    assert yaml_text.parse(yaml_text.text(value), "test") == value


def test_a_mapping_takes_over_what_it_does_not_say_itself_from_an_anchor() -> None:
    text = "one: &one {a: 1, b: 2}\ntwo:\n  <<: *one\n  b: 3\n"
    assert yaml_text.parse(text, "text") == {"one": {"a": 1, "b": 2}, "two": {"a": 1, "b": 3}}
    with pytest.raises(ConfigError, match="'b' is given twice"):
        yaml_text.parse(text + "  b: 4\n", "text")
