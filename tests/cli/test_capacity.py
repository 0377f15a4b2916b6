"""`fusion-rl capacity`."""

import json
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.cli.main import main
from fusion_rl.config.load import load
from fusion_rl.parity import published_loads
from fusion_rl.testing.tiny import TOPOLOGY_FILE

QUICK = ("--requests", "4000", "--lanes", "2", "--threads", "1", "--set", "scenarios.*.warmup_requests=500")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(("capacity", *arguments))
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_every_bound_and_estimate_stands_beside_heuristics_with_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "--experiment", "deeprmsa-nsfnet", "--load", "330", *QUICK)
    methods = {one["name"]: one for one in shown["methods"]}
    assert {name: one["kind"] for name, one in methods.items()} == {
        "cut-bound": "proven bound",
        "slot-counts": "estimate",
        "defragmentation": "estimate",
        "cut-set": "estimate",
        "mscl": "policy",
        "ksp-ff": "policy",
    }
    blocking = {name: one["service_blocking"]["mean"] for name, one in methods.items()}
    assert 0 < blocking["cut-bound"] < blocking["slot-counts"] < blocking["mscl"] < blocking["ksp-ff"]
    assert blocking["defragmentation"] < blocking["mscl"]
    assert methods["ksp-ff"]["blocked_requests"] == round(4000 * blocking["ksp-ff"])
    assert {
        "topology",
        "links",
        "k_paths",
        "path_order",
        "load_erlang",
        "warmup_requests",
        "requests",
        "lanes",
        "seed",
    } <= (shown["conditions"].keys())
    assert shown["published"]["load_erlang"]["defragmentation"] == 251.7


def test_a_method_blocks_what_evaluate_says(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "-m", "ksp-ff", "--load", "300", *QUICK)["methods"][0]
    with pytest.raises(SystemExit):
        main(("evaluate", "--policy", "ksp-ff", "--load", "300", *QUICK, "--json"))
    assert json.loads(capsys.readouterr().out)["blocked_requests"] == shown["blocked_requests"]


def test_the_load_at_a_share_is_found_and_conditions_leave_the_load_out(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run_json(capsys, "-m", "slot-counts", "-m", "ksp-ff", "--at", "2", *QUICK, "--lanes", "8")
    loads = {one["name"]: one["load_erlang"] for one in shown["methods"]}
    assert 200 < loads["ksp-ff"]["mean"] < 260 < loads["slot-counts"]["mean"] < 400
    assert all(load["ci95"] > 0 for load in loads.values())
    assert "load_erlang" not in shown["conditions"]


def test_the_table_says_what_is_a_bound_and_what_was_published(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "-m", "cut-bound", *QUICK)
    assert code == 0
    assert "proven bound" in out
    assert "cut-set 226.9 E, defragmentation 251.7 E (read off a figure, +- 1 to 2 E: K=50" in out


def test_published_loads_belong_to_presets_and_to_their_network_and_traffic_alone() -> None:
    assert all(load(block.setting).config.name == block.setting for block in published_loads.read())
    ours = load("deeprmsa-nsfnet", overrides=["network.k_paths=50", "scenarios.*.load_erlang=1"]).config
    assert published_loads.of(ours)["cut-set"] == 226.9
    for other in ("network.slots=80", "network.links=shared", "scenarios.*.bandwidth.high_gbps=50"):
        assert published_loads.of(load("deeprmsa-nsfnet", overrides=[other]).config) == {}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-m", "cutset"), "unknown capacity method 'cutset': did you mean 'cut-set'?"),
        (("--at", "0"), "--at 0: a percentage between 0 and 100 is needed"),
        (("--at", "0.1", "--requests", "1000", "--lanes", "2"), "of 1,000 requests 0.1 % are 1: too few"),
        (("--lanes", "1"), "'--lanes': Input should be greater than or equal to 2"),
        (("--scenario", "deeprmsaa"), "did you mean 'deeprmsa'?"),
        (("--load", "-5"), "load_erlang"),
        (("--at", "0.1", "--set", f"scenarios.*.trace={TOPOLOGY_FILE}"), "leave out --load and --at"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
