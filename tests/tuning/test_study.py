"""A small study from its first trial to its best one, also where a worker dies, a trial fails, or one is pruned."""

import functools
import io
import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy
from optuna.pruners import ThresholdPruner
from optuna.trial import TrialState
from rich.console import Console

from fusion_rl.cli.main import main
from fusion_rl.config.load import load
from fusion_rl.domains.optical import domain
from fusion_rl.errors import ConfigError, StudyError
from fusion_rl.tracking.base import STOPPED_TAG, RunRecord, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.tracking.processes import process_tags
from fusion_rl.training import agreement, plots
from fusion_rl.training.callbacks import EpisodeBlocking
from fusion_rl.training.run import checkpoint_folder, train
from fusion_rl.tuning import results, storage
from fusion_rl.tuning.begin import Opened, open_study, with_trials
from fusion_rl.tuning.definition import StudyDefinition
from fusion_rl.tuning.trial import LEFT, TRIAL_TAG, WORKER
from fusion_rl.tuning.worker import _beats_first, _heartbeat, take_up, work
from tests.tuning.worlds import study_of

LIMIT_S = 240.0  # for a process to start and come to its first checkpoint, on a machine with much else to do


@pytest.fixture(autouse=True, scope="module")
def _less_around_learning() -> Any:
    """One baseline, a short parity and no plots: what surrounds learning is not what is looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("FUSION_RL_STUDIES", raising=False)
        patch.setattr(domain, "BASELINES", ("ksp-ff",))
        patch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=100))
        patch.setattr(plots, "log_run_figures", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One place for all studies: making the schemas of both databases takes seconds."""
    return tmp_path_factory.mktemp("studies")


def begin(folder: Path, definition: StudyDefinition) -> Opened:
    return open_study(definition, f"sqlite:///{folder}/studies.db", folder / "runs")


def carry_out(opened: Opened) -> str:
    """All trials, by one worker in this process; what it said."""
    said = io.StringIO()
    work(opened.plan, Console(file=said, width=200))
    return said.getvalue()


def die_at_the_first_checkpoint(opened: Opened) -> None:
    """A worker that is killed when it has written a checkpoint, and no other chance to say anything."""
    kept = Path(opened.plan.tracking_dir) / "checkpoints"
    before = set(kept.rglob("latest-*.bundle"))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fusion_rl.tuning.worker", "fusion_rl.training.plots", "sb3_contrib"])
    process = context.Process(target=work, args=(opened.plan,))
    process.start()
    limit = time.monotonic() + LIMIT_S
    while not set(kept.rglob("latest-*.bundle")) - before:
        assert process.is_alive()
        assert time.monotonic() < limit
        time.sleep(0.02)
    process.kill()
    process.join()


def runs_of(opened: Opened, number: int) -> tuple[RunRecord, list[RunRecord]]:
    """The run of a trial and those of its trainings."""
    found = opened.store.search_runs(f"study {opened.study.study_name}", f"tags.{TRIAL_TAG} = '{number}'")
    parents = {run.run_id: run.tags["mlflow.parentRunId"] for run in found}
    [trial] = [run for run in found if parents[run.run_id] == opened.study.user_attrs["run_id"]]
    return trial, [run for run in found if parents[run.run_id] == trial.run_id]


@pytest.fixture(scope="module")
def killed(folder: Path) -> tuple[Opened, str]:
    """A study whose first worker was killed in its first trial, and a second one came to the end of all."""
    definition = study_of(
        "killed", seeds=2, overrides={"execution.eval_every": 640}, budget={"trials": 2, "timesteps": 1280}
    )
    opened = begin(folder, definition)
    die_at_the_first_checkpoint(opened)
    return opened, carry_out(opened)


def test_the_trial_of_a_dead_worker_goes_on_from_its_last_checkpoint(killed: tuple[Opened, str]) -> None:
    opened, said = killed
    trial = opened.study.trials[0]
    assert trial.state is TrialState.COMPLETE
    assert trial.user_attrs[LEFT] == 1
    record, trainings = runs_of(opened, 0)
    assert "going on from latest-" in said
    assert "starting again from the first step" not in said
    assert [len(trainings), record.tags["resumed"]] == [2, "1"]
    [resumed] = [run for run in trainings if "resumed" in run.tags]
    assert resumed.status is RunStatus.FINISHED


