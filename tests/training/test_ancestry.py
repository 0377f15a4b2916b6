"""A run that goes on from another one's model: what it takes over, what it says of it, and what is refused."""

from pathlib import Path

import pytest
import torch

from fusion_rl.agents.catalog import make_agent
from fusion_rl.analysis.lineage import lineage
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import CheckpointError, PolicyError, TrackingError
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import checkpoints
from fusion_rl.training.ancestry import find_parent, inherit
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import train
from tests.training.test_scenarios import many

FIRST, SECOND = {"a": 10.0, "b": 20.0}, {"c": 30.0, "d": 40.0}
SHORT = {"timesteps": 128, "eval_every": 0, "register_model": True}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture(scope="module")
def parent(folder: Path) -> RunResult:
    return train(many(folder, FIRST, run_name="first", **SHORT))


@pytest.fixture(scope="module")
def child(folder: Path, parent: RunResult) -> RunResult:
    open_store(folder).set_alias("custom-maskable-ppo", "best", 1)
    return train(many(folder, SECOND, run_name="second", **SHORT), resume_from="models:/custom-maskable-ppo@best")


def untrained(config: ExperimentConfig) -> object:
    env = OpticalVecEnv(make_simulator(config, prepare(config), config.execution.lanes, 1))
    return make_agent(config.algorithm, env, seed=9, device="cpu")


@pytest.mark.parametrize("which", ["run_id", "name", "checkpoint", "model"])
def test_a_parent_is_found_by_run_name_file_and_address(which: str, parent: RunResult, folder: Path) -> None:
    found = find_parent(str(getattr(parent, which)), str(folder))
    assert found.run_id == parent.run_id
    assert checkpoints.weights_sha256(found.checkpoint.agent) == parent.weights_sha256


def test_weights_and_optimiser_are_taken_over(parent: RunResult, folder: Path) -> None:
    config = many(folder, SECOND, **SHORT)
    agent = untrained(config)
    assert checkpoints.weights_sha256(agent) != parent.weights_sha256  # type: ignore[arg-type]
    inherit(agent, config, find_parent(parent.run_id, str(folder)))  # type: ignore[arg-type]
    assert checkpoints.weights_sha256(agent) == parent.weights_sha256  # type: ignore[arg-type]
    theirs = checkpoints.read(parent.checkpoint).agent.policy.optimizer.state_dict()["state"]
    ours = agent.policy.optimizer.state_dict()["state"]  # type: ignore[attr-defined]
    assert theirs
    assert all(torch.equal(ours[i]["exp_avg"], theirs[i]["exp_avg"]) for i in theirs)


def test_the_new_run_trains_on_from_there_and_names_its_parent(
    parent: RunResult, child: RunResult, folder: Path
) -> None:
    alone = train(many(folder, SECOND, run_name="alone", **SHORT))
    assert len({parent.weights_sha256, child.weights_sha256, alone.weights_sha256}) == 3
    tags = open_store(folder).find_run(child.run_id).tags
    assert tags["fusion_rl.parent_run"] == tags["mlflow.parentRunId"] == parent.run_id
    assert tags["fusion_rl.parent_weights_sha256"] == parent.weights_sha256
    assert "fusion_rl.parent_run" not in open_store(folder).find_run(alone.run_id).tags
    assert set(child.evaluation.by_scenario) == {"c", "d"}


def test_the_lineage_shows_the_whole_chain_oldest_first(parent: RunResult, child: RunResult, folder: Path) -> None:
    last = train(many(folder, {"e": 50.0}, run_name="third", **SHORT), resume_from=child.run_id)
    chain = lineage(folder, "third")
    assert chain.index.tolist() == [parent.run_id, child.run_id, last.run_id]
    assert chain["scenarios"].tolist() == ["a, b", "c, d", "e"]
    assert chain["steps_in_all"].tolist() == [128, 256, 384]
    assert chain["service_blocking"].tolist() == [r.evaluation.service_blocking.mean for r in (parent, child, last)]
    assert lineage(folder, parent.run_id).index.tolist() == [parent.run_id]


def test_a_chain_whose_first_run_is_gone_is_shown_as_far_as_it_is_known(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.start("x", "orphan", {"execution.timesteps": 5}, {"fusion_rl.parent_run": "0" * 32}):
        pass
    assert lineage(tmp_path, "orphan")["name"].tolist() == ["orphan"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"network.k_paths": 1}, "action space: it has Discrete(2), here Discrete(1)"),
        ({"algorithm.net_arch": [12]}, "here (12,)"),
        ({"algorithm.observation": "obs_4"}, "observation: it has deeprmsa, here obs_4"),
        ({"algorithm.name": "a2c"}, "algorithm: it has maskable-ppo, here a2c"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_the_difference_before_a_run_begins(
    changes: dict[str, object], told: str, parent: RunResult, folder: Path
) -> None:
    runs = len(open_store(folder).search_runs())
    values = many(folder, SECOND, **SHORT).model_dump(mode="json")
    if "algorithm.name" in changes:
        values["algorithm"], changes = {"name": "a2c", "net_arch": [8]}, {}
    config = load(values, overrides=changes).config
    with pytest.raises(PolicyError) as refused:
        train(config, resume_from=parent.run_id)
    assert told in str(refused.value)
    assert len(open_store(folder).search_runs()) == runs


def test_a_parent_that_is_not_there_is_named(parent: RunResult, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="frist"):
        find_parent("frist", str(folder))
    with pytest.raises(CheckpointError, match="does not exist"):
        find_parent(str(tmp_path / "gone.zip"), str(folder))
    with pytest.raises(TrackingError, match="no runs"):
        find_parent("first", str(tmp_path / "nothing"))


def test_the_parents_settings_are_what_a_new_run_begins_with(parent: RunResult, folder: Path) -> None:
    values = find_parent(parent.run_id, str(folder)).experiment()
    assert load(values).config == many(folder, FIRST, **SHORT)
    assert tiny.SCENARIO.name not in load(values).config.scenarios.names()
