"""The comparison of algorithms: its page says what was measured, and its cheapest row repeats."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fusion_rl.batch.jobs import jobs_of
from fusion_rl.batch.plan import read_plan
from fusion_rl.config import yaml_text
from fusion_rl.config.load import load
from fusion_rl.training.run import train

FOLDER = Path(__file__).resolve().parents[2] / "studies" / "algorithms_compared"
EXPECTED: dict[str, Any] = json.loads((FOLDER / "expected.json").read_text())


def test_the_page_has_every_figure_that_is_expected() -> None:
    text = (FOLDER / "README.md").read_text()
    asked = yaml_text.read(FOLDER / "plan.yaml")["steps"]["train"]["grid"]["algorithm"]
    assert set(EXPECTED) == set(asked)
    for algorithm, row in EXPECTED.items():
        figures = [f"{one['service_blocking']:.5f} ± {one['ci95']:.5f}" for one in row["seeds"].values()]
        assert f"| {algorithm} | {' | '.join(figures)} |" in text


@pytest.mark.parametrize("name", ["algorithms_compared", "what_the_score_learned"])
def test_a_plan_comes_to_trainings_that_its_page_says_how_to_run(name: str) -> None:
    plan, folder = read_plan(FOLDER.parent / name / "plan.yaml")
    jobs = jobs_of(plan, folder)
    assert len({job.name for job in jobs}) == len(jobs) >= 10
    assert f"fusion-rl batch run studies/{name}/plan.yaml" in (FOLDER.parent / name / "README.md").read_text()
    assert f"| `{name}` |" in (FOLDER.parent / "README.md").read_text()


@pytest.mark.slow
def test_the_cheapest_row_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small = {"execution.tracking_dir": str(tmp_path), "execution.progress": False}
    config = load("deeprmsa-nsfnet", algorithm="ucb", execution="production", overrides=small).config
    found = train(config, console=Console(file=io.StringIO())).evaluation.service_blocking.mean
    assert found == pytest.approx(EXPECTED["ucb"]["seeds"]["1"]["service_blocking"], abs=EXPECTED["ucb"]["tolerance"])