def test_the_run_store_says_of_every_trial_what_optuna_says(killed: tuple[Opened, str]) -> None:
    opened, _ = killed
    assert [trial.state for trial in opened.study.trials] == [TrialState.COMPLETE] * 2
    assert results.disagreements(opened.study, opened.store) == []
    record, trainings = runs_of(opened, 1)
    values = [run.metrics["evaluation/service_blocking"] for run in trainings]
    assert opened.study.trials[1].value == record.metrics["evaluation/service_blocking"] == sum(values) / 2
    assert record.metrics["evaluation/service_blocking_ci95"] == opened.study.trials[1].user_attrs["ci95"]
    assert {name: str(value) for name, value in opened.study.trials[1].params.items()} == record.parameters
    resolved = opened.store.artifact_path(record.run_id, "config/resolved_config.yaml")
    assert load(str(resolved)).config.algorithm.gamma == opened.study.trials[1].params["algorithm.gamma"]  # type: ignore[union-attr]


def test_a_difference_between_the_two_is_noticed(killed: tuple[Opened, str]) -> None:
    opened, _ = killed
    record, _ = runs_of(opened, 1)
    with opened.store.resume(record.run_id, finished=True) as run:
        run.set_tags({"trial.state": "PRUNED"})
    assert results.disagreements(opened.study, opened.store) == [
        "trial 1: COMPLETE in Optuna, tag PRUNED in MLflow",
    ]
    with opened.store.resume(record.run_id, finished=True) as run:
        run.set_tags({"trial.state": "COMPLETE"})
    assert results.disagreements(opened.study, opened.store) == []


def test_the_first_trial_is_the_experiment_as_it_stands(killed: tuple[Opened, str]) -> None:
    opened, _ = killed
    assert opened.study.trials[0].params == {"algorithm.learning_rate": 3e-4, "algorithm.gamma": 0.99}


def test_retraining_the_best_trial_gives_its_value_to_the_last_digit(
    killed: tuple[Opened, str], tmp_path: Path
) -> None:
    opened, _ = killed
    [best] = results.best(opened.study, opened.plan.tracking_dir)
    config = load(str(best.config), overrides={"execution.tracking_dir": opened.plan.tracking_dir}).config
    again = train(config, console=Console(file=io.StringIO()))
    _, trainings = runs_of(opened, best.trial.number)
    values = {run.run_id: run.metrics["evaluation/service_blocking"] for run in trainings}
    assert again.evaluation.service_blocking.mean == values[str(best.trial.best_run)] == min(values.values())
    assert best.checkpoint.is_file()


def test_a_study_goes_on_with_more_trials_but_not_with_other_settings(folder: Path) -> None:
    definition = study_of("more", budget={"trials": 1, "timesteps": 64})
    assert "trial 1" not in carry_out(begin(folder, definition))
    opened = begin(folder, with_trials(definition, 2))
    assert "trial 1 seed 0" in carry_out(opened)
    assert [trial.state for trial in opened.study.trials] == [TrialState.COMPLETE] * 2
    with pytest.raises(StudyError, match="study more was begun with other settings: sampler was tpe, is random"):
        begin(folder, study_of("more", sampler="random", budget={"trials": 1, "timesteps": 64}))
    with pytest.raises(StudyError, match="give the same --tracking-dir"):
        open_study(definition, f"sqlite:///{folder}/studies.db", folder / "others")
    assert not (folder / "others").exists()


def test_a_pruned_trial_is_pruned_in_both(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "make_pruner", lambda *_: ThresholdPruner(upper=0.0))
    opened = begin(folder, study_of("pruned", pruner="median", budget={"trials": 1, "timesteps": 640}))
    carry_out(opened)
    [trial] = opened.study.trials
    assert (trial.state, list(trial.intermediate_values)) == (TrialState.PRUNED, [64])
    record, [training] = runs_of(opened, 0)
    assert [run.status for run in (record, training)] == [RunStatus.KILLED] * 2
    assert record.tags[STOPPED_TAG].startswith("pruned after 64 steps of seed 0: blocking 0.")
    assert results.disagreements(opened.study, opened.store) == []


