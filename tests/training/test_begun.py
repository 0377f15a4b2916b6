"""`--resume-if-begun`: the same words begin a run, go on with it, and find it finished."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fusion_rl.cli.main import main
from fusion_rl.config.load import flatten
from fusion_rl.domains.optical import domain
from fusion_rl.errors import CheckpointError, TrackingError, TrainingError
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import agreement, plots
from fusion_rl.training.begun import find_begun
from fusion_rl.training.callbacks import EpisodeBlocking
from tests.agents.worlds import settings_of

SMALL = {
    "timesteps": 512, "eval_every": 0, "final_requests": 200, "final_lanes": 2, "progress": False,
    "register_model": False, "sanity_checks": False, "checkpoint_every": 128,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _less_around_learning(monkeypatch: pytest.MonkeyPatch) -> None:
    """One baseline, a short parity and no plots: what surrounds learning is not what is looked at here."""
    monkeypatch.setattr(domain, "BASELINES", ("ksp-ff",))
    monkeypatch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=100))
    monkeypatch.setattr(plots, "log_run_figures", lambda *_: None)


def test_the_same_words_begin_a_run_go_on_with_it_and_find_it_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = experiment(settings_of("maskable-ppo"))
    small = found.model_copy(update={"execution": found.execution.model_copy(update=SMALL)})
    file, folder = tmp_path / "tiny.yaml", tmp_path / "mlruns"
    file.write_text(yaml.safe_dump(small.model_dump(mode="json")))

    def command(*more: str, name: str = "job 7") -> tuple[int, Any, str]:
        words = ["train", "--experiment", str(file), "--name", name, "--resume-if-begun", "--json"]
        with pytest.raises(SystemExit) as stopped:
            main([*words, "--set", f"execution.tracking_dir={folder}", *more])
        out, err = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, json.loads(out) if out else None, err

    on_step = EpisodeBlocking._on_step

    def breaks_down(self: EpisodeBlocking) -> bool:
        if self.num_timesteps >= 300:
            raise TrainingError("power cut")
        return on_step(self)

    with monkeypatch.context() as patch:
        patch.setattr(EpisodeBlocking, "_on_step", breaks_down)
        assert command()[0] == 2
    [begun] = open_store(folder).search_runs()
    assert (begun.run_name, begun.status) == ("job 7", RunStatus.FAILED)

    code, _, err = command("--lanes", "4", "--seed", "3")
    assert (code, "was begun with other settings: execution.lanes 8, here 4; execution.seed 1, here 3" in err) == (
        2,
        True,
    )

    code, done, err = command()
    assert (code, done["run_id"], done["timesteps"]) == (0, begun.run_id, 512)
    assert "going on from latest-000000256.bundle" in err
    code, done, _ = command()
    assert (code, done) == (0, {"run_id": begun.run_id, "name": "job 7", "has_finished_before": True})
    assert len(open_store(folder).search_runs()) == 1

    named = small.model_copy(
        update={"execution": small.execution.model_copy(update={"run_name": "elsewhere", "tracking_dir": str(folder)})}
    )
    assert find_begun(named) is None
    with open_store(folder).start("tiny", "elsewhere", flatten(named)):
        pass
    assert find_begun(named) is not None, "a finished one"
    for host in (None, "another"):
        run = open_store(folder).start("tiny", "died early" if host is None else "far away")
        run.finish(RunStatus.KILLED)
        run.set_tags({} if host is None else {"process.host": host})

    def called(name: str) -> Any:
        return named.model_copy(update={"execution": named.execution.model_copy(update={"run_name": name})})

    assert find_begun(called("died early")) is None, "it did nothing yet"
    with pytest.raises(CheckpointError, match="was begun on another machine, and cannot go on here"):
        find_begun(called("far away"))
    with open_store(folder).start("tiny", "elsewhere"):
        pass
    with pytest.raises(TrackingError, match="2 runs are named 'elsewhere': go on with one by --resume"):
        find_begun(named)


def test_it_needs_a_name_and_goes_with_no_other_way_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--resume-if-begun"], "needs a name: give --name"),
        (["--resume-if-begun", "--resume", "x"], "leave the other options out"),
        (["--resume-if-begun", "--eval-only", "x"], "leave out --resume-if-begun"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["train", *words])
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err
