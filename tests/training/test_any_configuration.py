"""Whatever a configuration says, a training either runs or is refused with one clear error."""

import functools
import json
import warnings
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.load import load
from fusion_rl.domains.optical import domain
from fusion_rl.errors import FusionRLError
from fusion_rl.tracking.mlflow_run import MlflowRunLog
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import agreement, plots
from fusion_rl.training.run import train
from tests.training.configurations import Tree, configurations


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        path = tmp_path_factory.mktemp("store")
        open_store(path)
    return path


def outcome(tree: Tree, folder: Path) -> str:
    """`trained`, or the line that refused it; any other exception is a bug."""
    execution = tree.get("execution")
    if isinstance(execution, dict):
        execution["tracking_dir"] = str(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = load(tree).config
            done = train(config)
    except FusionRLError as error:
        line = str(error)
        assert line.strip()
        assert "\n" not in line
        assert "it broke down" not in line, "a sanity check met an exception: that is a traceback in other words"
        return line
    assert done.timesteps >= config.execution.timesteps or done.stopped_early is not None
    return "trained"


@pytest.fixture(autouse=True)
def _less_around_learning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One baseline, a short parity, no plots, no model: what surrounds learning has its own tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(domain, "BASELINES", ("ksp-ff",))
    monkeypatch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=30))
    monkeypatch.setattr(plots, "log_run_figures", lambda *_: None)
    monkeypatch.setattr(MlflowRunLog, "log_model", lambda *_, **__: "models:/none/1")


FAST = settings(
    phases=(Phase.generate,),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@settings(FAST, max_examples=15, derandomize=True)
@given(drawn=configurations(with_rules=False))
def test_a_configuration_trains_or_is_refused_with_one_line(drawn: tuple[Tree, str], folder: Path) -> None:
    outcome(drawn[0], folder)


@pytest.mark.slow
def test_three_hundred_configurations_train_or_are_refused_with_one_line(folder: Path) -> None:
    found: Counter[str] = Counter()
    trained: Counter[str] = Counter()
    broken, drawn_before = [], set[str]()

    @settings(FAST, max_examples=300)
    @given(drawn=configurations(with_rules=True))
    def each(drawn: tuple[Tree, str]) -> None:
        tree, mutation = drawn
        written = json.dumps(tree, sort_keys=True)
        assume(written not in drawn_before)
        drawn_before.add(written)
        try:
            line = outcome(tree, folder)
        except Exception as error:
            broken.append(f"{type(error).__name__}: {error} [{mutation}] {tree}")
            line = "broken"
        found[line if line in ("trained", "broken") else "refused"] += 1
        if line == "trained":
            trained[tree["algorithm"]["name"]] += 1
        else:
            print(f"{line[:200]}   [{mutation}]")

    each()
    print(dict(found), dict(trained))
    assert broken == []
    assert found["trained"] >= 75, "many are to be trained"
    assert found["refused"] >= 75, "and many refused"
    assert len(trained) > 0.75 * len(ALGORITHM_MODELS), "nearly every algorithm among them"
