"""Trainings with several seeds are one row of a table, from Python and from the command line."""

from pathlib import Path

import pytest

from fusion_rl.analysis.estimates import across_runs
from fusion_rl.analysis.seeds import seed_summary
from fusion_rl.cli.main import main
from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.judge import EVALUATION_TAG

BLOCKING = {1: 0.03, 2: 0.01, 3: 0.02}


def record(folder: Path, seed: int, blocking: float, algorithm: str = "ppo", **more: object) -> str:
    """A run as training leaves it."""
    parameters = {"execution.seed": seed, "execution.timesteps": 1000, "algorithm.name": algorithm}
    parameters["execution.run_name"] = f"{algorithm} {seed}"
    tags = {"algorithm": algorithm, "topology": "tiny", "load": "6 E"} | {
        name: str(value) for name, value in more.items() if not name.startswith("evaluation/")
    }
    with open_store(folder).start("seeds", f"{algorithm} {seed}", parameters, tags) as run:
        run.log_metrics({"evaluation/service_blocking": blocking}, 1000)
        run.log_metrics({name: float(str(value)) for name, value in more.items() if name.startswith("evaluation/")})
    return run.run_id


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        folder = tmp_path_factory.mktemp("seeds") / "mlruns"
        record(folder, 2, 0.5)  # an older training with the same seed
        for seed, blocking in BLOCKING.items():
            record(folder, seed, blocking)
        record(folder, 1, 0.001, "dqn")
        record(folder, 1, 0.9, **{EVALUATION_TAG: "somebody.bundle"})
        open_store(folder).start("seeds", "killed", {"execution.seed": 4}, {}).finish(RunStatus.KILLED)
    return folder


def test_trainings_that_differ_in_their_seed_alone_are_one_group(folder: Path) -> None:
    found = seed_summary(folder)
    assert found["algorithm"].tolist() == ["dqn", "ppo"]
    ppo = found.iloc[1]
    expected = across_runs({"all": list(BLOCKING.values())})
    assert ppo["seeds"] == [1, 2, 3]
    assert (ppo["service_blocking"], ppo["best"], ppo["worst"]) == (pytest.approx(0.02), 0.01, 0.03)
    assert (ppo["low"], ppo["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert found.iloc[0]["seeds"] == [1]
    assert found.iloc[0]["low"] != found.iloc[0]["low"]


def test_scenarios_are_strata(tmp_path: Path) -> None:
    for seed, quiet, busy in ((1, 0.01, 0.11), (2, 0.01, 0.11)):
        parts = {"evaluation/quiet/service_blocking": quiet, "evaluation/busy/service_blocking": busy}
        record(tmp_path, seed, 0.06, **parts)
    [row] = seed_summary(tmp_path).to_dict("records")
    assert set(row["scenarios"]) == {"quiet", "busy"}
    assert (row["low"], row["service_blocking"], row["high"]) == pytest.approx((0.06, 0.06, 0.06))


def test_some_trainings_can_be_chosen_and_others_are_refused(folder: Path) -> None:
    one = seed_summary(folder, ["dqn 1"])
    assert one["algorithm"].tolist() == ["dqn"]
    with pytest.raises(TrackingError, match="is no finished training"):
        seed_summary(folder, ["killed"])
    with pytest.raises(TrackingError):
        seed_summary(folder, ["nobody"])


def test_a_store_without_trainings_is_said_to_have_none(tmp_path: Path) -> None:
    open_store(tmp_path)
    with pytest.raises(TrackingError, match="no finished training"):
        seed_summary(tmp_path)


def test_the_command_prints_the_groups(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runs", "summary", "--tracking-dir", str(folder)])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "0.02000" in said
    assert "1, 2, 3" in said
    assert "one training: none" in said
