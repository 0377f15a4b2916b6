"""Who looks on at a training: callers told of its evaluations, users' callbacks, other tools, readers of its log."""

import functools
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fusion_rl.config.execution import Wandb
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.optical import domain
from fusion_rl.errors import ConfigError, TrainingStopped
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking import mirrors
from fusion_rl.tracking.base import STOPPED_TAG, RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import agreement, plots, progress
from fusion_rl.training.ancestry import find_parent
from fusion_rl.training.run import can_resume, resume, train
from tests.agents.worlds import agent_of, settings_of


def config(folder: Path, **execution: Any) -> ExperimentConfig:
    """A second of training on the tiny world."""
    small = {
        "timesteps": 1024, "eval_every": 256, "eval_requests": 100, "eval_lanes": 2, "final_requests": 200,
        "parity_requests": 100,
        "final_lanes": 2, "progress": False, "register_model": False, "tracking_dir": str(folder),
        "sanity_checks": False, "checkpoint_every": 256,
    }  # fmt: skip
    found = experiment(settings_of("maskable-ppo"))
    return found.model_copy(update={"execution": found.execution.model_copy(update={**small, **execution})})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture(autouse=True)
def _less_around_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """One baseline, a short parity and no plots: what surrounds learning is not what is looked at here."""
    monkeypatch.setattr(domain, "BASELINES", ("ksp-ff",))
    monkeypatch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=100))
    monkeypatch.setattr(plots, "log_run_figures", lambda *_: None)


def test_a_training_tells_of_each_evaluation_and_may_be_ended_by_who_is_told(folder: Path) -> None:
    told = []

    def look(step: int, blocking: Any) -> None:
        told.append((step, blocking.mean, blocking.ci95))
        if step >= 512:
            raise TrainingStopped("pruned: worse than the median")

    with open_store(folder).start("studies", "study") as study, pytest.raises(TrainingStopped, match="pruned"):
        train(config(folder), on_evaluation=look, parent_run_id=study.run_id, tags={"trial": "3"})
    store = open_store(folder)
    run = store.search_runs("tiny")[0]
    curve = store.metric_history(run.run_id, "evaluation/service_blocking")
    assert [(point.step, point.value) for point in curve] == [(step, mean) for step, mean, _ in told]
    assert [step for step, _, _ in told] == [256, 512]
    assert run.status is RunStatus.KILLED
    assert run.tags[STOPPED_TAG] == "pruned: worse than the median"
    assert (run.tags["mlflow.parentRunId"], run.tags["trial"]) == (study.run_id, "3")
    assert "failure" not in run.tags
    assert can_resume(folder, run.run_id)


class Counting(BaseCallback):
    """Counts steps, logs the count, remembers it over a resume, and ends a training at a step of its choice."""

    def __init__(self, end: int = 10**9) -> None:
        super().__init__()
        self.count = 0
        self.end = end

    def _on_step(self) -> bool:
        self.count += self.training_env.num_envs
        self.logger.record("mine/count", self.count)
        return self.num_timesteps < self.end

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.count = int(state["count"])


