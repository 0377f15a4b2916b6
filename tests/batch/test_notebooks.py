"""Headless notebooks: checked before the start, kept afterwards, one line when they fail."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from fusion_rl.analysis.report import RUN_MIME
from fusion_rl.batch.notebooks import (
    find_notebook,
    notebook_names,
    notebook_parameters,
    parse_parameters,
    run_notebook,
)
from fusion_rl.errors import ConfigError, NotebookError, UnknownNameError
from fusion_rl.tracking.mlflow_store import open_store

PARAMETERS = "count = 3  # how often\nshare = 0.5\nname = 'a'\nflag = True\nmany = []\nnothing = None"


def write_notebook(folder: Path, *cells: str) -> Path:
    path = folder / "notebooks" / "small.ipynb"
    path.parent.mkdir(exist_ok=True)
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in (PARAMETERS, *cells)], metadata=kernel)
    notebook.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(notebook, path)
    return path


def outputs(notebook: Path) -> list[str]:
    cells = nbformat.read(notebook, as_version=4).cells
    return [output.get("text", "") for cell in cells for output in cell.get("outputs", ())]


def test_parameters_are_read_from_the_tagged_cell(tmp_path: Path) -> None:
    declared = notebook_parameters(write_notebook(tmp_path))
    assert list(declared) == ["count", "share", "name", "flag", "many", "nothing"]
    assert (declared["count"].default, declared["count"].about) == ("3", "how often")


def test_values_on_the_command_line_are_yaml() -> None:
    given = parse_parameters(["count=4", "share=1e-3", "many=[a, b=2]", "name=x=y", "count=5"])
    assert given == {"count": 5, "share": 1e-3, "many": ["a", "b=2"], "name": "x=y"}
    with pytest.raises(NotebookError, match="parameter 'count' has no '='"):
        parse_parameters(["count"])
    with pytest.raises(ConfigError, match="many"):
        parse_parameters(["many=[1"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"cout": 4}, "unknown parameter 'cout': did you mean 'count'"),
        ({"count": 4.5}, r"'count' takes int, as its default 3; got 4.5 \(float\)"),
        ({"count": True}, "'count' takes int"),
        ({"name": 4}, "'name' takes str"),
        ({"flag": "yes"}, "'flag' takes bool"),
        ({"many": "one"}, "'many' takes list"),
    ],
)
def test_a_parameter_that_cannot_be_used_is_refused_and_nothing_is_written(
    tmp_path: Path, given: dict[str, object], message: str
) -> None:
    notebook = write_notebook(tmp_path, "print(count)")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NotebookError, match=message):
        run_notebook(notebook, given)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_unknown_notebook_is_named_with_the_nearest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = write_notebook(tmp_path)
    for folder in (tmp_path, notebook.parent):
        monkeypatch.chdir(folder)
        assert notebook_names() == ["small"]
        assert find_notebook("small") == notebook
        assert find_notebook("small.ipynb") == notebook
        with pytest.raises(UnknownNameError, match="unknown notebook 'smal': did you mean 'small'"):
            find_notebook("smal")


def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ipynb"
    broken.write_text("{")
    with pytest.raises(NotebookError, match=r"broken.ipynb cannot be read"):
        run_notebook(broken)


@pytest.mark.parametrize("output", ["out.txt", "notebooks/small.ipynb", "taken/out.ipynb"])
def test_an_output_that_cannot_be_is_refused_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    notebook = write_notebook(tmp_path, "print(count)")
    (tmp_path / "taken").write_text("a file, not a folder")
    before = notebook.read_bytes()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotebookError, match=r"output|cannot be written"):
        run_notebook(notebook, output=output)
    assert notebook.read_bytes() == before


def test_a_notebook_runs_with_this_interpreter_and_its_parameters(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path, "import sys; print(sys.executable, count + share)")
    before = notebook.read_bytes()
    executed = run_notebook(notebook, {"count": 4, "share": 1})
    assert executed.run is None
    assert executed.notebook.parent == tmp_path / "notebooks" / "executed"
    assert f"{sys.executable} 5\n" in outputs(executed.notebook)
    assert sys.executable in executed.html.read_text()
    assert notebook.read_bytes() == before
    assert sorted(executed.notebook.parent.iterdir()) == sorted([executed.notebook, executed.html])


def test_a_failed_cell_is_named_in_one_line_and_the_notebook_is_kept(tmp_path: Path) -> None:
    notebook = write_notebook(tmp_path, "print('so far')", "raise ValueError('too\\nmuch')", "print('never')")
    made = tmp_path / "made.ipynb"
    with pytest.raises(NotebookError, match=r"failed in cell 3: ValueError: too much; .*made\.ipynb$") as caught:
        run_notebook(notebook, output=made)
    assert "\n" not in str(caught.value)
    assert "so far\n" in outputs(made)
    assert "never\n" not in outputs(made)
    assert [path.name for path in tmp_path.glob("*.ipynb")] == ["made.ipynb"]
    assert list(tmp_path.glob(".*")) == []


def test_the_executed_notebook_and_its_page_go_to_the_run_it_made(tmp_path: Path) -> None:
    store = open_store(tmp_path / "runs")
    with store.start("any", "one") as run:
        pass
    told = {"run_id": run.run_id, "tracking_dir": str(tmp_path / "runs"), "agent": "ppo"}
    notebook = write_notebook(tmp_path, f"display({{{RUN_MIME!r}: {told!r}, 'text/plain': 'a run'}}, raw=True)")
    executed = run_notebook(notebook)
    assert executed.run is not None
    assert executed.run.run_id == run.run_id
    kept = store.artifact_path(run.run_id, "notebook")
    assert (kept / executed.html.name).read_bytes() == executed.html.read_bytes()
    assert (kept / executed.notebook.name).read_bytes() == executed.notebook.read_bytes()
