"""`fusion-rl compare`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_rl.cli.main import main
from fusion_rl.testing import tiny

FEW = ("--requests", "400", "--lanes", "4", "--threads", "1")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [tiny.SCENARIO.model_dump(mode="json")],
    }
    Path("tiny.yaml").write_text(yaml.safe_dump(content))
    return "tiny.yaml"


def test_compare_prints_what_evaluate_counts_and_names_what_was_refused(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("compare", "-e", experiment, "--policies", "ksp-ff,sp-ff", "--loads", "10,20", "--seeds", "3", *FEW)
    code, out, err = run(capsys, *asked, "--at", "10", "--plot", "both.png", "--json")
    assert code == 0, err
    shown: Any = json.loads(out)
    assert [row["load_erlang"] for row in shown["loads"]] == [10, 20]
    at_20 = {one["policy"]: one for one in shown["loads"][1]["policies"]}
    assert at_20["sp-ff"]["refused_requests"] > 0 == at_20["ksp-ff"]["refused_requests"]
    assert at_20["sp-ff"]["to_first"]["ratio"] > 1
    assert shown["load_carried"]["sp-ff"]["load_erlang"] < shown["load_carried"]["ksp-ff"]["load_erlang"]
    assert Path("both.png").read_bytes()[:4] == b"\x89PNG"
    _, out, _ = run(capsys, "evaluate", "-e", experiment, "--load", "20", "--seed", "3", *FEW, "--json")
    assert json.loads(out)["blocked_requests"] == at_20["ksp-ff"]["blocked_requests"]

    code, out, _ = run(capsys, *asked, "--no-carried")
    assert code == 0
    assert "sp-ff left" in out
    assert "/ ksp-ff" in out
    assert "recorded as run" in out


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--seeds", "1,x"), "'x' is none"),
        (("--at", "0"), "between 0 and 100"),
        (("--loads", "a"), "'a' is no number"),
        (("--plot", "a.gif"), "unknown ending"),
        ((), "ask for 20,000 requests or more"),
        (("--no-carried", "--policies", "ksp-fff"), "ksp-ff"),
    ],
)
def test_what_cannot_be_used_is_one_line_before_any_work(
    experiment: str, given: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "compare", "-e", experiment, "--policies", "ksp-ff", *FEW, *given)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert message in err
    assert not Path("mlruns").exists()
