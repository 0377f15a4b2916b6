"""Runs whose process is gone: found, completed from their spool, and marked."""

import sqlite3
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from fusion_rl.cli.main import main
from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.tracking.processes import is_gone, process_tags

LOG_AND_DIE = """
import os, signal, sys
from fusion_rl.tracking.mlflow_store import open_store
run = open_store(sys.argv[1]).start("reaping", "victim")
run.log_metric("loss", 0.25, step=3)
print(run.run_id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        path = tmp_path_factory.mktemp("store")
        open_store(path)
    return path


def test_this_process_is_there_and_one_of_its_number_that_began_at_another_time_is_not() -> None:
    tags = process_tags()
    assert not is_gone(tags)
    assert is_gone({**tags, "process.started": "1000.0"})
    assert is_gone({**tags, "process.pid": str(max(psutil.pids()) + 100_000)})


def test_what_cannot_be_known_is_not_taken_for_gone() -> None:
    assert not is_gone({**process_tags(), "process.host": "elsewhere", "process.started": "1000.0"})
    assert not is_gone({})


def test_a_run_of_a_killed_process_is_completed_and_marked_once(folder: Path) -> None:
    died = subprocess.run([sys.executable, "-c", LOG_AND_DIE, str(folder)], capture_output=True, text=True, check=False)
    run_id = died.stdout.strip()
    store = open_store(folder)
    assert store.find_run(run_id).status is RunStatus.RUNNING
    with store.start("reaping", "alive") as alive:
        assert [run.run_id for run in store.reap()] == [run_id]
        assert store.find_run(alive.run_id).status is RunStatus.RUNNING
    found = store.find_run(run_id)
    assert found.status is RunStatus.KILLED
    assert found.metrics == {"loss": 0.25}
    assert "ended without a word" in found.tags["failure"]
    assert store.reap() == []


def test_a_run_of_another_machine_is_reaped_once_it_has_been_silent_for_long(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(folder)
    ago = f"{time.time() - 3600:.0f}"
    begun = {name: store.start("silence", name) for name in ("silent", "busy", "here", "new")}
    for name in ("silent", "busy", "here"):
        begun[name].set_tags({"process.seen": ago})
        with sqlite3.connect(folder / "mlflow.db") as database:
            database.execute("UPDATE runs SET start_time = 1000 WHERE run_uuid = ?", (begun[name].run_id,))
    begun["busy"].log_metric("loss", 0.5)
    begun["busy"].flush()  # a write is a sign of life
    for name in ("silent", "busy", "new"):
        begun[name].set_tags({"process.host": "elsewhere"})
    with pytest.raises(SystemExit):
        main(["runs", "reap", "--tracking-dir", str(folder), "--silent-for", "soon"])
    assert "give a number and a unit, as 45s, 30m, 12h or 2d" in capsys.readouterr().err
    begun["silent"]._lock.release()  # type: ignore[attr-defined]  # its machine is gone
    assert store.reap() == []
    assert store.reap(timedelta(hours=2)) == []
    with pytest.raises(SystemExit):
        main(["runs", "reap", "--tracking-dir", str(folder), "--silent-for", "30m"])
    assert f"{begun['silent'].run_id} (silent) is marked KILLED" in capsys.readouterr().out
    found = {run.run_name: run for run in store.search_runs("silence")}
    assert {name: run.status.value for name, run in found.items()} == {
        "silent": "KILLED", "busy": "RUNNING", "here": "RUNNING", "new": "RUNNING",
    }  # fmt: skip
    assert "of elsewhere wrote nothing for 0:30:00" in found["silent"].tags["failure"]
    for name in ("busy", "here", "new"):
        begun[name].finish()


def test_a_run_is_gone_on_with_by_one_process_at_a_time_until_it_has_finished(folder: Path) -> None:
    store = open_store(folder)
    first = store.start("resuming", "stopped")
    first.log_metric("loss", 1.0, step=1)
    with pytest.raises(TrackingError, match="written by another process"):
        store.resume(first.run_id)
    first.finish(RunStatus.FAILED)
    with store.resume(first.run_id) as again:
        again.log_metric("loss", 1.0, step=1)
        again.log_metric("loss", 0.5, step=2)
    assert [(p.step, p.value) for p in store.metric_history(first.run_id, "loss")] == [(1, 1.0), (2, 0.5)]
    with pytest.raises(TrackingError, match="has finished: there is nothing to resume"):
        store.resume(first.run_id)
    assert not list((folder / "spool").glob(f"{first.run_id}*"))
