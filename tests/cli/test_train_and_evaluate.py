"""`fusion-rl train` and `evaluate` on the tiny world: what they print, and that they agree with each other."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_rl.cli.main import main
from fusion_rl.testing import tiny

FEW = ("--requests", "4000", "--lanes", "8", "--threads", "1")
EVALUATION_KEYS = {
    "policy", "topology", "links", "k_paths", "path_order", "load_erlang", "offered_erlang", "requests",
    "warmup_requests", "lanes", "seed", "service_blocking", "bit_rate_blocking", "blocked_requests", "block_reasons",
    "requests_per_second",
}  # fmt: skip
TRAINING_KEYS = {
    "run_id", "name", "algorithm", "timesteps", "steps_per_second", "checkpoint", "weights_sha256",
    "service_blocking", "baselines", "parity_disagreements",
}  # fmt: skip


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """What a command prints as JSON, and nothing else, on stdout."""
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The tiny world as an experiment file, in a working directory of its own."""
    monkeypatch.chdir(tmp_path)
    second = tiny.SCENARIO.model_copy(update={"name": "busy", "load_erlang": 40.0})
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [scenario.model_dump(mode="json") for scenario in (tiny.SCENARIO, second)],
        "algorithm": {"name": "maskable-ppo", "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
        "execution": {
            "lanes": 4,
            "eval_every": 0,
            "final_requests": 800,
            "parity_requests": 100,
            "final_lanes": 8,
            "progress": False,
        },
    }
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(content))
    return "tiny.yaml"


