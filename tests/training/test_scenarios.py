"""Training on several scenarios: shared out, counted, evaluated one by one and together."""

import json
from pathlib import Path

import numpy as np
import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.intervals import t_half_width
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.evaluate import evaluate, evaluate_scenarios
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import train

SMALL = {
    "timesteps": 512,
    "lanes": 4,
    "eval_every": 256,
    "eval_requests": 160,
    "final_requests": 400,
    "parity_requests": 100,
}


def many(folder: Path, loads: dict[str, float], **execution: object) -> ExperimentConfig:
    """The tiny world at some loads."""
    scenarios = [tiny.SCENARIO.model_copy(update={"name": name, "load_erlang": e}) for name, e in loads.items()]
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [{**scenario.model_dump(mode="json"), "requests_per_episode": 20} for scenario in scenarios],
        "algorithm": {"name": "maskable-ppo", "n_steps": 32, "batch_size": 32, "n_epochs": 1, "net_arch": [8]},
        "execution": {
            **SMALL, "final_lanes": 8, "progress": False, "register_model": False, "tracking_dir": str(folder),
            **execution,
        },
    }  # fmt: skip
    return load(content).config


TWELVE = {f"load{10 + 5 * i}": 10.0 + 5 * i for i in range(12)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture(scope="module")
def result(folder: Path) -> RunResult:
    with pytest.warns(UserWarning, match="12 scenarios take turns on 4 lanes"):
        return train(many(folder, TWELVE))


def test_twelve_scenarios_on_four_lanes_are_all_trained_on_and_shown(result: RunResult, folder: Path) -> None:
    assert set(result.training_requests) == set(TWELVE)
    assert min(result.training_requests.values()) >= 20
    assert sum(result.training_requests.values()) == result.timesteps
    run = open_store(folder).find_run(result.run_id)
    for name, count in result.training_requests.items():
        assert run.metrics[f"rollout/{name}/requests"] == count
        assert 0 <= run.metrics[f"rollout/{name}/service_blocking"] <= 1


def test_each_scenario_and_their_mean_are_recorded_under_names_that_are_alike(result: RunResult, folder: Path) -> None:
    run = open_store(folder).find_run(result.run_id)
    for policy in ("evaluation", "baseline/ksp-ff"):
        each = [run.metrics[f"{policy}/{name}/service_blocking"] for name in TWELVE]
        assert run.metrics[f"{policy}/service_blocking"] == pytest.approx(np.mean(each))
        assert each[0] < each[-1], "more load is blocked more"
    said = json.loads(json.dumps(result.as_dict()))
    assert said["service_blocking"]["mean"] == run.metrics["evaluation/service_blocking"]
    assert said["scenarios"]["load10"]["training_requests"] == result.training_requests["load10"]
    curve = open_store(folder).metric_history(result.run_id, "evaluation/load10/service_blocking")
    assert [point.step for point in curve] == [256, 512, 512]
    assert [mean for _, mean, _ in result.learning_curve] == [
        point.value for point in open_store(folder).metric_history(result.run_id, "evaluation/service_blocking")[:2]
    ]


def test_the_run_has_a_table_of_all_policies_on_all_scenarios(result: RunResult, folder: Path) -> None:
    path = open_store(folder).artifact_path(result.run_id, "scenarios.json")
    table = json.loads(path.read_text())
    assert set(table["columns"]) >= {"scenario", "training_requests", "policy", "service_blocking", "ci95"}
    scenarios = [row[table["columns"].index("scenario")] for row in table["data"]]
    assert set(scenarios) == {*TWELVE, "all"}
    assert scenarios.count("all") == 1 + len(result.baselines)


def test_together_is_the_mean_over_scenarios_lane_by_lane(tmp_path: Path) -> None:
    config = many(tmp_path, {"low": 10.0, "high": 60.0})
    both = evaluate_scenarios(config, "ksp-ff", requests=800, lanes=8)
    parts = [evaluate(config, "ksp-ff", requests=800, lanes=8, scenario=s) for s in range(2)]
    by_lane = np.mean([part.tally.blocking_by_lane() for part in parts], axis=0)
    assert both.service_blocking.mean == pytest.approx(np.mean([part.service_blocking.mean for part in parts]))
    assert both.service_blocking.ci95 == pytest.approx(t_half_width(by_lane))
    assert both.tally.blocked_requests == sum(part.tally.blocked_requests for part in parts)
    assert {name: found.service_blocking for name, found in both.by_scenario.items()} == {
        "low": parts[0].service_blocking,
        "high": parts[1].service_blocking,
    }
    assert f"{both.conditions['load_erlang']:g}" == "10/60"
    assert both.conditions["slots"] == 8


def test_one_scenario_together_is_that_scenario(tmp_path: Path) -> None:
    found = evaluate_scenarios(many(tmp_path, {"only": 20.0}), "ksp-ff", requests=400, lanes=8)
    assert found.by_scenario == {"only": found}
    assert "scenarios" not in found.as_dict()


def test_enough_lanes_are_no_reason_to_warn(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    done = train(many(tmp_path, {"low": 10.0, "high": 60.0}, timesteps=128, eval_every=0))
    assert done.training_requests == {"low": 64, "high": 64}
    assert not [warned for warned in recwarn if "take turns" in str(warned.message)]
