"""`fusion-rl notebook`: one JSON object on stdout, or a table, where to look next, and one line for an error."""

import json
import shlex
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fusion_rl.analysis.report import RUN_MIME
from fusion_rl.batch.notebooks import find_notebook, notebook_parameters, parse_parameters
from fusion_rl.cli.notebook import notebook
from fusion_rl.errors import NotebookError
from fusion_rl.tracking.mlflow_store import open_store

TABLE = {
    "policy": ["ksp-ff", "ppo"],
    "service_blocking": [0.02, 0.03],
    "ci95": [0.001, 0.002],
    "difference_to_agent": [-0.01, 0.0],
    "difference_ci95": [0.0005, 0.0],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose one notebook shows a run that was recorded before."""
    with open_store(tmp_path / "mlruns").start("any", "one") as run:
        run.log_table(TABLE, "comparison.json")
    told = {"run_id": run.run_id, "tracking_dir": str(tmp_path / "mlruns"), "agent": "ppo"}
    shown = new_code_cell(f"print(count)\ndisplay({{{RUN_MIME!r}: {told!r}, 'text/plain': 'a run'}}, raw=True)")
    parameters = new_code_cell("count = 3  # how often", metadata={"tags": ["parameters"]})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(cells=[parameters, shown], metadata=kernel), tmp_path / "notebooks" / "shows_run.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_result_is_one_json_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook("shows_run", ["count=4"], as_json=True)
    result = json.loads(capsys.readouterr().out)
    assert [row["policy"] for row in result["comparison"]] == ["ksp-ff", "ppo"]
    assert result["comparison"][0]["difference_to_agent"] == -0.01
    assert Path(result["notebook"]).is_file()
    assert Path(result["html"]).is_file()
    assert result["tracking_dir"] == str(folder / "mlruns")


def test_the_table_is_followed_by_where_the_agent_stands_and_where_to_look(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook("shows_run", output=folder / "made.ipynb")
    printed = capsys.readouterr().out
    assert "0.02000 ± 0.00100" in printed
    assert "-0.01000 ± 0.00050" in printed
    assert "ppo is worse than ksp-ff" in printed
    assert str(folder / "made.html") in printed
    assert "fusion-rl ui   browse" in printed  # the store is where `fusion-rl ui` looks by itself


def test_notebooks_and_their_parameters_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebook(listing=True, as_json=True)
    listed = json.loads(capsys.readouterr().out)
    assert listed == {"shows_run": {"count": {"name": "count", "default": "3", "about": "how often"}}}
    notebook(listing=True)
    assert "how often" in capsys.readouterr().out


def test_a_notebook_has_to_be_named() -> None:
    with pytest.raises(NotebookError, match="name a notebook; `fusion-rl notebook --list` shows them"):
        notebook()


def test_the_demo_of_the_makefile_is_a_command_that_the_notebook_understands() -> None:
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    [line] = [line for line in makefile.splitlines() if "fusion-rl notebook" in line]
    _, name, *options = shlex.split(line.split("fusion-rl", 1)[1])
    assert options[::2] == ["-p"] * (len(options) // 2)
    assert set(parse_parameters(options[1::2])) <= set(notebook_parameters(find_notebook(name)))