def test_a_failed_trial_is_failed_in_both_and_the_study_goes_on(folder: Path) -> None:
    search = {"algorithm.learning_rate": {"choices": [1e30]}}
    opened = begin(folder, study_of("failed", search=search, budget={"trials": 2, "timesteps": 64}))
    carry_out(opened)
    assert [trial.state for trial in opened.study.trials] == [TrialState.FAIL] * 2
    assert "TrainingError" in opened.study.trials[1].user_attrs["failure"]
    assert runs_of(opened, 0)[0].status is RunStatus.FAILED
    assert results.disagreements(opened.study, opened.store) == []
    with pytest.raises(StudyError, match="study failed has no complete trial yet"):
        results.best(opened.study, opened.plan.tracking_dir)


def test_an_interrupted_trial_waits_and_is_gone_on_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = begin(folder, study_of("interrupted", budget={"trials": 1, "timesteps": 640}))
    on_step = EpisodeBlocking._on_step

    def interrupted(self: EpisodeBlocking) -> bool:
        if self.num_timesteps == 200:
            raise KeyboardInterrupt
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeBlocking, "_on_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            carry_out(opened)
    assert opened.study.trials[0].state is TrialState.WAITING
    assert runs_of(opened, 0)[0].status is RunStatus.KILLED
    assert "going on from latest-" in carry_out(opened)
    assert results.disagreements(opened.study, opened.store) == []


def test_two_objectives_are_both_recorded(folder: Path) -> None:
    definition = study_of("both", objectives=["blocking", "time"], budget={"trials": 1, "timesteps": 64})
    opened = begin(folder, definition)
    carry_out(opened)
    [trial] = opened.study.trials
    assert trial.values == [trial.user_attrs["blocking"], trial.user_attrs["seconds"]]
    assert [one.trial.number for one in results.best(opened.study, opened.plan.tracking_dir)] == [0]


def test_trials_can_begin_with_a_trained_model(killed: tuple[Opened, str], folder: Path) -> None:
    opened, _ = killed
    [best] = results.best(opened.study, opened.plan.tracking_dir)
    begun = begin(folder, study_of("onward", start_from=str(best.checkpoint), budget={"trials": 1, "timesteps": 64}))
    carry_out(begun)
    _, [training] = runs_of(begun, 0)
    assert training.tags["fusion_rl.parent_run"] == best.trial.best_run
    other = study_of("misfit", start_from=str(best.checkpoint), search={"algorithm.net_arch": {"choices": [[8], [9]]}})
    with pytest.raises(
        StudyError, match=r"start_from with algorithm.net_arch=\[9\]: the model of .* cannot go on here"
    ):
        begin(folder, other)
    assert "misfit" not in {study.study_name for study in storage.optuna.get_all_study_summaries(begun.storage)}


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_worker_elsewhere_that_shows_no_life_is_taken_for_dead_once(folder: Path) -> None:
    opened = begin(folder, study_of("elsewhere"))
    study, database = opened.study, opened.storage
    trial = study.ask()
    trial_id = database.get_trial_id_from_study_id_trial_number(
        database.get_study_id_from_name("elsewhere"), trial.number
    )
    trial.set_user_attr(WORKER, {"process.host": "another machine", "process.pid": "1", "process.started": "0"})
    database.record_heartbeat(trial_id)
    assert take_up(study, database) == []
    long_ago = sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2001-01-01 00:00:00' WHERE trial_id = :id")
    with database.engine.begin() as connection:
        connection.execute(long_ago, {"id": trial_id})
    seen = _heartbeat(database, trial_id)
    assert take_up(study, database) == [trial.number]
    assert study.trials[trial.number].state is TrialState.WAITING
    assert not _beats_first(database, trial_id, seen), "another machine that noticed, too, leaves it alone"
    assert take_up(study, database) == []


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_a_trial_that_keeps_killing_its_workers_fails(folder: Path) -> None:
    opened = begin(folder, study_of("deadly", budget={"trials": 1, "timesteps": 64}))
    trial = opened.study.ask()
    trial.set_user_attr(LEFT, 5)
    trial.set_user_attr(WORKER, process_tags() | {"process.started": "0"})
    carry_out(opened)
    assert opened.study.trials[0].state is TrialState.FAIL
    assert "its worker died 6 times" in opened.study.trials[0].user_attrs["failure"]
    assert results.disagreements(opened.study, opened.store) == []


