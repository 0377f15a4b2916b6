"""Run stores that several use, or that go away: PostgreSQL stopped in mid-run, two trainings on an empty folder."""

import multiprocessing
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.run import train
from tests.agents.worlds import settings_of
from tests.tracking.postgres import Server, server, why_not

AWAY_S = 60.0


@pytest.fixture
def postgres() -> Any:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with server() as made:
        yield made


def config(folder: Path, **execution: Any) -> ExperimentConfig:
    """A training on the tiny world."""
    small = {
        "timesteps": 2048, "eval_every": 256, "eval_requests": 100, "eval_lanes": 2, "final_requests": 200,
        "final_lanes": 2, "progress": False, "register_model": False, "tracking_dir": str(folder),
    }  # fmt: skip
    found = experiment(settings_of("maskable-ppo"))
    return found.model_copy(update={"execution": found.execution.model_copy(update={**small, **execution})})


@pytest.mark.slow
def test_nothing_is_lost_when_postgresql_is_away_for_a_minute(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = train(config(tmp_path / "sqlite"))
    expected = _history(tmp_path / "sqlite", whole.run_id)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.uri)
    back: list[threading.Timer] = []
    steps_while_away = []

    def stop_and_go_on(step: int, _: Any) -> None:
        if step == 512:
            postgres.stop()
            back.append(threading.Timer(AWAY_S, postgres.start))
            back[0].start()
        elif back and back[0].is_alive():
            steps_while_away.append(step)
            time.sleep(10)  # metrics come due again and again, and nobody takes them

    done = train(config(tmp_path / "postgres"), on_evaluation=stop_and_go_on)
    back[0].join()
    assert len(steps_while_away) >= 4, "training went on"
    assert "metric values wait on disk for the next attempt" in caplog.text
    assert done.weights_sha256 == whole.weights_sha256
    assert open_store(tmp_path / "postgres").find_run(done.run_id).status is RunStatus.FINISHED
    assert _history(tmp_path / "postgres", done.run_id) == expected
    print(f"evaluated at {steps_while_away} while the store was away; {len(expected)} values are there")


def _history(folder: Path, run_id: str) -> list[tuple[str, int, float]]:
    """All values of all metrics of a run, but those that measure this machine."""
    store = open_store(folder)
    clocks = ("time/fps", "time/time_elapsed", "training/steps_per_second")
    names = [name for name in store.find_run(run_id).metrics if name not in clocks]
    points = [(name, point.step, point.value) for name in names for point in store.metric_history(run_id, name)]
    return sorted(points)


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
def test_two_trainings_that_start_at_the_same_instant_on_an_empty_store_are_both_fine_five_times_in_a_row(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    stores = {tmp_path / f"time{number}": "" for number in range(5)}
    if store == "postgresql":
        postgres: Server = request.getfixturevalue("postgres")
        stores = {folder: postgres.empty_database(folder.name) for folder in stores}
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(2)
    both = [context.Process(target=_train_on_each, args=(ready, stores, seed)) for seed in (1, 2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    for folder, uri in stores.items():
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        runs = open_store(folder).search_runs()
        found = {(run.run_name, run.status) for run in runs}
        assert found == {("seed 1", RunStatus.FINISHED), ("seed 2", RunStatus.FINISHED)}
        for run in runs:
            points = open_store(folder).metric_history(run.run_id, "evaluation/service_blocking")
            assert [point.step for point in points][:2] == [256, 512]


def _train_on_each(ready: Any, stores: dict[Path, str], seed: int) -> None:
    """Train on one store after another, in this process, each time when the other is about to."""
    import fusion_rl.agents.catalog
    import fusion_rl.tracking.mlflow_store  # noqa: F401

    for folder, uri in stores.items():
        os.environ["MLFLOW_TRACKING_URI"] = uri
        ready.wait(600)
        train(config(folder, seed=seed, run_name=f"seed {seed}", timesteps=512))
