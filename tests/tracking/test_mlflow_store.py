import json
import math
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

from fusion_rl.errors import TrackingError
from fusion_rl.tracking import views
from fusion_rl.tracking.base import Dataset, RunStatus
from fusion_rl.tracking.mlflow_store import Store, open_store, ui_command

OPEN_AND_LOG = """
import sys, time
from fusion_rl.tracking.mlflow_store import open_store
folder, start, name = sys.argv[1], float(sys.argv[2]), sys.argv[3]
time.sleep(max(0.0, start - time.time()))
with open_store(folder).start("together", name, {"number": name}) as run:
    run.log_metric("value", float(name), step=1)
"""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """One store for the module (making its schema takes a second), in a folder whose name has a blank."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return open_store(tmp_path_factory.mktemp("a folder") / "mlruns")


def test_a_run_is_found_with_all_that_was_logged(store: Store) -> None:
    with store.start("all", "one", {"network.k_paths": 5, "reward.name": "service"}, {"seed.training": 1}) as run:
        run.log_metric("service_blocking", 0.25, step=10)
        run.log_metrics({"service_blocking": 0.125, "bit_rate_blocking": 0.5}, step=20)
    found = store.find_run("one")
    assert found.run_id == run.run_id
    assert (found.experiment, found.status) == ("all", RunStatus.FINISHED)
    assert found.parameters == {"network.k_paths": "5", "reward.name": "service"}
    assert found.metrics == {"service_blocking": 0.125, "bit_rate_blocking": 0.5}
    assert found.tags["seed.training"] == "1"
    assert found.ended is not None
    assert found.ended >= found.started
    history = store.metric_history(run.run_id, "service_blocking")
    assert [(point.step, point.value) for point in history] == [(10, 0.25), (20, 0.125)]


def test_a_value_that_is_no_number_is_kept_as_such(store: Store) -> None:
    with store.start("all", "no-number") as run:
        run.log_metric("ratio", math.nan)
    assert math.isnan(store.metric_history(run.run_id, "ratio")[0].value)


def test_thousands_of_values_arrive_in_order(store: Store) -> None:
    with store.start("all", "many") as run:
        for step in range(2500):
            run.log_metric("reward", step / 2, step)
    assert [point.value for point in store.metric_history(run.run_id, "reward")] == [step / 2 for step in range(2500)]


def test_more_parameters_than_one_write_holds_and_longer_than_mlflow_keeps(store: Store) -> None:
    parameters = {f"p{number}": number for number in range(250)} | {"long": "x" * 7000}
    with store.start("all", "parameters", parameters) as run:
        pass
    found = store.find_run(run.run_id).parameters
    assert len(found) == 251
    assert found["p249"] == "249"
    assert found["long"] == "x" * 6000


def test_a_parameter_never_changes(store: Store) -> None:
    with store.start("all", "constant", {"gamma": 0.95}) as run:
        run.log_params({"gamma": 0.95})
        with pytest.raises(TrackingError, match=r"'gamma' .* is '0.95' and cannot become '0.9'"):
            run.log_params({"gamma": 0.9})


def test_files_text_figures_and_tables_become_artifacts(store: Store, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "a.txt").write_text("a")
    figure = Figure()
    figure.subplots().plot([1, 2])
    with store.start("artifacts / odd name", "one") as run:
        run.log_artifact(tmp_path / "plots" / "a.txt", "inputs")
        run.log_artifact(tmp_path / "plots")
        run.log_text("k_paths: 5\n", "resolved_config.yaml")
        run.log_figure(figure, "figures/blocking.png")
        run.log_table({"policy": ["ksp-ff"], "mean": [0.025]}, "tables/blocking.json")
    store.log_artifact(run.run_id, tmp_path / "plots" / "a.txt", "afterwards")
    folder = store.artifact_path(run.run_id)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "inputs/a.txt",
        "plots/a.txt",
        "resolved_config.yaml",
        "figures/blocking.png",
        "tables/blocking.json",
        "afterwards/a.txt",
    }
    assert store.artifact_path(run.run_id, "resolved_config.yaml").read_text() == "k_paths: 5\n"
    assert folder.is_relative_to(Path(store.uri.removeprefix("sqlite:///")).parent / "artifacts")


def test_a_missing_file_is_named(store: Store, tmp_path: Path) -> None:
    run = store.start("artifacts", "missing")
    with pytest.raises(TrackingError, match=r"none.yaml' cannot be stored .* no such file"):
        run.log_artifact(tmp_path / "none.yaml")
    run.finish()
    with pytest.raises(TrackingError, match=r"'model.zip' of run .* cannot be read"):
        store.artifact_path(run.run_id, "model.zip")


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("a bad day"), RunStatus.FAILED), (KeyboardInterrupt("enough"), RunStatus.KILLED)],
)
def test_a_run_that_was_stopped_says_how_and_keeps_its_values(
    store: Store, error: BaseException, status: RunStatus
) -> None:
    def stopped_run(run_ids: list[str]) -> None:
        with store.start("status", "stopped") as run:
            run_ids.append(run.run_id)
            run.log_metric("reward", 1.5, step=3)
            raise error

    run_ids: list[str] = []
    with pytest.raises(type(error)):
        stopped_run(run_ids)
    found = store.find_run(run_ids[0])
    assert found.status is status
    assert found.metrics == {"reward": 1.5}
    assert found.tags["failure"] == f"{type(error).__name__}: {error}"


def test_a_run_whose_values_cannot_be_stored_did_not_finish(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    run = store.start("status", "lost")
    run.log_metric("reward", 1.0)
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("ALTER TABLE metrics RENAME TO gone")
    with pytest.raises(TrackingError, match="1 metric values of run"):
        run.finish()
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.execute("ALTER TABLE gone RENAME TO metrics")
    assert store.find_run("lost").status is RunStatus.FAILED


def test_the_error_that_ended_a_run_is_not_hidden_by_a_store_that_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)

    def failing_run() -> None:
        with store.start("status", "lost"):
            with sqlite3.connect(tmp_path / "mlflow.db") as database:
                database.execute("ALTER TABLE runs RENAME TO gone")
            raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason") as caught:
        failing_run()
    assert "could not be marked FAILED" in caught.value.__notes__[0]


def test_runs_are_searched_by_experiment_and_value(store: Store) -> None:
    for name, blocking in (("good", 0.01), ("bad", 0.2)):
        with store.start("search", name) as run:
            run.log_metric("service_blocking", blocking)
    assert [run.run_name for run in store.search_runs("search")] == ["bad", "good"]
    assert [run.run_name for run in store.search_runs("search", "metrics.service_blocking < 0.1")] == ["good"]
    assert [run.run_name for run in store.search_runs("search", max_runs=1)] == ["bad"]
    with pytest.raises(TrackingError, match="unknown experiment 'serach': did you mean 'search'"):
        store.search_runs("serach")


def test_a_run_that_cannot_be_told_is_an_error_that_helps(store: Store) -> None:
    ids = []
    for _ in range(2):
        with store.start("names", "it's a twin") as run:
            ids.append(run.run_id)
    with pytest.raises(TrackingError, match="2 runs are named") as caught:
        store.find_run("it's a twin")
    assert all(run_id in str(caught.value) for run_id in ids)
    with store.start("names", "baseline"):
        pass
    with pytest.raises(TrackingError, match="did you mean 'baseline'"):
        store.find_run("baselin")


def test_a_child_run_names_its_parent(store: Store) -> None:
    with (
        store.start("family", "parent") as parent,
        store.start("family", "child", parent_run_id=parent.run_id) as child,
    ):
        pass
    assert store.find_run(child.run_id).tags["mlflow.parentRunId"] == parent.run_id


def test_nothing_is_written_beside_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with open_store(tmp_path / "mlruns").start("home", "one") as run:
        run.log_text("text", "note.txt")
        run.log_table({"policy": ["ksp-ff"]}, "table.json")
        run.log_table({"policy": ["ff-ksp"]}, "table.json")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert os.environ.get("MLFLOW_TRACKING_URI") is None


def test_processes_that_start_at_the_same_instant_share_an_empty_folder(tmp_path: Path) -> None:
    import time

    start = str(time.time() + 8)  # by then all have imported mlflow, and meet at the empty folder
    arguments = [sys.executable, "-c", OPEN_AND_LOG, str(tmp_path / "mlruns"), start]
    processes = [subprocess.Popen([*arguments, str(number)], stderr=subprocess.PIPE, text=True) for number in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], errors
    runs = open_store(tmp_path / "mlruns").search_runs("together")
    assert {(run.run_name, run.metrics["value"], run.status) for run in runs} == {
        (str(number), float(number), RunStatus.FINISHED) for number in range(4)
    }


def test_a_folder_that_cannot_be_written_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrackingError, match=r"tracking folder '.*file/mlruns' cannot be written"):
        open_store(tmp_path / "file" / "mlruns")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_file_that_is_no_database_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is not a database, nor has it ever been one" * 50)
    with pytest.raises(TrackingError, match=r"run store sqlite:.* cannot be opened") as caught:
        open_store(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_environment_may_name_another_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'other' / 'runs.db'}")
    open_store(tmp_path / "mlruns")
    assert (tmp_path / "other" / "runs.db").exists()
    assert not (tmp_path / "mlruns" / "mlflow.db").exists()


def test_a_file_store_in_the_environment_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "./mlruns")
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_URI is './mlruns'.*unset it"):
        open_store(tmp_path)


def test_a_server_that_does_not_answer_is_named_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(TrackingError, match=r"server http://127.0.0.1:9 cannot be reached"):
        open_store(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_ui_is_for_this_machine_alone(tmp_path: Path) -> None:
    command = ui_command(tmp_path, port=5055)
    assert command[:4] == [sys.executable, "-m", "mlflow", "ui"]
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert command[command.index("--port") + 1] == "5055"
    assert command[command.index("--backend-store-uri") + 1] == f"sqlite:///{tmp_path}/mlflow.db"


def test_a_run_names_its_datasets_and_describes_itself(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    dataset = Dataset("busy", "ab" * 32, {"seed": 7}, {"requests": 100})
    with store.start("inputs", "one") as run:
        for _ in range(2):  # as a run that is resumed does
            run.log_dataset(dataset, "evaluation")
        run.describe("first")
        run.describe("**second**")
    client = MlflowClient(store.uri)
    found = client.get_run(run.run_id)
    [given] = found.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("busy", dataset.sha256[:36])
    assert json.loads(given.dataset.profile) == {"requests": 100, "sha256": dataset.sha256}
    assert [(tag.key, tag.value) for tag in given.tags] == [("mlflow.data.context", "evaluation")]
    assert found.data.tags["mlflow.note.content"] == "**second**"
    experiment = client.get_experiment_by_name("inputs")
    assert experiment is not None
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_use_of_the_machine_is_recorded_where_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.05")
    store = open_store(tmp_path)
    with store.start("watched", "one") as run:
        run.watch_system()
        time.sleep(1.0)
    assert store.find_run(run.run_id).metrics["system/system_memory_usage_percentage"] > 0


def test_an_experiment_gets_a_view_by_what_tells_its_runs_apart(store: Store) -> None:
    for settings in (["algorithm.gamma"], ["execution.seed"]):  # a later run changes nothing
        with store.start("viewed", "one", {"algorithm.gamma": 0.9}, compared_by=settings):
            pass
    with store.start("not viewed", "one"):
        pass
    client = MlflowClient(store.uri)
    tags = {name: client.get_experiment_by_name(name).tags for name in ("viewed", "not viewed")}  # type: ignore[union-attr]
    view = json.loads(tags["viewed"][f"mlflow.sharedViewState.{views.KEY}"])
    state = json.loads(view["state"])
    assert view["name"] == views.NAME
    assert state["selectedColumns"][:3] == [
        "metrics.`service_blocking`", "metrics.`service_blocking_ci95`", "params.`algorithm.gamma`"
    ]  # fmt: skip
    assert set(state["columnWidths"]) == set(state["selectedColumns"])
    [parallel] = [chart for chart in state["compareRunCharts"] if chart["type"] == "PARALLEL"]
    assert (parallel["selectedParams"], parallel["selectedMetrics"]) == (["algorithm.gamma"], ["service_blocking"])
    assert not [key for key in tags["not viewed"] if key.startswith("mlflow.sharedViewState")]
