"""Batches as jobs of a real SLURM that cancels one of them and loses another."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusion_rl.batch.state import Batch, State, find
from fusion_rl.tracking.base import ABOVE_TAG, JOB_TAG, RunRecord, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from tests.batch import plans
from tests.slurm.cluster import Cluster, cluster, until, why_not

REPOSITORY = Path(__file__).resolve().parents[2]
LONG = {"execution.timesteps": 30_000, "execution.checkpoint_every": 500, "execution.eval_every": 5_000}
TWELVE = {
    "long": {"experiment": "tiny.yaml", "settings": LONG, "grid": {"execution.seed": [1, 2]}},
    "short": {"experiment": "tiny.yaml", "grid": {"execution.seed": list(range(3, 13))}},
}
# a training that would outlast its job's time, and is done soon once that has been put back into the queue
SLOW_AT_FIRST = """
import os, time
from stable_baselines3.common.callbacks import BaseCallback

class SlowAtFirst(BaseCallback):
    def _on_step(self):
        time.sleep(0.5 if os.environ.get("SLURM_RESTART_COUNT", "0") == "0" else 0.0)
        return True
"""
OUTLASTING = {"execution.timesteps": 2_048, "execution.callbacks": ["slow_at_first:SlowAtFirst"]}


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with cluster(tmp_path_factory.mktemp("slurm") / "run") as made:
        yield made


def start(folder: Path, environment: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fusion_rl.cli.main", "batch", *words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def output(started: "subprocess.Popen[str]", seconds: float) -> str:
    try:
        return started.communicate(timeout=seconds)[0]
    except subprocess.TimeoutExpired:
        started.kill()
        pytest.fail(f"it goes on and on: {started.communicate()[0]}")


def has_saved(batch: Batch, job: str) -> bool:
    """Whether a job's run has a checkpoint, and its process still learns."""
    runs = [run for run in runs_of(batch) if run.tags[JOB_TAG] == job]
    saved = [path for run in runs for path in (batch.tracking_dir / "checkpoints" / run.run_id).glob("latest*")]
    return bool(saved) and batch.record(job).state is State.RUNNING


def runs_of(batch: Batch) -> list[RunRecord]:
    found = open_store(batch.tracking_dir).search_runs(filter_string=f"tags.`{ABOVE_TAG}` = '{batch.run_id}'")
    return [run for run in found if JOB_TAG in run.tags]


def steps_logged(batch: Batch, run: RunRecord) -> list[int]:
    history = open_store(batch.tracking_dir).metric_history(run.run_id, "time/total_timesteps")
    return [point.step for point in history]


@pytest.mark.slow
def test_a_real_slurm_loses_one_job_of_twelve_and_another_is_cancelled_and_resume_does_what_is_left(
    slurm: Cluster, tmp_path: Path
) -> None:
    plans.write(tmp_path, TWELVE, executor="slurm", slurm={"cpus": 1, "memory_gb": None, "minutes": 30})
    begun = start(tmp_path, slurm.environment, "run", "plan.yaml")
    until((tmp_path / "mlruns/batches/any/batch.json").exists, 120, "the batch is written down")
    batch = find("any", tmp_path / "mlruns")
    until(lambda: has_saved(batch, "long-seed1") and has_saved(batch, "long-seed2"), 300, "two have saved something")
    [number] = slurm.command("squeue", "-h", "-o", "%F").split()[:1]
    slurm.command("scancel", f"{number}_0")
    os.kill(int(batch.record("long-seed2").process["process.pid"]), signal.SIGKILL)

    said = output(begun, 600)
    assert begun.returncode == 1, said
    states = {job: record.state for job, record in batch.records().items()}
    assert (states.pop("long-seed1"), states.pop("long-seed2")) == (State.STOPPED, State.KILLED), said
    assert set(states.values()) == {State.DONE}, said
    before = {run.run_id: (run.ended, run.status) for run in runs_of(batch)}
    assert len(before) == 12

    resumed = start(tmp_path, slurm.environment, "resume", "any")
    said = output(resumed, 600)
    assert resumed.returncode == 0, said
    records, runs = batch.records(), runs_of(batch)
    assert {record.state for record in records.values()} == {State.DONE}
    assert {job: record.attempts for job, record in records.items() if record.attempts > 1} == {
        "long-seed1": 2, "long-seed2": 2
    }  # fmt: skip
    assert sorted(before) == sorted(run.run_id for run in runs), "no run was begun a second time"
    assert {run.status for run in runs} == {RunStatus.FINISHED}
    assert {run.tags[JOB_TAG] for run in runs if run.tags.get("resumed") == "1"} == {"long-seed1", "long-seed2"}
    untouched = [run for run in runs if "resumed" not in run.tags]
    assert all(before[run.run_id] == (run.ended, run.status) for run in untouched), "what was done was left alone"
    for run in runs:
        steps = steps_logged(batch, run)
        assert len(steps) == len(set(steps)), "no step was logged twice"
    assert open_store(batch.tracking_dir).find_run(batch.run_id).status is RunStatus.FINISHED


@pytest.mark.slow
def test_a_job_whose_time_is_up_saves_goes_back_into_the_queue_and_finishes_its_run(
    slurm: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "slow_at_first.py").write_text(SLOW_AT_FIRST)
    limits = {"cpus": 1, "memory_gb": None, "minutes": 3, "warning_s": 60}
    steps = {"long": {"experiment": "tiny.yaml", "settings": OUTLASTING}}
    plans.write(tmp_path, steps, executor="slurm", slurm=limits)
    begun = start(tmp_path, slurm.environment, "run", "plan.yaml")
    until((tmp_path / "mlruns/batches/any/batch.json").exists, 120, "the batch is written down")
    batch = find("any", tmp_path / "mlruns")
    until(lambda: batch.record("long").state is State.STOPPED, 240, f"it stopped: {batch.record('long')}")
    [before] = runs_of(batch)
    saved = steps_logged(batch, before)
    assert (before.status, begun.poll()) == (RunStatus.KILLED, None), "the batch goes on and waits for the cluster"
    assert 0 < max(saved) < OUTLASTING["execution.timesteps"]
    number = slurm.command("squeue", "-h", "-o", "%F").split()[0]
    until(lambda: slurm.job(number)["Restarts"] == "1", 60, "the job is back in the queue")
    slurm.command("scontrol", "update", f"JobId={number}", "TimeLimit=30")  # the rest may take long on a busy machine

    said = output(begun, 500)  # SLURM lets a job wait for two minutes that was put back
    assert begun.returncode == 0, said
    record, [run] = batch.record("long"), runs_of(batch)
    assert (record.state, record.attempts) == (State.DONE, 2), said
    assert (run.run_id, run.status, run.tags["resumed"]) == (before.run_id, RunStatus.FINISHED, "1")
    steps_seen = steps_logged(batch, run)
    assert len(steps_seen) == len(set(steps_seen)), "no step was logged twice"
    assert set(saved) <= set(steps_seen), "what it had learned was kept"
    assert "going on from emergency-" in batch.log_file("long").read_text()  # the checkpoint of when its time was up
