"""Early stopping: what ends a training and when, and that a resumed training stops where it would have."""

import json
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.config.execution import EarlyStopping as Settings
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.callbacks import EpisodeBlocking
from fusion_rl.training.early_stopping import EarlyStopping
from fusion_rl.training.run import resume, train
from tests.agents.worlds import settings_of

# with patience 2, the fourth evaluation is the second in a row that is no better
BLOCKING = [0.10, 0.08, 0.085, 0.08, 0.02]


def judged(settings: Settings, blocking: list[float]) -> EarlyStopping:
    stopping = EarlyStopping(settings)
    for number, share in enumerate(blocking, start=1):
        if stopping.reason is None:
            stopping.judge(100 * number, share)
    return stopping


def test_it_ends_after_so_many_evaluations_that_are_no_improvement() -> None:
    stopping = judged(Settings(patience=2), BLOCKING)
    assert stopping.reason == ("stopped at step 400: 2 evaluations in a row were no better than 0.08000 at step 200")
    assert judged(Settings(patience=3), BLOCKING).reason is None


def test_a_small_improvement_can_count_for_none() -> None:
    slowly = [0.10, 0.099, 0.098, 0.097]
    assert judged(Settings(patience=3), slowly).reason is None
    told = judged(Settings(patience=3, min_improvement=0.01), slowly).reason
    assert told is not None
    assert "no better by more than 0.01 than 0.10000 at step 100" in told


def test_it_does_not_end_before_its_least_steps() -> None:
    assert judged(Settings(patience=1, min_steps=500), [0.1, 0.1, 0.1, 0.1]).reason is None
    stopped = judged(Settings(patience=1, min_steps=500), [0.1] * 6)
    assert stopped.reason is not None
    assert "at step 500" in stopped.reason


def test_what_it_remembers_survives_as_plain_data() -> None:
    settings = Settings(patience=2)
    whole = judged(settings, BLOCKING)
    first = judged(settings, BLOCKING[:3])
    then = EarlyStopping(settings)
    then.load_state_dict(json.loads(json.dumps(first.state_dict())))
    then.judge(400, BLOCKING[3])
    assert then.state_dict() == whole.state_dict()
    fresh = EarlyStopping(settings)
    fresh.load_state_dict(EarlyStopping(settings).state_dict())
    assert fresh.best is None


def test_it_needs_evaluations() -> None:
    with pytest.raises(ValueError, match="set eval_every above 0"):
        ExecutionConfig(eval_every=0, early_stopping=Settings(patience=1))


def config(folder: Path, algorithm: str = "maskable-ppo", **execution: Any) -> ExperimentConfig:
    """A training that cannot get better: nothing improves by nearly everything."""
    small = {
        "timesteps": 4000, "eval_every": 256, "eval_requests": 100, "eval_lanes": 2, "final_requests": 200,
        "parity_requests": 100,
        "final_lanes": 2, "progress": False, "register_model": False, "tracking_dir": str(folder),
        "early_stopping": Settings(patience=2, min_improvement=0.99), "sanity_checks": False, "checkpoint_every": 256,
    }  # fmt: skip
    found = experiment(settings_of(algorithm))
    return found.model_copy(update={"execution": found.execution.model_copy(update={**small, **execution})})


@pytest.mark.parametrize("algorithm", ["maskable-ppo", "masked-dqn", "q-learning"])
def test_a_training_that_stops_is_a_finished_run_that_says_why(algorithm: str, tmp_path: Path) -> None:
    done = train(config(tmp_path, algorithm))
    assert [step for step, _, _ in done.learning_curve] == [256, 512, 768]
    assert 768 <= done.timesteps < 800
    assert done.stopped_early is not None
    assert done.as_dict()["stopped_early"] == done.stopped_early
    store = open_store(tmp_path)
    run = store.find_run(done.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.tags["early_stopping"] == done.stopped_early
    waited = store.metric_history(done.run_id, "early_stopping/waited")
    assert [(point.step, point.value) for point in waited] == [(256, 0), (512, 1), (768, 2)]


def test_a_training_that_reaches_its_end_did_not_stop_early(tmp_path: Path) -> None:
    done = train(config(tmp_path, timesteps=768))
    assert (done.timesteps, done.stopped_early) == (768, None)
    assert "early_stopping" not in open_store(tmp_path).find_run(done.run_id).tags


def test_a_resumed_training_stops_where_it_would_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(config(tmp_path))
    on_step = EpisodeBlocking._on_step

    def breaks_down(self: EpisodeBlocking) -> bool:
        if self.num_timesteps >= 600:
            raise RuntimeError("power cut")
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeBlocking, "_on_step", breaks_down)
        with pytest.raises(RuntimeError, match="power cut"):
            train(config(tmp_path))
    parts = resume(open_store(tmp_path).search_runs(max_runs=1)[0].run_id, tracking_dir=tmp_path)
    assert parts.stopped_early == whole.stopped_early
    assert parts.weights_sha256 == whole.weights_sha256
