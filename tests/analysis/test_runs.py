"""Frames of runs, and the sentence that says where an agent stands."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion_rl.analysis.report import stored_table
from fusion_rl.analysis.runs import runs_frame, standing, store_folder, stored_comparison
from fusion_rl.errors import TrackingError, UnknownNameError
from fusion_rl.tracking.mlflow_store import open_store


def compared(difference: float, half_width: float) -> pd.DataFrame:
    """An agent that blocks 0.02, and a heuristic that blocks as much more."""
    return pd.DataFrame(
        {
            "service_blocking": [0.02, 0.02 + difference],
            "difference_to_agent": [0.0, difference],
            "difference_ci95": [0.0, half_width],
        },
        index=["ppo", "ksp-ff"],
    )


def test_an_agent_is_better_only_beyond_the_interval_of_the_difference() -> None:
    assert standing(compared(0.005, 0.002), "ppo").startswith("ppo is better than ksp-ff: ppo blocks 0.02000")
    assert "20% fewer" in standing(compared(0.005, 0.002), "ppo")
    assert standing(compared(-0.005, 0.002), "ppo").startswith("ppo is worse than ksp-ff")
    assert standing(compared(0.005, 0.005), "ppo").startswith("No difference between ppo and ksp-ff")
    assert standing(compared(-0.001, 0.005), "ppo").startswith("No difference")


def test_one_lane_tells_nothing() -> None:
    assert "cannot be told from one lane" in standing(compared(0.005, np.nan), "ppo")


def test_a_policy_that_was_not_compared_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown policy 'ksp-f': did you mean 'ksp-ff'"):
        standing(compared(0.0, 0.0), "ppo", "ksp-f")


def test_runs_of_a_store_are_rows_newest_first(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    for seed in (1, 2):
        parameters = {"execution.timesteps": 100, "execution.seed": seed}
        with store.start("nsfnet", f"seed {seed}", parameters, {"algorithm": "ppo"}) as run:
            run.log_metrics({"evaluation/service_blocking": 0.02, "evaluation/service_blocking_ci95": 0.001}, 50)
            run.log_metrics({"evaluation/service_blocking": seed / 100}, 100)
            run.log_table({"policy": ["ppo"], "service_blocking": [seed / 100]}, "comparison.json")
    frame = runs_frame(tmp_path)
    assert list(frame["name"]) == ["seed 2", "seed 1"]
    assert list(frame["service_blocking"]) == [0.02, 0.01]  # the last value of each
    assert list(frame["seed"]) == [2, 1]
    assert set(frame["algorithm"]) == {"ppo"}
    assert set(frame["status"]) == {"FINISHED"}
    with store.start("nsfnet", "the batch of both"):
        pass  # neither learned nor judged anything
    head, *rows = (line.split("|") for line in stored_table(runs_frame(tmp_path)).to_string(delimiter="|").splitlines())
    assert (head[:4], head[-1]) == (["name", "status", "service blocking", "± 95 %"], "run id"), "what counts is first"
    assert [row[head.index("service blocking")] for row in rows] == ["", "0.02000", "0.01000"]
    assert [row[head.index("seed")] for row in rows] == ["", "2", "1"]
    table = stored_comparison(tmp_path, frame.index[0])
    assert table.loc["ppo", "service_blocking"] == 0.02
    with pytest.raises(TrackingError, match="unknown experiment 'nsfnt': did you mean 'nsfnet'"):
        runs_frame(tmp_path, "nsfnt")


def test_an_empty_store_is_an_empty_frame(tmp_path: Path) -> None:
    frame = runs_frame(tmp_path)
    assert frame.empty
    assert "service_blocking" in frame.columns
    assert "service blocking" in stored_table(frame).to_html()


def test_a_notebook_and_the_command_line_find_the_same_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01_some.ipynb").touch()
    for folder in (tmp_path, tmp_path / "notebooks"):
        monkeypatch.chdir(folder)
        assert store_folder("mlruns") == tmp_path / "mlruns"
        assert store_folder("/elsewhere") == Path("/elsewhere")
