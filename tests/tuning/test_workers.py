"""Three workers on PostgreSQL, one of them killed twice: every trial comes to a true end, and none begins from zero."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.tuning import results
from fusion_rl.tuning.run import run_study
from fusion_rl.tuning.storage import find_study, open_storage
from fusion_rl.tuning.trial import LEFT, WORKER
from tests.tuning import postgres
from tests.tuning.worlds import study_of

LIMIT_S = 900.0


class Killer(threading.Thread):
    """Kills the worker of a trial, twice, each time when that trial's training has written a checkpoint."""

    def __init__(self, url: str, tracking_dir: Path, kills: int = 2) -> None:
        super().__init__(daemon=True)
        self._url, self._kept, self._kills = url, tracking_dir / "checkpoints", kills
        self.killed: list[tuple[int, str]] = []  # (trial, newest checkpoint by then)

    def run(self) -> None:
        limit = time.monotonic() + LIMIT_S
        while len(self.killed) < self._kills and time.monotonic() < limit:
            time.sleep(0.2)
            if not self._kept.is_dir():
                continue
            storage = open_storage(self._url, create=False)
            study = find_study(storage, "crowd")
            for trial in study.get_trials(deepcopy=False):
                trial_run = trial.user_attrs.get("run_id")
                if (
                    trial.state.name != "RUNNING"
                    or trial_run is None
                    or trial.user_attrs.get(LEFT, 0) < len(self.killed)
                ):
                    continue
                written = sorted(self._written(study.user_attrs["tracking_dir"], trial_run))
                if not written or (self.killed and written[-1] <= self.killed[-1][1]):
                    continue
                try:
                    os.kill(int(trial.user_attrs[WORKER]["process.pid"]), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.killed.append((trial.number, written[-1]))
                break
            storage.engine.dispose()

    def _written(self, tracking_dir: str, trial_run: str) -> list[str]:
        store = open_store(tracking_dir, create=False)
        below = store.search_runs("study crowd", f"tags.`mlflow.parentRunId` = '{trial_run}'")
        return [path.name for one in below for path in (self._kept / one.run_id).glob("latest-*.bundle")]


@pytest.mark.slow
@pytest.mark.skipif(postgres.programs() is None, reason="PostgreSQL's server is not installed")
def test_three_workers_on_postgresql_end_all_trials_though_one_is_killed_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with postgres.server() as url:
        fewer = {"execution.eval_every": 6400, "execution.checkpoint_every": 640}
        definition = study_of("crowd", overrides=fewer, budget={"trials": 6, "timesteps": 12_800})
        killer = Killer(url, tmp_path / "runs")
        killer.start()
        found = run_study(definition, workers=3, storage=url, tracking_dir=tmp_path / "runs")
        killer.join(1.0)
        assert len(killer.killed) == 2
        study = find_study(open_storage(url, create=False), "crowd")
        store = open_store(tmp_path / "runs")
        assert [one.state for one in found] == ["complete"] * 6
        assert results.disagreements(study, store) == []
        assert sum(one.left for one in found) == 2
        for number, _ in killer.killed:
            one = found[number]
            [training] = store.search_runs("study crowd", f"tags.`mlflow.parentRunId` = '{one.run_id}'")
            assert training.status is RunStatus.FINISHED
            assert int(training.tags["resumed"]) == one.left
        said = "".join(path.read_text() for path in (tmp_path / "runs" / "logs").rglob("*.log"))
        assert said.count("going on from latest-") == 2
        assert "starting again from the first step" not in said
        assert "its training begins again" not in said
        top = store.find_run(study.user_attrs["run_id"])
        assert top.status is RunStatus.FINISHED
        assert top.metrics["evaluation/service_blocking"] == min(one.blocking or 1.0 for one in found)
