"""The notebook on studies runs a small one from its first trial to a run that goes on from the best."""

import json
from pathlib import Path

import nbformat
import pytest

from fusion_rl.batch.notebooks import run_notebook
from fusion_rl.config import yaml_text
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.tuning.storage import open_begun
from tests.tuning.worlds import EXPERIMENT

TUNE = Path(__file__).resolve().parents[2] / "notebooks" / "03_tune.ipynb"


@pytest.mark.slow
def test_the_notebook_tunes_shows_what_mattered_and_trains_the_best_trial_on(tmp_path: Path) -> None:
    yaml_text.write(tmp_path / "tiny.yaml", EXPERIMENT)
    url = f"sqlite:///{tmp_path}/studies.db"
    parameters = {
        "study": "tiny",
        "experiment": str(tmp_path / "tiny.yaml"),
        "search": ["algorithm.learning_rate", "algorithm.gamma"],
        "pruner": "none",
        "trials": 4,
        "timesteps": 320,
        "more_timesteps": 320,
        "storage": url,
        "tracking_dir": str(tmp_path / "runs"),
        "settings": {"execution.eval_requests": 200},
    }
    executed = run_notebook(TUNE, parameters, tmp_path / "made.ipynb")
    cells = nbformat.read(executed.notebook, as_version=4).cells  # type: ignore[no-untyped-call]
    shown = json.dumps([cell.get("outputs", []) for cell in cells])
    assert shown.count('"image/png"') == 4
    study = open_begun("tiny", url)
    assert executed.run is not None
    record = open_store(tmp_path / "runs").find_run(executed.run.run_id)
    assert record.tags["fusion_rl.parent_run"] == study.best_trial.user_attrs["best_run"]
