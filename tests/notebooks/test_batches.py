"""The notebook of chains over scenarios, with a tiny one; run again, it finds all of it done."""

import json
from pathlib import Path

import nbformat

from fusion_rl.batch.notebooks import run_notebook
from fusion_rl.batch.state import State, find
from tests.batch import plans

REPOSITORY = Path(__file__).resolve().parents[2]
NOTEBOOK = REPOSITORY / "notebooks" / "04_multi_scenario_batches.ipynb"


def test_the_notebook_carries_out_a_chain_and_shows_its_curves_and_its_lineage(tmp_path: Path) -> None:
    plans.write(tmp_path, {"unused": {"experiment": "tiny.yaml"}})
    settings = {
        key: value for key, value in flat(plans.EXPERIMENT["execution"]).items() if key != "execution.timesteps"
    }
    parameters = {
        "experiment": str(tmp_path / "tiny.yaml"), "loads_erlang": [10.0, 40.0], "seeds": [1], "timesteps": 256,
        "tracking_dir": str(tmp_path / "mlruns"), "settings": settings,
    }  # fmt: skip
    made = run_notebook(NOTEBOOK, parameters, tmp_path / "made.ipynb").notebook
    batch = find("light-to-heavy", tmp_path / "mlruns")
    assert {job: record.state for job, record in batch.records().items()} == {
        "load10-seed1": State.DONE, "load40-seed1": State.DONE
    }  # fmt: skip
    shown = json.dumps([cell.get("outputs") for cell in nbformat.read(made, as_version=4).cells])
    assert shown.count('"image/png"') == 1
    assert all(str(record.run_id) in shown for record in batch.records().values())
    assert "went_on_from" in shown


def flat(execution: dict[str, object]) -> dict[str, object]:
    return {f"execution.{key}": value for key, value in execution.items()}
