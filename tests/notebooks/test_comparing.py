"""The notebooks that look at registered models run end to end with tiny parameters."""

from pathlib import Path

import pytest

from fusion_rl.batch.notebooks import run_notebook
from fusion_rl.config.load import load
from fusion_rl.training.run import train
from tests.notebooks.test_looking import shown_in
from tests.notebooks.test_notebooks import FOLDER

MODEL = "deeprmsa-nsfnet-maskable-ppo"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run store with two versions of a model that has learned next to nothing."""
    folder = tmp_path_factory.mktemp("store")
    tiny = ["execution.lanes=8", "algorithm.n_steps=32", "algorithm.batch_size=64", "scenarios.*.warmup_requests=100"]
    tiny += ["execution.timesteps=256", "execution.final_requests=800", "execution.eval_every=0"]
    tiny += [f"execution.tracking_dir='{folder}'", "execution.progress=false", "execution.sanity_checks=false"]
    for seed in (1, 2):
        train(load("deeprmsa-nsfnet", overrides=[*tiny, f"execution.seed={seed}"]).config)
    return folder


def test_models_are_compared_at_several_loads_and_decision_by_decision(store: Path, tmp_path: Path) -> None:
    tiny = {"requests": 400, "lanes": 8, "decisions": 60, "heuristics": ["ksp-ff"], "loads_erlang": [200.0, 250.0]}
    tiny |= {"tracking_dir": str(store)}
    executed = run_notebook(FOLDER / "06_compare_models.ipynb", tiny, tmp_path / "made.ipynb")
    shown = shown_in(executed.notebook)
    assert shown.count('"image/png"') == 3
    for part in (f"{MODEL}/1", f"{MODEL}/2", "rival_serves", "difference"):
        assert part in shown


def test_an_agent_is_inspected(store: Path, tmp_path: Path) -> None:
    tiny = {"requests": 150, "warmup_requests": 200, "load_erlang": 900.0, "tracking_dir": str(store)}
    executed = run_notebook(FOLDER / "07_inspect_an_agent.ipynb", tiny, tmp_path / "made.ipynb")
    shown = shown_in(executed.notebook)
    assert shown.count('"image/png"') == 5
    assert f"{MODEL}/2" in shown
    assert "in_the_way" in shown
