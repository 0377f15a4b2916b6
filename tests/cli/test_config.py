"""`fusion-rl config`: one JSON object, one line for an error, and the exit codes that are promised."""

import json
from pathlib import Path

import pytest

from fusion_rl import __version__
from fusion_rl.cli.main import main
from fusion_rl.cli.output import print_json
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.load import flatten, load


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def test_show_as_json_has_every_setting_and_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "config", "show", "--load", "210", "--set", "network.k_paths=50", "--json")
    shown = json.loads(out)
    assert (code, err) == (0, "")
    assert list(shown) == list(flatten(load().config))
    assert shown["scenarios.0.load_erlang"] == {"value": 210.0, "origin": "command line"}
    assert shown["network.k_paths"] == {"value": 50, "origin": "command line"}
    assert shown["network.slots"] == {"value": 100, "origin": "network file deeprmsa-nsfnet"}
    assert shown["network.paths_file"] == {"value": None, "origin": "default"}


def test_show_as_a_table_has_a_row_for_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "config", "show", "-e", "maskrsa-jpn48", "--seed", "5", "--name", "1e5 \U0001f600")
    assert code == 0
    assert [key for key in flatten(load("maskrsa-jpn48").config) if key not in out] == []
    assert "[128, 128]" in out
    row = next(line for line in out.splitlines() if "execution.run_name" in line)
    assert "1e5 \U0001f600" in row
    assert "command line" in row


def test_show_as_yaml_is_read_back(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    _, out, _ = run(capsys, "config", "show", "--algorithm", "dqn", "--lanes", "4", "--yaml")
    (tmp_path / "mine.yaml").write_text(out)
    assert load(tmp_path / "mine.yaml").config == load(algorithm="dqn", overrides=["execution.lanes=4"]).config


def test_set_wins_over_the_option_of_the_same_setting(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "config", "show", "--load", "210", "--set", "scenarios.*.load_erlang=190", "--json")
    assert json.loads(out)["scenarios.0.load_erlang"]["value"] == 190


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "config", "presets", "--json")
    listed = json.loads(out)
    assert code == 0
    assert "deeprmsa-nsfnet" in listed["experiment"]
    assert set(listed["algorithm"]) >= set(ALGORITHM_MODELS)
    assert set(listed["execution"]) >= {"sanity", "quick", "production", "long", "gpu"}
    assert "ptrnet80-nsfnet" in run(capsys, "config", "presets", "network")[1]


def test_validate_says_yes_or_names_what_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(capsys, "config", "validate", "deeprmsa-usnet")[0] == 0
    (tmp_path / "bad.yaml").write_text("network: {topology: nsfnet, slots: -1}\nscenarios: deeprmsa\n")
    code, out, err = run(capsys, "config", "validate", str(tmp_path / "bad.yaml"))
    assert (code, out) == (2, "")
    assert "network.slots" in err
    assert "-1 should be greater than or equal to 1" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("config", "show", "-e", "nowhere"),
        ("config", "show", "--load", "0"),
        ("config", "show", "--load", "much"),
        ("config", "show", "--laod", "3"),
        ("config", "show", "--set", "network.slotz=3"),
        ("config", "show", "--json", "--yaml"),
        ("config", "presets", "netwrok"),
        ("confg",),
        ("config", "shwo"),
    ],
)
def test_bad_input_is_one_line_on_stderr_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_help_and_version_end_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "--version")[:2] == (0, f"fusion-rl {__version__}\n")
    for arguments in ((), ("--help",), ("config",), ("config", "show", "--help")):
        code, out, err = run(capsys, *arguments)
        assert (code, err) == (0, "")
        assert "Usage: fusion-rl" in out


def test_json_is_one_object_whatever_it_holds(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    value = {"mean": np.float64(0.5), "count": np.int64(3), "row": np.arange(2), "gone": float("nan"), "at": Path("a")}
    print_json({**value, "config": load().config.reward})
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("config")["name"] == "service"
    assert printed == {"mean": 0.5, "count": 3, "row": [0, 1], "gone": None, "at": "a"}
