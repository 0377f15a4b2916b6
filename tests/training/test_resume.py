"""A training that was interrupted and resumed is the training that was not: the same weights, the same history."""

import functools
import json
import multiprocessing
import random
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.cli.main import main
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical import domain
from fusion_rl.errors import CheckpointError, TrackingError, TrainingError
from fusion_rl.testing import tiny
from fusion_rl.tracking.base import RunRecord, RunStatus
from fusion_rl.tracking.buffer import MetricBuffer
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import agreement, bundle, plots
from fusion_rl.training.callbacks import EpisodeBlocking
from fusion_rl.training.interrupts import Interrupted
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import can_resume, resume, train

History = list[tuple[str, int, float]]

STEPS = 960
ALGORITHMS: dict[str, dict[str, object]] = {
    "maskable-ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "ppo": {"n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "a2c": {"n_steps": 8},
    "dqn": {"learning_starts": 100, "buffer_size": 600, "batch_size": 16, "target_update_interval": 200},
    "q-learning": {},
    "qr-dqn": {"learning_starts": 100, "buffer_size": 600, "batch_size": 16, "n_quantiles": 5},
    "evolution": {"score": "linear", "population": 4, "requests": 20, "warmup_requests": 10},
}


def tiny_config(folder: Path, algorithm: str = "maskable-ppo", **execution: object) -> ExperimentConfig:
    """A training of a second on the tiny world, with two scenarios and bursts in the traffic of one."""
    busy = tiny.SCENARIO.model_dump(mode="json") | {
        "name": "busy",
        "load_erlang": 40.0,
        "arrivals": {"kind": "on-off", "mean_on_time": 5.0, "mean_off_time": 5.0},
    }
    network = {} if algorithm in ("evolution", "q-learning") else {"net_arch": [8]}
    return load(
        "deeprmsa-nsfnet",
        network=tiny.NETWORK.model_dump(mode="json"),
        scenarios={"scenarios": [tiny.SCENARIO.model_dump(mode="json"), busy]},
        algorithm={"name": algorithm, **ALGORITHMS[algorithm], **network},
        execution={
            "lanes": 4, "timesteps": STEPS, "progress": False, "eval_every": 300, "checkpoint_every": 250,
            "eval_requests": 200, "eval_lanes": 2, "final_requests": 400, "final_lanes": 8, "register_model": False,
            "parity_requests": 100,
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One store for all: making its schema takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Path(open_store(tmp_path_factory.mktemp("store")).uri.removeprefix("sqlite:///")).parent


@pytest.fixture(autouse=True)
def _less_around_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """One baseline, a short parity and no plots: what surrounds learning is not what is looked at here."""
    monkeypatch.setattr(domain, "BASELINES", ("ksp-ff",))
    monkeypatch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=100))
    monkeypatch.setattr(plots, "log_run_figures", lambda *_: None)


@pytest.fixture(scope="module")
def whole(folder: Path) -> Callable[[str], RunResult]:
    """The uninterrupted training of an algorithm."""
    return functools.cache(lambda algorithm: train(tiny_config(folder, algorithm)))


def newest_run(folder: Path) -> str:
    return open_store(folder).search_runs(max_runs=1)[0].run_id


