"""A training that was interrupted and resumed is the training that was not: the same weights, the same history."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.errors import CheckpointError, TrackingError
from fusion_rl.testing import tiny
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.callbacks import EpisodeBlocking
from fusion_rl.training.interrupts import Interrupted
from fusion_rl.training.run import RunResult, resume, train

History = list[tuple[str, int, float]]

STEPS = 960
ALGORITHMS: dict[str, dict[str, object]] = {
    "maskable-ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 100, "buffer_size": 600, "batch_size": 16, "target_update_interval": 200},
    "qr-dqn": {"learning_starts": 100, "buffer_size": 600, "batch_size": 16, "n_quantiles": 5},
}


def tiny_config(folder: Path, algorithm: str = "maskable-ppo", **execution: object) -> ExperimentConfig:
    """A training of a second on the tiny world, with two scenarios and bursts in the traffic of one."""
    busy = tiny.SCENARIO.model_dump(mode="json") | {
        "name": "busy",
        "load_erlang": 40.0,
        "arrivals": {"kind": "on-off", "mean_on_time": 5.0, "mean_off_time": 5.0},
    }
    return load(
        "deeprmsa-nsfnet",
        network=tiny.NETWORK.model_dump(mode="json"),
        scenarios={"scenarios": [tiny.SCENARIO.model_dump(mode="json"), busy]},
        algorithm={"name": algorithm, "net_arch": [8], **ALGORITHMS[algorithm]},
        execution={
            "lanes": 4, "timesteps": STEPS, "progress": False, "eval_every": 300, "checkpoint_every": 250,
            "eval_requests": 200, "eval_lanes": 2, "final_requests": 400, "final_lanes": 8, "register_model": False,
            "tracking_dir": str(folder), **execution,
        },
    ).config  # fmt: skip


def history(folder: Path, run_id: str) -> History:
    """Every value of every metric of a run but those that measure this machine, in order of step."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        rows = database.execute(
            "SELECT key, step, value FROM metrics WHERE run_uuid = ? ORDER BY key, step, timestamp", (run_id,)
        ).fetchall()
    clocks = ("time/fps", "time/time_elapsed", "training/steps_per_second")
    timed = {key: [step for name, step, _ in rows if name == key] for key in clocks}
    assert all(len(steps) == len(set(steps)) for steps in timed.values())
    return [row for row in rows if row[0] not in clocks]


def crash_at(step: int, monkeypatch: pytest.MonkeyPatch, error: Callable[[], BaseException]) -> None:
    """Let training break down when it first comes to a step."""
    on_step = EpisodeBlocking._on_step

    def breaks_down(self: EpisodeBlocking) -> bool:
        if self.num_timesteps >= step:
            monkeypatch.setattr(EpisodeBlocking, "_on_step", on_step)
            raise error()
        return on_step(self)

    monkeypatch.setattr(EpisodeBlocking, "_on_step", breaks_down)


def break_and_resume(config: ExperimentConfig, steps: list[int], monkeypatch: pytest.MonkeyPatch) -> RunResult:
    """Train, and go on whenever it breaks down, as it does at these steps."""
    folder = Path(config.execution.tracking_dir)
    crash_at(steps[0], monkeypatch, lambda: RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        train(config)
    [run] = open_store(folder).search_runs()
    for step in steps[1:]:
        crash_at(step, monkeypatch, lambda: RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            resume(run.run_id, tracking_dir=folder)
    return resume(run.run_id, tracking_dir=folder)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_training_equals_the_uninterrupted_one(
    algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tiny_config(tmp_path / "whole", algorithm))
    parts = break_and_resume(tiny_config(tmp_path / "parts", algorithm), [100, 610, 900], monkeypatch)
    assert parts.weights_sha256 == whole.weights_sha256
    assert parts.learning_curve == whole.learning_curve
    assert parts.evaluation.tally.blocked_requests == whole.evaluation.tally.blocked_requests
    assert history(tmp_path / "parts", parts.run_id) == history(tmp_path / "whole", whole.run_id)
    [run] = open_store(tmp_path / "parts").search_runs()
    assert (run.status, run.tags["resumed"]) == (RunStatus.FINISHED, "3")
    assert "failure" not in run.tags
