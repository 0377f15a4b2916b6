"""A champion is who won: aliases of registered models move by paired evaluations, and by nothing else."""

import json
from pathlib import Path
from typing import Any

import pytest

from fusion_rl.agents.catalog import make_agent
from fusion_rl.cli.main import main
from fusion_rl.errors import ConfigError, FusionRLError, PolicyError, TrackingError, UnknownNameError
from fusion_rl.testing.algorithm_contract import experiment, lanes_for, trained
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import Store, open_store
from fusion_rl.training.checkpoints import export_zip
from fusion_rl.training.promote import promote
from tests.agents.worlds import settings_of

SIZE: dict[str, Any] = {"requests": 4_000, "lanes": 8}
FEW = ("--requests", "4000", "--lanes", "8", "--json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a model in three versions: untrained, trained, and the trained one again."""
    folder = tmp_path_factory.mktemp("promote")
    store = open_store(folder)
    network, table = settings_of("maskable-ppo"), settings_of("q-learning", learning_rate=0.1)
    untrained = make_agent(network, lanes_for(network), seed=1, device="cpu")
    learned = trained(table, 6_000)
    for number, (agent, settings) in enumerate(((untrained, network), (learned, table), (learned, table)), start=1):
        path = export_zip(agent, experiment(settings), folder / f"{number}.zip")
        with store.start("tiny", f"training {number}") as run:
            run.log_model(path, settings.name, registered_name="tiny", tags={"load": "6 E"})
    return folder


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command: (exit code, stdout, stderr)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    captured = capsys.readouterr()
    assert isinstance(stopped.value.code, int)
    return stopped.value.code, captured.out, captured.err


def test_the_first_champion_has_to_beat_a_heuristic(folder: Path, store: Store) -> None:
    refused = promote("tiny", "1", tracking_dir=str(folder), **SIZE)
    assert not refused.promoted
    assert refused.defender == "ksp-ff"
    assert refused.difference > 0
    assert "models:/tiny/1 does not become champion. models:/tiny/1 is worse than ksp-ff: " in refused.told
    assert f"{refused.ci95:.5f}" in refused.told
    assert store.registered_model("tiny").aliases == {}

    won = promote("tiny", "2", against="random", tracking_dir=str(folder), **SIZE)
    assert won.promoted
    assert won.difference < -won.ci95 < 0
    model = store.registered_model("tiny")
    assert model.aliases == {"champion": 2}
    assert store.load_model_artifact("models:/tiny@champion").is_file()
    said = {version.version: version.tags for version in model.versions}
    assert said[1]["promotion"] == refused.told
    assert (said[2]["promotion"], said[2]["promotion.run"]) == (won.told, won.run_id)
    assert said[2]["load"] == "6 E"

    kept = store.find_run(refused.run_id)
    assert (kept.status, kept.tags["promoted"]) == (RunStatus.FINISHED, "false")
    assert (kept.run_name, kept.tags["load"]) == ("v1 as champion of tiny", "6 E")
    assert kept.metrics["service_blocking"] == refused.challenger.service_blocking.mean
    assert kept.metrics["promotion/difference"] == refused.difference
    assert refused.told in kept.tags["mlflow.note.content"]


def test_a_champion_is_replaced_by_a_better_one_alone(folder: Path, store: Store) -> None:
    store.set_alias("tiny", "title", 2)
    alike = promote("tiny", alias="title", tracking_dir=str(folder), **SIZE)
    assert (alike.version.version, alike.defender) == (3, "models:/tiny/2")
    assert (alike.difference, alike.promoted) == (0.0, False)
    assert "No difference" in alike.told
    store.set_alias("tiny", "title", 1)
    better = promote("tiny", "3", alias="title", tracking_dir=str(folder), **SIZE)
    assert better.promoted
    assert better.defended.service_blocking.mean > better.challenger.service_blocking.mean
    assert store.registered_model("tiny").aliases["title"] == 3


@pytest.mark.parametrize(
    ("name", "version", "given", "error", "told"),
    [
        ("tinny", None, {}, UnknownNameError, "did you mean 'tiny'"),
        ("tiny", "9", {}, TrackingError, "no version '9'; known: 1, 2, 3"),
        ("tiny", "1", {"against": "kspff", "alias": "new"}, UnknownNameError, "did you mean 'ksp-ff'"),
        ("tiny", "1", {"seed": 1}, PolicyError, "was trained with seed 1: promotion needs traffic that is new"),
        ("tiny", "1", {"seed": 10_000}, PolicyError, "was judged while it was trained with seed 10000"),
        ("tiny", "1", {"lanes": 1}, ConfigError, "an interval needs two networks"),
        ("tiny", "1", {"alias": "latest"}, ConfigError, "alias 'latest' cannot be used"),
        ("tiny", "1", {"alias": "v2"}, ConfigError, "alias 'v2' cannot be used"),
    ],
)
def test_what_cannot_be_judged_leaves_nothing_behind(
    folder: Path, store: Store, name: str, version: str | None, given: dict[str, Any], error: type[Exception], told: str
) -> None:
    runs, models = store.search_runs(), store.registered_models()
    with pytest.raises(error, match=told) as refused:
        promote(name, version, tracking_dir=str(folder), **{**SIZE, **given})
    assert isinstance(refused.value, FusionRLError)
    assert (store.search_runs(), store.registered_models()) == (runs, models)


def test_the_commands_list_show_and_promote(folder: Path, store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    store.set_alias("tiny", "best", 2)
    where = ("--tracking-dir", str(folder))
    code, out, err = run(capsys, "models", "list", *where, "--json")
    assert code == 0, err
    [listed] = json.loads(out)["models"]
    assert (listed["name"], listed["versions"], listed["newest"]) == ("tiny", 3, 3)

    code, out, _ = run(capsys, "models", "promote", "tiny/1", "--alias", "best", *where, *FEW)
    assert code == 1, "an alias that stays is no success"
    assert json.loads(out)["promoted"] is False
    code, out, _ = run(capsys, "models", "show", "tiny", *where)
    assert code == 0
    assert "models:/tiny/1 does not become best. models:/tiny/1 is worse than models:/tiny/2" in out

    code, out, err = run(capsys, "models", "promote", "tiny/2", "--alias", "best", *where, *FEW)
    assert (code, out) == (2, "")
    assert "models:/tiny/2 is best already" in err
