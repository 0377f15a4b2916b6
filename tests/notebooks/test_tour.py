"""The tour, and what users bring themselves: end to end, tiny; and every notebook as it is, which takes its time."""

from pathlib import Path

import pytest

from fusion_rl.batch.notebooks import notebook_parameters, run_notebook
from fusion_rl.tracking.mlflow_store import open_store
from tests.notebooks.test_looking import shown_in
from tests.notebooks.test_notebooks import FOLDER


def test_the_tour_ends_with_a_run_and_where_to_go_next(tmp_path: Path) -> None:
    small = ["execution.lanes=8", "algorithm.n_steps=32", "algorithm.batch_size=64", "scenarios.*.warmup_requests=100"]
    tiny = {"requests": 800, "timesteps": 256, "settings": small, "tracking_dir": str(tmp_path / "runs")}
    executed = run_notebook(FOLDER / "00_start_here.ipynb", tiny, tmp_path / "made.ipynb")
    assert executed.run is not None
    shown = shown_in(executed.notebook)
    assert shown.count('"image/png"') == 2
    assert "ksp-ff blocks" in shown
    assert executed.run.run_id in shown
    kept = open_store(executed.run.tracking_dir).artifact_path(executed.run.run_id, "notebook")
    assert {path.name for path in kept.iterdir()} == {"made.ipynb", "made.html"}


def test_the_tour_names_every_other_notebook() -> None:
    text = (FOLDER / "00_start_here.py").read_text()
    others = [path.stem for path in FOLDER.glob("*.ipynb") if path.stem != "00_start_here"]
    assert [name for name in others if f"`{name}`" not in text] == []


def test_what_users_bring_is_trained_and_compared(tmp_path: Path) -> None:
    small = ["execution.lanes=4", "algorithm.n_steps=16", "algorithm.batch_size=32", "scenarios.*.warmup_requests=100"]
    tiny = {"timesteps": 256, "requests": 800, "settings": small, "tracking_dir": str(tmp_path / "runs")}
    executed = run_notebook(FOLDER / "08_your_own.ipynb", tiny, tmp_path / "made.ipynb")
    assert executed.run is not None
    run = open_store(tmp_path / "runs").find_run(executed.run.run_id)
    own = {"algorithm.name": "lookahead-ppo", "algorithm.observation": "four-a-path", "reward.name": "sparing"}
    assert own.items() <= run.parameters.items()
    assert run.parameters["network.topology"].endswith("ladder.csv")
    assert run.metrics["parity/disagreements"] == 0
    assert "fewest-slot-hops blocks" in shown_in(executed.notebook)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where all of them keep their runs and studies: later ones look at what earlier ones have trained."""
    folder = tmp_path_factory.mktemp("notebooks")
    return {"tracking_dir": str(folder / "runs"), "storage": f"sqlite:///{folder}/studies.db"}


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.ipynb")))
def test_every_notebook_runs_with_its_own_parameters(name: str, stores: dict[str, str], tmp_path: Path) -> None:
    path = FOLDER / f"{name}.ipynb"
    given = {key: value for key, value in stores.items() if key in notebook_parameters(path)}
    assert run_notebook(path, given, tmp_path / path.name).html.is_file()
