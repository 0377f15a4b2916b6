"""Batches: chains that go on from the best checkpoint; whatever dies, nothing is lost and nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fusion_rl.batch import progress
from fusion_rl.batch.executors import SlurmRunner, start_worker
from fusion_rl.batch.jobs import jobs_of
from fusion_rl.batch.plan import read_plan
from fusion_rl.batch.run import resume_batch
from fusion_rl.batch.state import Batch, State, create, find
from fusion_rl.batch.worker import carry_out, run_of
from fusion_rl.cli.main import main
from fusion_rl.errors import BatchError
from fusion_rl.tracking.base import BATCH_TAG, JOB_TAG, PARENT_CHECKPOINT_TAG, RunRecord, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from tests.batch import plans

REPOSITORY = Path(__file__).resolve().parents[2]
CHAIN = {"first": {"experiment": "tiny.yaml"}, "busier": {"after": "first", "settings": {"scenarios": "busy.yaml"}}}


def begin(folder: Path, steps: dict[str, Any], **more: Any) -> Batch:
    """A batch of which nothing is done yet, and that no process carries out."""
    plan, base = read_plan(plans.write(folder, steps, **more))
    jobs = jobs_of(plan, base)
    run = open_store(plan.tracking_dir).start(plan.name, plan.name, tags={BATCH_TAG: plan.name})
    run.finish(RunStatus.KILLED)
    return create(plan, jobs, run.run_id)


def runs(batch: Batch) -> list[RunRecord]:
    return [run for run in open_store(batch.tracking_dir).search_runs() if JOB_TAG in run.tags]


def until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"after {seconds:g} s still not: {what}"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """A chain of two trainings, carried out."""
    batch = begin(tmp_path_factory.mktemp("chain"), CHAIN)
    assert [carry_out(batch, job) for job in batch.jobs] == [State.DONE, State.DONE]
    return batch


def test_a_step_goes_on_from_the_best_checkpoint_of_the_one_before(chain: Batch) -> None:
    first, busier = chain.record("first"), chain.record("busier")
    assert first.run_id is not None
    run = open_store(chain.tracking_dir).find_run(busier.run_id or "")
    assert Path(run.tags[PARENT_CHECKPOINT_TAG]) == chain.tracking_dir / "checkpoints" / first.run_id / "best.bundle"
    assert (run.tags["scenarios"], run.parameters["scenarios.0.load_erlang"]) == ("busy", "40.0")


def test_all_runs_of_a_batch_stand_under_its_run_in_an_experiment_of_its_name(chain: Batch) -> None:
    assert {run.tags["mlflow.parentRunId"] for run in runs(chain)} == {chain.run_id}
    assert {(run.experiment, run.tags[BATCH_TAG]) for run in runs(chain)} == {("any", "any")}
    assert {run.run_name for run in runs(chain)} == {"first", "busier"}


def test_what_is_done_is_not_done_again(chain: Batch) -> None:
    assert carry_out(chain, "first") is State.DONE
    assert len(runs(chain)) == 2
    assert resume_batch(chain.folder).record("first").attempts == 1


def test_a_run_that_ended_before_its_record_was_written_is_taken_as_it_is(chain: Batch) -> None:
    before = chain.record("busier")
    chain.write("busier", type(before)(State.RUNNING, 1, process={"process.host": "elsewhere"}))
    assert carry_out(chain, "busier") is State.DONE
    after = chain.record("busier")
    assert (after.run_id, len(runs(chain))) == (before.run_id, 2)
    assert after.result is not None
    assert before.result is not None
    assert after.result["service_blocking"] == pytest.approx(before.result["service_blocking"])


def test_a_job_that_another_process_is_at_is_left_alone(chain: Batch) -> None:
    with chain.lock("first") as is_mine:
        assert is_mine
        assert carry_out(chain, "first") is State.RUNNING


def test_a_batch_that_another_process_carries_out_is_refused(tmp_path: Path) -> None:
    batch = begin(tmp_path, CHAIN)
    with batch.lock(), pytest.raises(BatchError, match="another process is at work on batch any"):
        resume_batch(batch.folder)


def test_a_stopped_job_goes_on_from_its_checkpoint_to_the_same_weights(chain: Batch, tmp_path: Path) -> None:
    batch = begin(tmp_path, {"first": CHAIN["first"]})

    def stop_when_saved() -> None:
        until(lambda: any((batch.tracking_dir / "checkpoints").glob("*/latest*")), 60, "something is saved")
        os.kill(os.getpid(), signal.SIGTERM)

    stopper = threading.Thread(target=stop_when_saved)
    stopper.start()
    ended = carry_out(batch, "first")
    stopper.join()
    assert ended is State.STOPPED
    assert carry_out(batch, "first") is State.DONE
    record, whole = batch.record("first"), chain.record("first")
    assert record.attempts == 2
    assert record.result is not None
    assert whole.result is not None
    assert record.result["weights_sha256"] == whole.result["weights_sha256"]
    [run] = runs(batch)
    assert (run.status, run.tags["resumed"]) == (RunStatus.FINISHED, "1")


def test_an_unknown_batch_is_refused_with_the_nearest(chain: Batch) -> None:
    with pytest.raises(BatchError, match=r"no batch 'ayn'.*did you mean 'any'"):
        find("ayn", chain.tracking_dir)


def test_a_batch_as_a_frame_has_a_row_for_each_job(chain: Batch) -> None:
    found = progress.frame(chain)
    assert list(found.index) == ["first", "busier"]
    assert set(found["state"]) == {"done"}
    assert found["service_blocking"].between(0, 1).all()
    assert list(found["steps"]) == [256, 256]


def write_notebook(folder: Path, *cells: str) -> None:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    made = new_notebook(cells=[new_code_cell(cell) for cell in ("count = 1  # how many", *cells)], metadata=kernel)
    made.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(made, folder / "small.ipynb")


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["batch", *words, "--json"])
    assert isinstance(ended.value.code, int)
    return ended.value.code, json.loads(capsys.readouterr().out)


@pytest.mark.slow
def test_a_batch_of_notebooks_says_which_cell_failed_and_resume_does_that_one_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    write_notebook(tmp_path, "assert count != 2, 'two is too many'")
    plans.write(tmp_path, {"look": {"notebook": "small.ipynb", "grid": {"count": [1, 2]}}}, processes=2)
    code, told = command(capsys, "run", "plan.yaml")
    assert (code, told["left"]) == (1, 1)
    one, two = told["jobs"]
    assert (one["state"], two["state"]) == ("done", "failed")
    assert "failed in cell 3: AssertionError: two is too many" in two["note"]  # papermill adds one for the parameters
    batch = find("any", tmp_path / "mlruns")
    run = run_of(batch, "look-count2")
    assert run is not None
    assert (run.status, run.experiment) == (RunStatus.FAILED, "any")
    kept = open_store(batch.tracking_dir).artifact_path(run.run_id, "notebook")
    assert {path.name for path in kept.iterdir()} == {"look-count2.ipynb", "look-count2.html"}
    assert open_store(batch.tracking_dir).find_run(batch.run_id).status is RunStatus.FAILED

    write_notebook(tmp_path, "print(count)")
    code, told = command(capsys, "resume", "any")
    assert (code, told["left"]) == (0, 0)
    assert [job["attempts"] for job in told["jobs"]] == [1, 2]
    assert command(capsys, "status", "any")[1]["jobs"] == told["jobs"]
    assert open_store(batch.tracking_dir).find_run(batch.run_id).status is RunStatus.FINISHED


LONG = {
    "experiment": "tiny.yaml",
    "settings": {"execution.timesteps": 20_000, "execution.checkpoint_every": 500, "execution.eval_every": 5_000},
    "grid": {"execution.seed": [1, 2]},
}


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fusion_rl.cli.main", "batch", *words],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def begun(folder: Path) -> Batch:
    """The batch of a folder, when both of its jobs have saved something."""
    until((folder / "mlruns/batches/any/batch.json").exists, 120, "the batch is written down")
    batch = find("any", folder / "mlruns")
    until(lambda: len({path.parent for path in (folder / "mlruns").rglob("latest*.bundle")}) == 2, 240, "both saved")
    return batch


def require_each_done_once(batch: Batch, attempts: list[int]) -> None:
    records = batch.records()
    assert {record.state for record in records.values()} == {State.DONE}
    assert [record.attempts for record in records.values()] == attempts
    assert sorted(run.tags[JOB_TAG] for run in runs(batch)) == sorted(batch.jobs), "one run each"
    assert {run.status for run in runs(batch)} == {RunStatus.FINISHED}


@pytest.mark.slow
def test_after_kill_9_of_the_batch_and_of_one_job_the_other_job_is_waited_for_and_not_begun_again(
    tmp_path: Path,
) -> None:
    plans.write(tmp_path, {"long": LONG}, processes=2)
    first = start(tmp_path, "run", "plan.yaml")
    batch = begun(tmp_path)
    first.kill()
    first.communicate()
    os.kill(int(batch.record("long-seed1").process["process.pid"]), signal.SIGKILL)
    until(lambda: batch.record("long-seed1").state is State.KILLED, 20, "the killed one is known to be")
    assert batch.record("long-seed2").state is State.RUNNING
    again = start(tmp_path, "resume", "any")
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    require_each_done_once(batch, [2, 1])


@pytest.mark.slow
def test_ctrl_c_lets_the_jobs_save_and_resume_ends_them(tmp_path: Path) -> None:
    plans.write(tmp_path, {"long": LONG}, processes=2)
    first = start(tmp_path, "run", "plan.yaml")
    batch = begun(tmp_path)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate(timeout=200)
    assert first.returncode == 130, said
    assert {record.state for record in batch.records().values()} == {State.STOPPED}
    assert open_store(batch.tracking_dir).find_run(batch.run_id).status is RunStatus.KILLED
    again = start(tmp_path, "resume", "any")
    said, _ = again.communicate(timeout=400)
    assert again.returncode == 0, said
    require_each_done_once(batch, [2, 2])


@pytest.mark.slow
def test_a_job_that_is_out_of_time_saves_and_is_put_back_by_submitit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    batch = begin(tmp_path, {"long": {**LONG, "grid": {"execution.seed": [1]}}})
    runner = SlurmRunner(batch, None, cluster="local")
    runner.start(["long-seed1"])
    until(lambda: any((batch.tracking_dir / "checkpoints").glob("*/latest*")), 120, "something is saved")
    [task] = psutil.Process(int(runner._numbers["long-seed1"])).children()  # below submitit's controller
    task.send_signal(signal.SIGUSR2)
    until(lambda: batch.record("long-seed1").attempts == 2, 120, "it was put back")
    until(lambda: not runner.active(), 300, "it is over")
    require_each_done_once(batch, [2])


TRAINS = """from fusion_rl.config.load import load
from fusion_rl.training.again import train_or_resume
config = load(experiment, overrides=[f"execution.tracking_dir='{tracking_dir}'", *settings]).config
print(train_or_resume(config).weights_sha256)"""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "state"), [(signal.SIGTERM, State.STOPPED), (signal.SIGKILL, State.KILLED)])
def test_a_notebook_that_is_ended_goes_on_with_its_training_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, state: State
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.chdir(tmp_path)
    write_notebook(tmp_path, TRAINS)
    made = nbformat.read(tmp_path / "small.ipynb", as_version=4)
    made.cells[0].source = "experiment = ''  # file\ntracking_dir = ''  # store\nsettings = []  # any other"
    nbformat.write(made, tmp_path / "small.ipynb")
    settings = {"experiment": "tiny.yaml", **LONG["settings"]}
    batch = begin(tmp_path, {"look": {"notebook": "small.ipynb", "settings": settings}})
    worker = start_worker(batch.folder, "look", batch.log_file("look"))
    until(lambda: any((batch.tracking_dir / "checkpoints").glob("*/latest*")), 240, "something is saved")
    worker.send_signal(number)
    worker.wait(120)
    assert batch.record("look").state is state
    [run] = runs(batch)
    if state is State.STOPPED:
        kept = batch.tracking_dir / "checkpoints" / run.run_id
        assert any(kept.glob("emergency*")), "the training in the notebook was told, and saved"
    assert start_worker(batch.folder, "look", batch.log_file("look")).wait(400) == 0
    require_each_done_once(batch, [2])
    assert runs(batch)[0].tags["resumed"] == "1"