def break_and_resume(config: ExperimentConfig, steps: list[int], monkeypatch: pytest.MonkeyPatch) -> RunResult:
    """Train, and go on whenever it breaks down, as it does at these steps."""
    folder = Path(config.execution.tracking_dir)
    crash_at(steps[0], monkeypatch, lambda: RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        train(config)
    run_id = newest_run(folder)
    for step in steps[1:]:
        crash_at(step, monkeypatch, lambda: RuntimeError("power cut"))
        with pytest.raises(RuntimeError, match="power cut"):
            resume(run_id, tracking_dir=folder)
    return resume(run_id, tracking_dir=folder)


def assert_same(parts: RunResult, whole: RunResult, folder: Path) -> None:
    assert parts.run_id != whole.run_id
    assert parts.weights_sha256 == whole.weights_sha256
    assert parts.learning_curve == whole.learning_curve
    assert parts.evaluation.tally.blocked_requests == whole.evaluation.tally.blocked_requests
    assert history(folder, parts.run_id) == history(folder, whole.run_id)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_resumed_training_equals_the_uninterrupted_one(
    algorithm: str, folder: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = break_and_resume(tiny_config(folder, algorithm), [610], monkeypatch)
    assert_same(parts, whole(algorithm), folder)


def test_a_training_may_break_again_and_again_also_before_its_first_checkpoint(
    folder: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = break_and_resume(tiny_config(folder), [100, 500, 900], monkeypatch)
    assert_same(parts, whole("maskable-ppo"), folder)
    run = open_store(folder).find_run(parts.run_id)
    assert (run.status, run.tags["resumed"]) == (RunStatus.FINISHED, "3")
    assert "failure" not in run.tags


def test_a_run_that_breaks_after_learning_is_concluded_once(
    folder: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(plots, "log_run_figures", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(tiny_config(folder))
    run_id = newest_run(folder)
    parts = resume(run_id, tracking_dir=folder)
    assert_same(parts, whole("maskable-ppo"), folder)
    store = open_store(folder)
    table = json.loads(store.artifact_path(run_id, "comparison.json").read_text())
    assert len(table["data"]) == 2
    with sqlite3.connect(folder / "mlflow.db") as database:
        [(models,)] = database.execute("SELECT COUNT(*) FROM logged_models WHERE source_run_id = ?", (run_id,))
    assert models == 1


def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    folder: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    crash_at(800, monkeypatch, lambda: RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny_config(folder))
    kept = folder / "checkpoints" / newest_run(folder)
    newest = max(kept.glob("latest-*.bundle"))
    content = bytearray(newest.read_bytes())
    content[len(content) // 3] ^= 1
    newest.write_bytes(content)
    with pytest.warns(UserWarning, match=rf"{newest.name}.*the one before is used"):
        parts = resume(kept)
    assert_same(parts, whole("maskable-ppo"), folder)


def test_a_signal_ends_a_training_after_its_update_with_a_checkpoint(
    folder: Path, whole: Callable[[str], RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    on_step = EpisodeBlocking._on_step

    def signalled(self: EpisodeBlocking) -> bool:
        if self.num_timesteps == 404:
            signal.raise_signal(signal.SIGTERM)
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeBlocking, "_on_step", signalled)
        with pytest.raises(Interrupted, match="SIGTERM after 448 steps"):
            train(tiny_config(folder))
    run = open_store(folder).find_run(newest_run(folder))
    assert run.status is RunStatus.KILLED
    assert (folder / "checkpoints" / run.run_id / "emergency-000000448.bundle").is_file()
    assert_same(resume(run.run_id, tracking_dir=folder), whole("maskable-ppo"), folder)


def test_what_the_store_misses_while_it_is_away_is_there_in_the_end(
    folder: Path,
    whole: Callable[[str], RunResult],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("fusion_rl.tracking.mlflow_run.MetricBuffer", functools.partial(MetricBuffer, max_age_s=0.0))
    on_step = EpisodeBlocking._on_step

    def away_for_a_while(self: EpisodeBlocking) -> bool:
        old, new = ("metrics", "gone") if self.num_timesteps == 200 else ("gone", "metrics")
        if self.num_timesteps in (200, 800):
            with sqlite3.connect(folder / "mlflow.db") as database:
                database.execute(f"ALTER TABLE {old} RENAME TO {new}")
        return on_step(self)

    monkeypatch.setattr(EpisodeBlocking, "_on_step", away_for_a_while)
    done = train(tiny_config(folder))
    assert "metric values wait on disk for the next attempt" in caplog.text
    assert_same(done, whole("maskable-ppo"), folder)


def test_what_cannot_be_resumed_is_said(folder: Path, whole: Callable[[str], RunResult], tmp_path: Path) -> None:
    done = whole("maskable-ppo")
    with pytest.raises(TrackingError, match="has finished: there is nothing to resume"):
        resume(done.run_id, tracking_dir=folder)
    with pytest.raises(TrackingError, match="no run has the id or name 'nothing'"):
        resume("nothing", tracking_dir=folder)
    with pytest.raises(TrackingError, match="there are no runs"):
        resume("nothing", tracking_dir=tmp_path)
    with open_store(folder).start("elsewhere", "of another machine") as run:
        pass
    with pytest.raises(CheckpointError, match=r"cannot be resumed here: there is no .*resolved_config.yaml"):
        resume(run.run_id, tracking_dir=folder)


def test_other_traffic_than_before_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crash_at(700, monkeypatch, lambda: RuntimeError("power cut"))
    with pytest.raises(RuntimeError, match="power cut"):
        train(tiny_config(folder))
    kept = folder / "checkpoints" / newest_run(folder)
    config = kept / "config" / "resolved_config.yaml"
    config.write_text(config.read_text().replace("load_erlang: 20.0", "load_erlang: 21.0"))
    with pytest.raises(CheckpointError, match="traffic_sha256 differ from when it was written"):
        resume(kept)


def test_kinds_of_checkpoints_stay_as_long_as_they_should(folder: Path) -> None:
    config = tiny_config(folder, checkpoint_every=100, checkpoint_keep=3, checkpoint_regular_every=400, eval_every=100)
    done = train(config)
    names = sorted(path.name for path in done.checkpoint.parent.iterdir())
    points = done.learning_curve
    latest = [name for name in names if name.startswith("latest")]
    assert latest == [f"latest-{step:09d}.bundle" for step in (640, 704, 832)]
    assert {"best.bundle", "best.zip", "final.bundle", "final.zip", "config", "regular-000000448.bundle"} <= set(names)
    best_step = min(points, key=lambda point: point[1])[0]
    assert bundle.read_facts(done.checkpoint.with_name("best.bundle"))["step"] == best_step


def kill_until_done(
    folder: Path, config: ExperimentConfig, kills: int = 0, within_s: tuple[float, float] = (0, 0)
) -> tuple[str, int]:
    """Train in processes that are killed at random moments, and let the last come to its end.

    Returns:
        The run, and how many of the kills met a process at work.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fusion_rl.tracking.mlflow_store", "fusion_rl.training.plots", "sb3_contrib"])
    moments = random.Random(kills)
    store = open_store(folder)
    earlier = {run.run_id for run in store.search_runs()}

    def runs() -> list[RunRecord]:
        return [run for run in store.search_runs() if run.run_id not in earlier and can_resume(folder, run.run_id)]

    met = 0
    while not any(run.status is RunStatus.FINISHED for run in runs()):
        begun = [run.run_id for run in runs()]
        task = functools.partial(resume, begun[0], tracking_dir=folder) if begun else functools.partial(train, config)
        process = context.Process(target=task)
        process.start()
        process.join(moments.uniform(*within_s) if met < kills else None)
        met += process.is_alive()
        process.kill()
        process.join()
    [run] = runs()
    return run.run_id, met


def assert_killing_changes_nothing(
    folder: Path, config: ExperimentConfig, kills: int, within_s: tuple[float, float]
) -> int:
    whole, _ = kill_until_done(folder, config)
    killed, met = kill_until_done(folder, config, kills, within_s)
    finals = [bundle.read_facts(folder / "checkpoints" / run_id / "final.bundle") for run_id in (whole, killed)]
    assert finals[0]["weights_sha256"] == finals[1]["weights_sha256"]
    assert history(folder, killed) == history(folder, whole)
    return met


def test_a_training_that_is_killed_at_random_moments_equals_the_uninterrupted_one(folder: Path) -> None:
    assert assert_killing_changes_nothing(folder, tiny_config(folder, "dqn"), kills=3, within_s=(0.5, 2.0)) > 0


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_training_that_is_killed_again_and_again_equals_the_uninterrupted_one(algorithm: str, folder: Path) -> None:
    kills = 20 if algorithm == "maskable-ppo" else 5
    longer = 20 if algorithm in ("q-learning", "evolution") else 1  # they are over before they can be killed
    every = {"checkpoint_every": 500 * longer, "eval_every": 2_500 * longer}
    config = tiny_config(folder, algorithm, timesteps=3_000 * kills * longer, **every)
    met = assert_killing_changes_nothing(folder, config, kills, within_s=(1.0, 6.0))
    print(f"{algorithm}: {met} of {kills} kills met a process at work")
    assert met >= 0.75 * kills


@pytest.mark.slow
@pytest.mark.parametrize(
    "score",
    [
        {"score": "mlp"},
        {"score": "slot-capacity"},
        {"score": "slot-capacity-known-holding", "observation": "spectrum-known-holding"},
    ],
    ids=lambda score: score["score"],
)
def test_any_score_whose_evolution_is_killed_again_and_again_equals_the_uninterrupted_one(
    score: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ALGORITHMS, "evolution", ALGORITHMS["evolution"] | score)
    every = {"checkpoint_every": 10_000, "eval_every": 50_000}
    config = tiny_config(folder, "evolution", timesteps=300_000, **every)
    met = assert_killing_changes_nothing(folder, config, kills=5, within_s=(1.0, 6.0))
    print(f"{score['score']}: {met} of 5 kills met a process at work")
    assert met >= 4


def test_the_command_goes_on_with_a_run_and_lists_it(
    folder: Path,
    whole: Callable[[str], RunResult],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    crash_at(700, monkeypatch, lambda: TrainingError("power cut"))
    with pytest.raises(TrainingError, match="power cut"):
        train(tiny_config(folder))
    run_id = newest_run(folder)

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, captured.out, captured.err

    def listed() -> dict[str, Any]:
        code, out, _ = command("runs", "list", "--tracking-dir", str(folder), "--json")
        assert code == 0
        return next(run for run in json.loads(out)["runs"] if run["run_id"] == run_id)

    assert (listed()["status"], listed()["can_be_resumed"]) == ("FAILED", True)
    code, _, err = command("train", "--resume", run_id, "--tracking-dir", str(folder), "--seed", "3")
    assert (code, "leave the other options out" in err) == (2, True)
    code, _, err = command("train", "--resume", "none", "--tracking-dir", str(folder))
    assert (code, "no run has the id or name 'none'" in err) == (2, True)
    code, out, _ = command("train", "--resume", run_id, "--tracking-dir", str(folder), "--json")
    assert code == 0
    assert json.loads(out)["weights_sha256"] == whole("maskable-ppo").weights_sha256
    assert (listed()["status"], listed()["can_be_resumed"]) == ("FINISHED", False)
    code, out, _ = command("runs", "reap", "--tracking-dir", str(folder))
    assert (code, out) == (0, "0 runs were left by their processes\n")
    assert command("train", "--tracking-dir", str(folder))[0] == 2
