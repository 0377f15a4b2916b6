"""The notebooks that look at networks and decisions run end to end with tiny parameters."""

import json
from pathlib import Path

from fusion_rl.batch.notebooks import run_notebook
from tests.notebooks.test_notebooks import FOLDER, code_cells


def shown_in(executed: Path) -> str:
    """All outputs of an executed notebook, as text."""
    return json.dumps([cell.outputs for cell in code_cells(executed)])


def test_a_network_is_explored(tmp_path: Path) -> None:
    tiny = {"experiment": "deeprmsa-nsfnet", "requests": 12, "warmup_requests": 400, "traffic_requests": 500}
    tiny |= {"settings": ["scenarios.*.load_erlang=900"], "tracking_dir": str(tmp_path / "runs")}
    executed = run_notebook(FOLDER / "02_explore_a_network.ipynb", tiny, tmp_path / "made.ipynb")
    shown = shown_in(executed.notebook)
    assert shown.count('"image/png"') == 4
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert "1-3-6-14" in shown
    assert "free share of all slots" in shown
    assert executed.run is None
    assert not (tmp_path / "runs").exists()