MINE = """
from stable_baselines3.common.callbacks import BaseCallback

class Mine(BaseCallback):
    def _on_step(self):
        self.logger.record("mine/reward", float(self.locals["rewards"].mean()))
        return True

class Demanding(BaseCallback):
    def __init__(self, needed): ...

a_number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current folder."""
    (tmp_path / "told_mine.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "told_mine"
    sys.modules.pop("told_mine", None)


def test_a_users_callbacks_take_part_and_may_end_the_training(folder: Path, module: str) -> None:
    mine = Counting(end=700)
    done = train(config(folder, callbacks=(f"{module}:Mine",)), callbacks=[mine])
    assert 700 <= done.timesteps < 720
    assert mine.count == done.timesteps
    assert done.stopped_early == f"a callback ended it at step {done.timesteps}"
    run = open_store(folder).find_run(done.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.metrics["mine/count"] <= done.timesteps
    assert run.metrics["mine/reward"] != 0
    assert run.parameters["execution.callbacks"] == '["told_mine:Mine"]'
    assert find_parent(done.run_id, str(folder)).experiment()["execution"]["callbacks"] == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("told_nothing:Mine", "'told_nothing:Mine' cannot be imported: ModuleNotFoundError: No module named"),
        ("told_mine:Mien", "unknown callback 'Mien': did you mean 'Mine'"),
        ("told_mine:a_number", "is 3, no class of callbacks"),
        ("told_mine:Demanding", "cannot be made without arguments"),
    ],
)
def test_a_callback_that_cannot_be_had_is_said_before_anything_is_written(
    place: str, message: str, tmp_path: Path, module: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(config(tmp_path / "mlruns", callbacks=(place,)))
    with pytest.raises(ConfigError, match="is no callback of Stable-Baselines3"):
        train(config(tmp_path / "mlruns"), callbacks=[Counting])  # type: ignore[list-item]
    assert not (tmp_path / "mlruns").exists()


def test_other_tools_get_every_metric_once_also_of_a_training_that_was_stopped_and_resumed(folder: Path) -> None:
    def stops(step: int, _: Any) -> None:
        if step >= 768:
            raise TrainingStopped("enough for today")

    offline = Wandb(project="tests", mode="offline")
    settings = config(folder, tensorboard=True, wandb=offline, run_name="told: twice", checkpoint_every=512)
    with pytest.raises(TrainingStopped, match="enough"):
        train(settings, on_evaluation=stops, callbacks=[Counting()])
    store = open_store(folder)
    run_id = store.search_runs("tiny", max_runs=1)[0].run_id
    mine, told = Counting(), []
    done = resume(run_id, tracking_dir=folder, callbacks=[mine], on_evaluation=lambda step, _: told.append(step))
    assert told == [768, 1024]
    assert [step for step, _, _ in done.learning_curve] == [256, 512, 768, 1024]
    assert mine.count == done.timesteps, "it remembered"
    run = store.find_run(run_id)
    assert (run.status, STOPPED_TAG in run.tags) == (RunStatus.FINISHED, False)
    events = EventAccumulator(run.tags["tensorboard"], size_guidance={"scalars": 0}).Reload()
    assert Path(run.tags["tensorboard"]).parent == folder / "tensorboard"
    assert set(events.Tags()["scalars"]) == set(run.metrics)
    for name in ("evaluation/service_blocking", "mine/count", "train/loss"):
        logged = [(point.step, pytest.approx(point.value)) for point in store.metric_history(run_id, name)]
        assert [(event.step, event.value) for event in events.Scalars(name)] == logged
    copies = sorted(folder.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb"))
    assert len(copies) == 2
    assert run.tags["wandb"] == str(copies[1].parent)
    assert all(b"evaluation/service_blocking_ci95" in copy.read_bytes() for copy in copies)


def test_what_keeps_weights_and_biases_from_working_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="there is no key: run `wandb login`, set WANDB_API_KEY, or use offline"):
        train(config(tmp_path / "mlruns", wandb=Wandb()))
    monkeypatch.setattr(mirrors, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"needs the package wandb: pip install 'fusion_rl\[wandb\]'"):
        train(config(tmp_path / "mlruns", wandb=Wandb(mode="offline")))
    assert not (tmp_path / "mlruns").exists()


def test_a_mirror_that_breaks_costs_a_warning_and_no_training() -> None:
    class Broken(mirrors.Mirror):
        tag, place = "broken", "nowhere"

        def log_metrics(self, values: Any, step: int) -> None:
            raise OSError("disk full")

        def close(self, status: RunStatus) -> None:
            raise OSError("disk full")

    both = mirrors.Mirrors()
    both.add(Broken())
    with pytest.warns(UserWarning, match="broken gets no more values: disk full"):
        both.log_metrics({"loss": 1.0}, 1)
    both.log_metrics({"loss": 1.0}, 2)
    both.close(RunStatus.FINISHED)


def test_where_nobody_watches_progress_is_a_line_now_and_then() -> None:
    written = io.StringIO()
    console = Console(file=written, width=80)
    lines = progress.progress(1024, console)
    assert isinstance(lines, progress.ProgressLines)
    seconds = iter(range(0, 100_000, 2))
    lines._clock, lines._every_s = lambda: float(next(seconds)), 30.0
    lines.note("blocking 0.1 ± 0.01")
    agent, _ = agent_of("maskable-ppo")
    agent.learn(1024, callback=lines)
    said = written.getvalue().splitlines()
    # 8 lanes a step of 2 s: after 15 steps 120 requests at 4 a second
    assert said[0].startswith("120 of 1,024 steps (12%), 4 steps/s, ")
    assert said[0].endswith("blocking 0.1 ± 0.01 when last evaluated, 0:03:46 left")
    assert re.search(r", 0\.\d{5} blocked while learning, ", "\n".join(said))
    assert isinstance(progress.progress(10, Console(file=io.StringIO(), force_terminal=True)), progress.ProgressBar)