@pytest.fixture
def command(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """A command's stdout, with the studies of the test; fails where its exit code is not the one that is expected."""
    monkeypatch.setenv("FUSION_RL_STUDIES", f"sqlite:///{folder}/studies.db")

    def run(*arguments: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        assert ended.value.code == code, printed.err
        return printed.err if code else printed.out

    return run


def test_the_commands_say_how_a_study_stands_and_what_is_best(
    killed: tuple[Opened, str], command: Callable[..., str]
) -> None:
    said = json.loads(command("study", "status", "killed", "--json"))
    assert said["states"]["complete"] == 2
    assert said["disagreements"] == []
    assert "algorithm.gamma" in command("study", "status", "killed")
    [best] = json.loads(command("study", "best", "killed", "--json"))["best"]
    assert best["trial"]["blocking"] == min(trial["blocking"] for trial in said["trials"])
    assert Path(best["config"]).is_file()
    assert best["checkpoint"] in command("study", "best", "killed")
    assert "did you mean 'killed'" in command("study", "status", "kiled", code=2)


def test_trials_are_exported_by_ending(killed: tuple[Opened, str], command: Callable[..., str], tmp_path: Path) -> None:
    readers: dict[str, Callable[[Path], Any]] = {"csv": pd.read_csv, "parquet": pd.read_parquet}
    for ending, read in readers.items():
        command("study", "export", "killed", "--output", str(tmp_path / f"trials.{ending}"))
        found = read(tmp_path / f"trials.{ending}")
        assert list(found["algorithm.gamma"]) == [trial.params["algorithm.gamma"] for trial in killed[0].study.trials]
    command("study", "export", "killed", "--output", str(tmp_path / "trials.json"))
    assert len(json.loads((tmp_path / "trials.json").read_text())["trials"]) == 2
    with pytest.raises(ConfigError, match=r"must be one of \.csv, \.json, \.parquet"):
        results.export([], tmp_path / "trials.txt")


def test_the_best_trial_is_trained_on_and_lends_its_algorithm(
    killed: tuple[Opened, str], command: Callable[..., str]
) -> None:
    opened, _ = killed
    [best] = results.best(opened.study, opened.plan.tracking_dir)
    small = [
        "--set", "execution.timesteps=64", "--set", "execution.final_requests=200", "--set", "execution.eval_every=0",
        "--set", f"execution.tracking_dir={opened.plan.tracking_dir}",
    ]  # fmt: skip
    onward = json.loads(command("train", "--resume-from", "study:killed", *small, "--json"))
    record = opened.store.find_run(onward["run_id"])
    assert record.tags["fusion_rl.parent_run"] == best.trial.best_run
    world = str(best.config)
    shown = json.loads(command("config", "show", "--experiment", world, "--algorithm", "study:killed", "--json"))
    assert shown["algorithm.gamma"]["value"] == best.trial.settings["algorithm.gamma"]


def test_checkpoints_of_every_training_stay(killed: tuple[Opened, str]) -> None:
    opened, _ = killed
    for number in (0, 1):
        for run in runs_of(opened, number)[1]:
            assert (checkpoint_folder(opened.plan.tracking_dir, run.run_id) / "final.bundle").is_file()


def test_the_store_that_a_study_made_is_opened_like_any_other(killed: tuple[Opened, str]) -> None:
    opened, _ = killed
    study = open_store(opened.plan.tracking_dir).find_run(opened.study.user_attrs["run_id"])
    assert study.tags["mlflow.note.content"] == "How fast shall it learn?"
    trial, trainings = runs_of(opened, 0)
    for run in (study, trial, *trainings):
        assert (run.tags["algorithm"], run.tags["topology"], run.tags["load"]) == ("maskable-ppo", "tiny", "20 E")
    assert opened.store.artifact_path(study.run_id, "study.yaml").is_file()
