"""Studies that are plans: their pages say how to run them and what was measured, and their cheapest rows repeat."""

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

STUDIES = Path(__file__).resolve().parents[2] / "studies"
COMPARED = STUDIES / "algorithms_compared"
LEARNED = STUDIES / "what_the_score_learned"
SIDE_BY_SIDE = ["published_settings", "large_networks", "one_model_many_loads", "learners_over_seeds"]
EXPECTED: dict[str, Any] = json.loads((COMPARED / "expected.json").read_text())


def test_the_page_has_every_figure_that_is_expected() -> None:
    text = (COMPARED / "README.md").read_text()
    asked = yaml_text.read(COMPARED / "plan.yaml")["steps"]["train"]["grid"]["algorithm"]
    assert set(EXPECTED) == set(asked)
    for algorithm, row in EXPECTED.items():
        figures = [f"{one['service_blocking']:.5f} ± {one['ci95']:.5f}" for one in row["seeds"].values()]
        assert f"| {algorithm} | {' | '.join(figures)} |" in text


@pytest.mark.parametrize("name", sorted(path.parent.name for path in STUDIES.glob("*/plan.yaml")))
def test_a_plan_comes_to_trainings_that_its_page_says_how_to_run(name: str) -> None:
    jobs = jobs_of(*read_plan(STUDIES / name / "plan.yaml"))
    assert jobs
    assert len({job.name for job in jobs}) == len(jobs)
    assert f"fusion-rl batch run studies/{name}/plan.yaml" in (STUDIES / name / "README.md").read_text()
    assert f"| `{name}` |" in (STUDIES / "README.md").read_text()


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_a_page_of_comparisons_has_every_figure_that_is_expected(name: str) -> None:
    text = (STUDIES / name / "README.md").read_text()
    expected = json.loads((STUDIES / name / "expected.json").read_text())
    assert expected["comparisons"]
    for row in expected["comparisons"]:
        blocking = f"{1e3 * row['service_blocking']:.3f} ± {1e3 * row['ci95']:.3f}"
        assert f"{blocking} | {row['ratio']:.3f} ± {row['ratio_ci95']:.3f} |" in text, row


def test_the_page_on_what_was_learned_has_every_figure_that_is_expected() -> None:
    text = (LEARNED / "README.md").read_text()
    seeds = json.loads((LEARNED / "expected.json").read_text())["seeds"].values()
    for group in next(iter(seeds)):
        name = f"*{group}*" if group == "everything" else f"`{group}`"
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {name} |")]
        ratios = " | ".join(f"{seed[group]['ratio']:.2f} ± {seed[group]['ratio_ci95']:.2f}" for seed in seeds)
        assert ratios in row


@pytest.mark.slow
def test_the_cheapest_row_repeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    small = {"execution.tracking_dir": str(tmp_path), "execution.progress": False}
    config = load("deeprmsa-nsfnet", algorithm="ucb", execution="production", overrides=small).config
    found = train(config, console=Console(file=io.StringIO())).evaluation.service_blocking.mean
    assert found == pytest.approx(EXPECTED["ucb"]["seeds"]["1"]["service_blocking"], abs=EXPECTED["ucb"]["tolerance"])


@pytest.mark.slow
@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_a_short_training_of_a_study_repeats(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    expected = json.loads((STUDIES / name / "expected.json").read_text())["training"]
    job = next(job for job in jobs_of(*read_plan(STUDIES / name / "plan.yaml")) if job.name == expected["job"])
    assert job.config is not None
    here = {"tracking_dir": str(tmp_path), "progress": False}
    config = job.config.model_copy(update={"execution": job.config.execution.model_copy(update=here)})
    found = train(config, console=Console(file=io.StringIO())).evaluation.service_blocking.mean
    assert found == pytest.approx(expected["service_blocking"], abs=expected["tolerance"])
