"""`train --eval-only` and `evaluate --loads`: what they print, write and refuse."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_rl.cli.main import main
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store

FEW = ("--requests", "800", "--lanes", "8", "--threads", "1")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny world as an experiment file, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    busy = tiny.SCENARIO.model_copy(update={"name": "busy", "load_erlang": 40.0})
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [scenario.model_dump(mode="json") for scenario in (tiny.SCENARIO, busy)],
        "algorithm": {"name": "maskable-ppo", "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
        "execution": {
            "lanes": 4, "eval_every": 0, "final_requests": 800, "final_lanes": 8, "timesteps": 128,
            "parity_requests": 100,
            "register_model": False,
        },
    }  # fmt: skip
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return "tiny.yaml"


def test_an_agent_is_judged_without_training_as_it_was_after_it(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "train", "-e", experiment, "--seed", "5", "--no-sanity-checks")
    assert code == 0
    assert "sanity check" not in err
    store = open_store("mlruns")
    [trained] = store.search_runs()
    assert trained.tags["sanity_checks"] == "skipped"
    checkpoint = f"mlruns/checkpoints/{trained.run_id}/final.bundle"

    found = run_json(
        capsys, "train", "-e", experiment, "--eval-only", checkpoint, "--set", "execution.final_loads=[5,20]"
    )
    judged = store.find_run(found["run_id"])
    assert judged.tags["evaluation_of"] == checkpoint
    metric = "evaluation/service_blocking"
    assert judged.metrics[metric] == trained.metrics[metric] == found["evaluation"]["service_blocking"]["mean"]
    least, most = (judged.metrics[f"{metric}_{which}"] for which in ("min", "max"))
    assert least <= judged.metrics[metric] <= most
    assert judged.metrics[f"{metric}_std"] > 0
    assert set(found["scenarios"]) == {"tiny", "busy"}
    assert found["scenarios"]["busy"]["service_blocking_of_lanes"]["max"] > most
    assert judged.metrics["evaluation/busy/service_blocking"] == found["scenarios"]["busy"]["service_blocking"]["mean"]
    assert set(found["loads"]) == {"5", "20"}
    plots = {path.name for path in store.artifact_path(found["run_id"], "plots").iterdir()}
    assert {"blocking.png", "utilisation.png", "blocking_against_load.png", "metrics.json"} <= plots
    assert len(list(Path("mlruns/checkpoints").iterdir())) == 1

    code, out, _ = run(capsys, "train", "-e", experiment, "--eval-only", checkpoint)
    assert code == 0
    assert "difference to" in out
    assert re.search(r"\W busy +\W +40 ", out), "each scenario has a line of its own"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--eval-only", "ksp-ff"), "is a heuristic"),
        (("--eval-only", "gone.bundle"), "does not exist"),
        (("--eval-only", "x.bundle", "--timesteps", "5", "--seed", "0"), "leave out --seed, --timesteps"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_a_run_begins(
    arguments: tuple[str, ...], told: str, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "train", "-e", experiment, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert not Path("mlruns").exists()


def test_a_sweep_of_loads_compares_all_policies_at_each(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("evaluate", "-e", experiment, "--loads", "20,5", "-p", "ksp-ff", "-p", "random", *FEW)
    found = run_json(capsys, *asked, "--plot", "sweep.png")["loads"]
    assert [one["load_erlang"] for one in found] == [5.0, 20.0]
    first, other = found[1]["policies"]
    assert (first["policy"], other["policy"], other["load_erlang"]) == ("ksp-ff", "random", 20.0)
    apart = other["service_blocking"]["mean"] - first["service_blocking"]["mean"]
    assert other["difference_to_first"]["mean"] == pytest.approx(apart)
    alone = run_json(capsys, "evaluate", "-e", experiment, "--load", "20", "-p", "random", *FEW)
    assert alone["service_blocking"] == other["service_blocking"]
    assert Path("sweep.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in Path().iterdir()) == ["sweep.png", "tiny.yaml"]
    code, out, _ = run(capsys, *asked)
    assert code == 0
    assert "random less ksp-ff" in out
    assert f"{first['service_blocking']['mean']:.5f} ± " in out
    assert "E nominal" not in out


def test_a_comparison_can_be_drawn_too(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = run(capsys, "evaluate", "-e", experiment, "-p", "ksp-ff", "-p", "random", *FEW, "--plot", "two.svg")
    assert code == 0
    drawn = Path("two.svg").read_text()
    assert "<svg" in drawn


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--loads", "190,many"), "'many' is no number"),
        (("--loads", "190,-1"), "must be above 0"),
        (("--loads", "190", "--load", "5"), "--loads and --load cannot both be given"),
        (("--loads", "190", "-p", "kspff"), "did you mean 'ksp-ff'"),
        (("--plot", "x.gif"), "unknown ending '.gif'"),
        (("--plot", "gone/x.png"), "must be a folder"),
    ],
)
def test_a_sweep_that_cannot_be_made_is_refused(
    arguments: tuple[str, ...], told: str, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "evaluate", "-e", experiment, *arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
