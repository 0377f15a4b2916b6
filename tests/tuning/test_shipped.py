"""The shipped studies: what they say is there, and a repetition meets the figures that they expect."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fusion_rl.training.run import train
from fusion_rl.tuning.definition import read_definition
from fusion_rl.tuning.spaces import make_space

FOLDER = Path(__file__).resolve().parents[2] / "studies"
STUDIES = sorted(path.parent.name for path in FOLDER.glob("*/study.yaml"))


def expected(name: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads((FOLDER / name / "expected.json").read_text())
    return said


def test_there_are_three_studies() -> None:
    assert STUDIES == ["features_and_size", "maskable_ppo_nsfnet", "reward_shaping"]


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_says_its_question_claim_result_command_and_what_would_prove_it_wrong(name: str) -> None:
    text = (FOLDER / name / "README.md").read_text()
    for heading in ("Question", "Claim", "Result", "Command", "What would prove it wrong"):
        assert f"\n## {heading}\n" in text
    assert read_definition(FOLDER / name).question in " ".join(text.split())
    for figure in expected(name).values():
        assert f"{figure['service_blocking']:.5f} ± {figure['ci95']:.5f}" in text


@pytest.mark.parametrize("name", STUDIES)
def test_expected_settings_are_within_what_the_study_searches(name: str) -> None:
    definition = read_definition(FOLDER / name)
    space = make_space(definition, "runs")
    for figure in expected(name).values():
        assert set(figure["settings"]) == set(definition.search)
        space.configuration(figure["settings"])
        for dimension in space.dimensions:
            assert dimension.told(figure["settings"][dimension.path]) is not None


@pytest.mark.slow
def test_training_the_best_trial_again_blocks_as_little_as_the_study_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    figure = expected("reward_shaping")["best"]
    space = make_space(read_definition(FOLDER / "reward_shaping"), str(tmp_path))
    result = train(space.configuration(figure["settings"]), console=Console(file=io.StringIO()))
    assert result.evaluation.service_blocking.mean == pytest.approx(figure["service_blocking"], abs=figure["tolerance"])
