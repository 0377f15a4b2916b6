"""Every notebook keeps the house's rules; the first two run end to end with tiny parameters, others beside this file.

To bring a notebook and its .py together: `make pair`.
"""

import ast
import json
import re
from dataclasses import asdict
from pathlib import Path

import jupytext
import nbformat
import pytest
from jupytext.config import load_jupytext_configuration_file

from fusion_rl.analysis.runs import stored_comparison
from fusion_rl.batch.notebooks import notebook_parameters, run_notebook
from fusion_rl.config.load import load
from fusion_rl.parity.line import FULL
from fusion_rl.parity.report import CHECKS
from fusion_rl.tracking.mlflow_store import open_store

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FIRST = FOLDER / "01_train_and_compare.ipynb"
PARITY = FOLDER / "05_parity.ipynb"
# the cells of this one are what users would write: it shows how
MAY_DEFINE = {"08_your_own"}


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def parsed(cell: nbformat.NotebookNode) -> ast.Module:
    return ast.parse("\n".join(line for line in cell.source.splitlines() if not line.startswith("%")))


def test_there_are_notebooks() -> None:
    assert FIRST in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_stores_no_outputs(path: Path) -> None:
    assert [cell.outputs for cell in code_cells(path)] == [[]] * len(code_cells(path))
    assert {cell.execution_count for cell in code_cells(path)} == {None}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_and_its_python_file_say_the_same(path: Path) -> None:
    beside = path.with_suffix(".py")
    assert beside.is_file(), "run `make pair`"
    config = load_jupytext_configuration_file(str(FOLDER / "jupytext.toml"))
    assert beside.read_text() == jupytext.writes(jupytext.read(path), fmt="py:percent", config=config), (
        "run `make pair`"
    )
    in_python, in_notebook = jupytext.read(beside).cells, jupytext.read(path).cells
    assert [(cell.cell_type, cell.source) for cell in in_python] == [(c.cell_type, c.source) for c in in_notebook]
    assert sum("parameters" in cell.metadata.get("tags", ()) for cell in in_python) == 1


def test_every_paired_file_has_its_notebook() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_asks_one_question(path: Path) -> None:
    first = nbformat.read(path, as_version=4).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    [question] = re.findall(r"^\*\*(.+?)\*\*$", first.source, re.MULTILINE | re.DOTALL)
    assert question.endswith("?")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_cells_are_short_and_define_nothing(path: Path) -> None:
    for cell in code_cells(path):
        assert len(cell.source.splitlines()) <= 25
        defined = [
            type(node).__name__ for node in ast.walk(parsed(cell)) if isinstance(node, ast.FunctionDef | ast.ClassDef)
        ]
        assert path.stem in MAY_DEFINE or defined == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_tagged_cell_declares_parameters_and_all_of_them_are_found(path: Path) -> None:
    tagged = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", ())]
    assert len(tagged) == 1
    assigned = [node.targets[0].id for node in parsed(tagged[0]).body]  # type: ignore[attr-defined]
    assert list(notebook_parameters(path)) == assigned
    assert all(parameter.about for parameter in notebook_parameters(path).values())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_followed_by_how_to_read_it(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    made = [i for i, cell in enumerate(cells) if "_figure(" in cell.source or "_map(" in cell.source]
    assert made
    assert all(cells[i + 1].source.startswith("**How to read it.**") for i in made)


def test_the_first_notebook_says_what_its_presets_say() -> None:
    config = load("deeprmsa-nsfnet", execution="demo").config
    defaults = {name: ast.literal_eval(one.default) for name, one in notebook_parameters(FIRST).items()}
    assert (defaults["experiment"], defaults["execution"]) == ("deeprmsa-nsfnet", "demo")
    assert defaults["algorithm"] == config.algorithm.name
    assert defaults["load_erlang"] == config.scenarios[0].load_erlang
    for name in ("timesteps", "seed", "final_requests", "tracking_dir"):
        assert defaults[name] == getattr(config.execution, name), name


def test_the_first_notebook_trains_compares_and_is_kept_with_its_run(tmp_path: Path) -> None:
    tiny = ["execution.eval_every=1024", "execution.eval_requests=800", "execution.lanes=16"]
    tiny += ["algorithm.n_steps=64", "algorithm.batch_size=256"]
    parameters = {"timesteps": 2048, "final_requests": 2000, "tracking_dir": str(tmp_path / "runs")}
    settings = [*tiny, "scenarios.*.warmup_requests=200"]
    executed = run_notebook(FIRST, {**parameters, "settings": settings}, tmp_path / "made.ipynb")
    assert executed.run is not None
    compared = stored_comparison(tmp_path / "runs", executed.run.run_id)
    assert {"maskable-ppo", "ksp-ff", "random"} <= set(compared.index)
    assert compared["service_blocking"].is_monotonic_increasing
    record = open_store(tmp_path / "runs").find_run(executed.run.run_id)
    assert record.parameters["execution.timesteps"] == "2048"
    assert record.metrics["parity/disagreements"] == 0
    shown = json.dumps([cell.outputs for cell in code_cells(executed.notebook)])
    assert shown.count('"image/png"') == 3
    assert (
        any(f"maskable-ppo is {verdict} than" in shown for verdict in ("better", "worse")) or "No difference" in shown
    )
    kept = open_store(tmp_path / "runs").artifact_path(executed.run.run_id)
    names = {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()}
    plots = {"plots/blocking.png", "plots/learning_curve.png", "plots/utilisation.png"}
    assert plots | {"notebook/made.ipynb", "notebook/made.html"} <= names


def test_the_parity_notebook_reports_logs_and_plots(tmp_path: Path) -> None:
    tiny = {"checks": ["streams", "published"], "requests": 2000, "settings": ["deeprmsa-nsfnet"], "every_load": False}
    executed = run_notebook(PARITY, {**tiny, "tracking_dir": str(tmp_path / "runs")}, tmp_path / "made.ipynb")
    shown = json.dumps([cell.outputs for cell in code_cells(executed.notebook)])
    assert shown.count('"image/png"') == 2
    assert "blocked requests with FUSION" in shown
    [record] = open_store(tmp_path / "runs").search_runs("parity")
    assert record.run_id in shown
    assert record.parameters["requests"] == "2000"
    assert record.metrics["lines"] == record.metrics["passed"] + record.metrics["failed"] + 1
    assert record.metrics["passed"] >= 4, "the streams at least"
    kept = open_store(tmp_path / "runs").artifact_path(record.run_id)
    assert {"parity.json", "plots/published.png"} <= {str(path.relative_to(kept)) for path in kept.rglob("*.*")}


def test_the_parity_notebook_says_what_its_report_says() -> None:
    defaults = {name: ast.literal_eval(one.default) for name, one in notebook_parameters(PARITY).items()}
    assert tuple(defaults["checks"]) == CHECKS.names()
    assert {**{name: defaults[name] for name in asdict(FULL)}, "settings": ()} == asdict(FULL)
    assert defaults["settings"] == []