def test_evaluate_prints_one_object_that_names_its_conditions(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run_json(capsys, "evaluate", "-e", experiment, "--policy", "ksp-ff", "--seed", "3", "--load", "30", *FEW)
    assert EVALUATION_KEYS - shown.keys() == set()
    assert (shown["load_erlang"], shown["seed"], shown["lanes"], shown["requests"]) == (30.0, 3, 8, 4000)
    assert shown["blocked_requests"] == sum(shown["block_reasons"].values())
    assert shown["service_blocking"]["mean"] == shown["blocked_requests"] / 4000
    assert shown["service_blocking"]["ci95"] > 0


@pytest.mark.parametrize("policy", ["ksp-ff", "random"])
def test_a_recorded_evaluation_is_replayed_with_the_same_outcome(
    policy: str, experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("evaluate", "-e", experiment, "--scenario", "busy", "--policy", policy, "--seed", "3", *FEW)
    recorded = run_json(capsys, *asked, "--record", "run.csv")
    replayed = run_json(capsys, *asked, "--set", "scenarios.busy.trace=run.csv")
    assert recorded["blocked_requests"] > 0
    outcome = ("service_blocking", "bit_rate_blocking", "block_reasons", "utilisation", "fragmentation")
    assert {key: replayed[key] for key in outcome} == {key: recorded[key] for key in outcome}
    assert replayed["trace"].endswith("run.csv")
    assert replayed["offered_erlang"] == pytest.approx(recorded["offered_erlang"], rel=0.1)


def test_what_cannot_be_recorded_or_replayed_is_refused_before_the_run(
    experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "short.csv").write_text("arrival_time,holding_time,source,destination,bandwidth_gbps\n0,1,1,2,25\n")
    trace = ("--set", "scenarios.*.trace=short.csv")
    for arguments, told in (
        (("--record", "run.txt"), "unknown ending '.txt'; known: .csv, .parquet"),
        (("--record", "gone/run.csv"), "must be a folder that can be written"),
        (("--set", "scenarios.*.trace=gone.csv"), "no such file: gone.csv"),
        ((*trace, "--load", "30"), "--load cannot change"),
        ((*trace, "--lanes", "1"), "fewer than"),
    ):
        code, out, err = run(capsys, "evaluate", "-e", experiment, *arguments)
        assert (code, out) == (2, "")
        assert told in err
        assert err.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["short.csv", "tiny.yaml"]


def test_what_cannot_be_estimated_is_null(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    one = ("--requests", "1", "--lanes", "1", "--threads", "1")
    shown = run_json(
        capsys, "evaluate", "-e", experiment, "--load", "100000", "--set", "scenarios.*.warmup_requests=200", *one
    )
    assert shown["service_blocking"] == {"mean": 1.0, "ci95": None}
    shown = run_json(capsys, "evaluate", "-e", experiment, "--load", "0.001", *one)
    assert shown["service_blocking"] == {"mean": 0.0, "ci95": 1.0}  # of one request nothing better can be said


def test_a_scenario_is_chosen_by_name(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_json(capsys, "evaluate", "-e", experiment, *FEW)["scenario"] == "tiny"
    shown = run_json(capsys, "evaluate", "-e", experiment, "--scenario", "busy", *FEW)
    assert (shown["scenario"], shown["load_erlang"]) == ("busy", 40.0)


def test_several_policies_are_compared_on_the_same_requests(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    both = ("-p", "ksp-ff", "-p", "random")
    first, other = run_json(capsys, "evaluate", "-e", experiment, *both, *FEW)["policies"]
    assert first["difference_to_first"] == {"mean": 0.0, "ci95": 0.0}
    apart = other["service_blocking"]["mean"] - first["service_blocking"]["mean"]
    assert other["difference_to_first"]["mean"] == pytest.approx(apart)
    alone = run_json(capsys, "evaluate", "-e", experiment, "-p", "random", *FEW)
    assert alone["blocked_requests"] == other["blocked_requests"]
    table = run(capsys, "evaluate", "-e", experiment, *both, *FEW)[1]
    assert f"{other['service_blocking']['mean']:.5f} ± " in table
    assert "difference to ksp-ff" in table


def test_one_policy_without_json_is_a_table_of_result_and_conditions(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = run_json(capsys, "evaluate", "-e", experiment, *FEW)
    out = run(capsys, "evaluate", "-e", experiment, *FEW)[1]
    assert f"{shown['service_blocking']['mean']:.5f} ± {shown['service_blocking']['ci95']:.5f}" in out
    assert "offered erlang" in out


def test_a_trained_agent_is_recorded_and_can_be_evaluated_again(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run_json(capsys, "train", "-e", experiment, "--timesteps", "256", "--seed", "5", "--name", "mine")
    assert TRAINING_KEYS - result.keys() == set()
    assert (result["name"], result["parity_disagreements"]) == ("mine", 0)
    assert "ksp-ff" in result["baselines"]

    same_traffic = ("--requests", "800", "--lanes", "8", "--seed", "10000", "--all-scenarios")
    for address in (result["checkpoint"], result["model"], f"runs:/{result['run_id']}/checkpoints/final.zip"):
        again = run_json(capsys, "evaluate", "-e", experiment, "--policy", address, *same_traffic)
        assert again["service_blocking"] == result["service_blocking"]
    heuristic = run_json(capsys, "evaluate", "-e", experiment, "--policy", "ksp-ff", *same_traffic)
    assert heuristic["service_blocking"] == result["baselines"]["ksp-ff"]

    familiar = run(capsys, "evaluate", "-e", experiment, "-p", result["checkpoint"], *FEW, "--seed", "5")
    assert familiar[0] == 0
    assert "was trained with seed 5 too" in familiar[2]

    code, out, err = run(capsys, "evaluate", "-p", result["checkpoint"], *FEW)  # the default network is another
    assert (code, out) == (2, "")
    assert "does not fit this network" in err


def test_training_without_json_says_where_the_agent_stands_and_what_to_do_next(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "train", "-e", experiment, "--timesteps", "128", "--load", "30")
    assert code == 0
    assert "difference to maskable-ppo" in out
    assert "ksp-ff" in out
    assert "fusion-rl ui --tracking-dir mlruns" in out
    advised = re.search(r"fusion-rl (evaluate .*\.bundle --all-scenarios)", out)
    assert advised is not None
    words = shlex.split(advised[1])
    assert words[:5] == ["evaluate", "--experiment", experiment, "--load", "30.0"]
    assert run(capsys, *words, *FEW)[0] == 0


def test_a_setting_that_failed_to_train_left_no_run(experiment: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "train", "-e", experiment, "--set", "algorithm.batch_size=60")
    assert (code, out) == (2, "")
    assert "must divide" in err
    assert not Path("mlruns").exists()


def test_scenarios_are_evaluated_by_themselves_and_together(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("evaluate", "-e", experiment, "-p", "ksp-ff", "-p", "random", *FEW)
    both = run_json(capsys, *asked, "--all-scenarios")["policies"][0]
    parts = [run_json(capsys, *asked, "--scenario", name)["policies"][0] for name in ("tiny", "busy")]
    for part in parts:
        assert both["scenarios"][part["scenario"]]["service_blocking"] == part["service_blocking"]
    means = [part["service_blocking"]["mean"] for part in parts]
    assert both["service_blocking"]["mean"] == pytest.approx(sum(means) / 2)
    out = run(capsys, *asked, "--all-scenarios")[1]
    assert "20/40 E nominal" in out
    assert re.search(r"busy +│ 40 ", out)
    assert f"{both['scenarios']['busy']['service_blocking']['mean']:.5f} ± " in out
    code, _, err = run(capsys, *asked, "--all-scenarios", "--scenario", "busy")
    assert (code, err.count("\n")) == (2, 1)


def test_training_on_several_scenarios_ends_with_a_table_of_each(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "train", "-e", experiment, "--timesteps", "128", "--lanes", "1", "--name", "turns",
                         "--set", "algorithm.batch_size=32")  # fmt: skip
    assert code == 0
    assert "warning: 2 scenarios take turns on 1 lane" in err
    assert "128 steps on 1 lane, scenarios tiny, busy" in err
    row = next(line for line in out.splitlines() if line.startswith("│ busy"))
    assert row.split("│")[3].strip() == "28", "100 of the first scenario, then 28 of the second"


def test_the_local_profile_is_short_and_the_server_profile_writes_a_log(
    experiment: str, capsys: pytest.CaptureFixture[str]
) -> None:
    short = ("--timesteps", "128", "--set", "execution.eval_every=64", "--set", "execution.eval_requests=80")
    local = run_json(capsys, "train", "-e", experiment, "--profile", "local", *short)
    assert local["timesteps"] == 128
    assert set(local["scenarios"]) == {"tiny"}
    few = ("--set", "execution.final_requests=800")
    code, _, err = run(capsys, "train", "-e", experiment, "--profile", "server", *short, *few, "--model-name", "served")
    assert code == 0, err
    [log] = Path("mlruns/logs").glob("*/train.log")
    assert str(log) in err
    assert "steps: blocking" not in err
    text = log.read_text()
    assert "128 steps on 4 lanes, scenarios tiny, busy" in " ".join(text.split())
    assert text.count("steps: blocking") == 1  # evaluations wait for the update, and there is one
    code, out, _ = run(capsys, "config", "show", "-e", str(log.with_name("resolved_config.yaml")), "--json")
    assert code == 0
    assert json.loads(out)["execution.model_name"]["value"] == "served"
    assert run_json(capsys, "evaluate", "-e", experiment, "-p", "models:/served/1", *FEW)["blocked_requests"] >= 0


def test_a_model_goes_on_with_its_own_experiment_or_with_other_scenarios(
    experiment: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_json(capsys, "train", "-e", experiment, "--timesteps", "128", "--name", "first")
    second = run_json(capsys, "train", "--resume-from", "first", "--timesteps", "256", "--load", "30")
    assert second["timesteps"] == 256
    assert {found["service_blocking"]["mean"] > 0 for found in second["scenarios"].values()} == {True}
    other = {"extends": experiment, "scenarios": [{**tiny.SCENARIO.model_dump(mode="json"), "name": "other"}]}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other))
    third = run_json(capsys, "train", "-e", "other.yaml", "--resume-from", second["checkpoint"], "--timesteps", "128")
    assert set(third["scenarios"]) == {"other"}
    chain = run_json(capsys, "lineage", third["run_id"])["runs"]
    assert [row["run_id"] for row in chain] == [first["run_id"], second["run_id"], third["run_id"]]

    code, out, err = run(capsys, "train", "--resume-from", "first", "--set", "network.k_paths=1")
    assert (code, out) == (2, "")
    assert "action space: it has Discrete(2), here Discrete(1)" in err
    code, _, err = run(capsys, "train", "--resume-from", "frist")
    assert (code, err.count("\n")) == (2, 1)
    assert "frist" in err
