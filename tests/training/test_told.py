"""Who looks on at a training: told of its evaluations, it may end it; its run stands under another one, with tags."""

from pathlib import Path
from typing import Any

import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import TrainingStopped
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import STOPPED_TAG, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.run import can_resume, resume, train
from tests.agents.worlds import settings_of


def config(folder: Path, **execution: Any) -> ExperimentConfig:
    """A second of training on the tiny world."""
    small = {
        "timesteps": 1024, "eval_every": 256, "eval_requests": 100, "eval_lanes": 2, "final_requests": 200,
        "final_lanes": 2, "progress": False, "register_model": False, "tracking_dir": str(folder),
        "sanity_checks": False, "checkpoint_every": 256,
    }  # fmt: skip
    found = experiment(settings_of("maskable-ppo"))
    return found.model_copy(update={"execution": found.execution.model_copy(update={**small, **execution})})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


def test_a_training_tells_of_each_evaluation_and_may_be_ended_by_who_is_told(folder: Path) -> None:
    told = []

    def look(step: int, blocking: Any) -> None:
        told.append((step, blocking.mean, blocking.ci95))
        if step >= 512:
            raise TrainingStopped("pruned: worse than the median")

    with open_store(folder).start("studies", "study") as study, pytest.raises(TrainingStopped, match="pruned"):
        train(config(folder), on_evaluation=look, parent_run_id=study.run_id, tags={"trial": "3"})
    store = open_store(folder)
    run = store.search_runs("tiny")[0]
    curve = store.metric_history(run.run_id, "evaluation/service_blocking")
    assert [(point.step, point.value) for point in curve] == [(step, mean) for step, mean, _ in told]
    assert [step for step, _, _ in told] == [256, 512]
    assert run.status is RunStatus.KILLED
    assert run.tags[STOPPED_TAG] == "pruned: worse than the median"
    assert (run.tags["mlflow.parentRunId"], run.tags["trial"]) == (study.run_id, "3")
    assert "failure" not in run.tags
    assert can_resume(folder, run.run_id)
    told.clear()
    done = resume(run.run_id, tracking_dir=folder, on_evaluation=lambda *one: told.append(one))
    assert [step for step, _ in told][-2:] == [768, 1024]
    assert [step for step, _, _ in done.learning_curve] == [256, 512, 768, 1024]
    found = store.find_run(run.run_id)
    assert (found.status, STOPPED_TAG in found.tags) == (RunStatus.FINISHED, False)
