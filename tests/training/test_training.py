"""Training end to end on a small network: what is recorded, what repeats, what is refused."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from fusion_rl.agents.catalog import make_agent
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import (
    CheckpointError,
    ConfigError,
    PolicyError,
    TrackingError,
    TrainingError,
    UnknownNameError,
)
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import checkpoints
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.policies import as_policy
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import train

SMALL = {
    "network.slots": 40,
    "scenarios.0.warmup_requests": 100,
    "scenarios.0.requests_per_episode": 100,
    "algorithm.net_arch": [16],
    "execution.progress": False,
    "execution.final_requests": 800,
    "execution.final_lanes": 8,
    "execution.eval_requests": 400,
    "execution.parity_requests": 100,
}


def small_config(folder: Path, algorithm: str = "maskable-ppo", **overrides: object) -> ExperimentConfig:
    sizes: dict[str, object] = {"execution.timesteps": 512, "execution.lanes": 4, "execution.eval_every": 256}
    if "ppo" in algorithm or algorithm == "trpo":
        sizes |= {"algorithm.n_steps": 64, "algorithm.batch_size": 64}
    given = {**SMALL, **sizes, "execution.tracking_dir": str(folder), **overrides}
    if "net_arch" not in ALGORITHM_MODELS[algorithm].model_fields:  # a table
        del given["algorithm.net_arch"]
    return load("deeprmsa-nsfnet", algorithm=algorithm, overrides=given).config


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store") / "mlruns"


@pytest.fixture(scope="module")
def result(folder: Path) -> RunResult:
    return train(small_config(folder))


def test_the_result_says_what_was_trained_and_how_it_compares(result: RunResult) -> None:
    said = json.loads(json.dumps(result.as_dict()))
    assert said["algorithm"] == "maskable-ppo"
    assert said["timesteps"] >= 512
    assert said["steps_per_second"] > 0
    assert said["parity_disagreements"] == 0
    assert set(said["baselines"]) == {"mscl", "ksp-ff", "ff-ksp", "ksp-bf", "least-congested", "sp-ff", "random"}
    assert 0 < said["service_blocking"]["mean"] < 1
    assert said["service_blocking"]["ci95"] > 0
    assert [step for step, _, _ in result.learning_curve] == [256, 512]


def test_the_run_records_config_metrics_provenance_model_and_plots(result: RunResult, folder: Path) -> None:
    store = open_store(folder)
    run = store.find_run(result.run_id)
    assert run.status is RunStatus.FINISHED
    assert run.parameters["network.slots"] == "40"
    assert run.metrics["evaluation/service_blocking"] == result.evaluation.service_blocking.mean
    assert run.metrics["service_blocking"] == run.metrics["evaluation/service_blocking"]
    assert run.metrics["agent/service_blocking/deeprmsa"] == run.metrics["service_blocking"]
    assert next(iter(run.metrics)) == "service_blocking", "what MLflow offers to compare runs by"
    assert [point.step for point in store.metric_history(result.run_id, "service_blocking")][:3] == [0, 256, 512]
    assert run.metrics["baseline/ksp-ff/service_blocking"] == result.baselines["ksp-ff"].service_blocking.mean
    assert run.metrics["parity/disagreements"] == 0
    assert {"topology_sha256", "traffic_sha256", "seed.training", "library.torch"} <= set(run.tags)
    assert [point.step for point in store.metric_history(result.run_id, "evaluation/service_blocking")][:2] == [
        256,
        512,
    ]
    assert store.metric_history(result.run_id, "train/loss")
    assert {path.name for path in store.artifact_path(result.run_id, "plots").iterdir()} >= {"blocking.png"}


def test_the_recorded_config_rebuilds_the_run_by_itself(result: RunResult, folder: Path) -> None:
    recorded = open_store(folder).artifact_path(result.run_id, "config") / "resolved_config.yaml"
    assert load(str(recorded)).config == small_config(folder)


def test_the_registered_model_predicts_what_the_checkpoint_does(result: RunResult, folder: Path) -> None:
    config = small_config(folder)
    lanes = OpticalVecEnv(make_simulator(config, prepare(config), 4, seed=9))
    observations, masks = lanes.reset(), lanes.action_masks()
    agent = checkpoints.read(result.checkpoint).agent
    expected, _ = agent.predict(observations, deterministic=True, action_masks=masks)  # type: ignore[arg-type, call-arg]
    model = open_store(folder).load_model(result.model)
    np.testing.assert_array_equal(model.predict(observations, params={"action_masks": masks.ravel()}), expected)


@pytest.mark.parametrize("which", ["{0.checkpoint}", "{0.model}", "runs:/{0.run_id}/checkpoints/final.bundle"])
def test_a_trained_policy_evaluates_alike_from_file_and_store(result: RunResult, folder: Path, which: str) -> None:
    found = evaluate(small_config(folder), which.format(result), requests=800, lanes=8)
    assert found.tally.blocked_requests == result.evaluation.tally.blocked_requests


def test_the_same_seed_trains_the_same_weights_and_another_seed_does_not(tmp_path: Path, result: RunResult) -> None:
    assert train(small_config(tmp_path / "again")).weights_sha256 == result.weights_sha256
    assert train(small_config(tmp_path / "other", **{"execution.seed": 2})).weights_sha256 != result.weights_sha256


# one of each kind; the others go the same ways
ONE_OF_EACH = ("ppo", "dqn", "recurrent-ppo", "q-learning", "evolution")
OTHERS = [name for name in ALGORITHM_MODELS if name not in (*ONE_OF_EACH, "maskable-ppo")]
# what tells how learning went, in the metrics of the run
LEARNING = {
    "ppo": ("train/policy_gradient_loss", "train/value_loss", "train/entropy_loss"),
    "recurrent-ppo": ("train/policy_gradient_loss", "train/value_loss", "train/entropy_loss"),
    "a2c": ("train/policy_loss", "train/value_loss", "train/entropy_loss"),
    "trpo": ("train/policy_objective", "train/value_loss", "train/kl_divergence_loss"),
    "dqn": ("train/loss", "train/action_value_best", "rollout/exploration_rate"),
    "qr-dqn": ("train/loss", "train/action_value_best", "rollout/exploration_rate"),
    "masked-dqn": ("train/loss", "train/action_value_best", "rollout/exploration_rate"),
    "masked-qr-dqn": ("train/loss", "train/action_value_best", "rollout/exploration_rate"),
    "q-learning": ("train/cells_seen", "train/action_value_best", "rollout/exploration_rate"),
    "epsilon-greedy": ("train/cells_seen", "train/action_value_best", "rollout/exploration_rate"),
    "ucb": ("train/cells_seen", "train/action_value_best"),
    "evolution": ("evolution/generation", "evolution/step_size", "evolution/member_blocking_mean"),
}


@pytest.mark.parametrize("algorithm", [*ONE_OF_EACH, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)])
def test_every_algorithm_trains_saves_and_loads(algorithm: str, tmp_path: Path) -> None:
    small: dict[str, object] = {}
    if "dqn" in algorithm:
        small = {"algorithm.learning_starts": 64, "algorithm.buffer_size": 1000}
    if algorithm == "evolution":
        small = {"algorithm.population": 4, "algorithm.requests": 40, "algorithm.warmup_requests": 10}
    done = train(small_config(tmp_path, algorithm, **small))
    assert done.parity_disagreements == 0
    assert checkpoints.weights_sha256(checkpoints.read(done.checkpoint).agent) == done.weights_sha256
    metrics = open_store(tmp_path).find_run(done.run_id).metrics
    told = {"rollout/ep_rew_mean", "rollout/service_blocking", "train/learning_rate"}
    if algorithm == "evolution":  # its members are rolled out; no lane is stepped for a reward
        told = set()
    assert {"evaluation/service_blocking", *told, *LEARNING[algorithm]} <= set(metrics)


def test_an_agent_learns_to_avoid_blocking_on_a_small_network(tmp_path: Path) -> None:
    config = small_config(tmp_path, **{"execution.timesteps": 20_000, "execution.lanes": 32, "execution.eval_every": 0})
    setting = prepare(config)
    env = OpticalVecEnv(make_simulator(config, setting, 32, seed=1))
    agent = make_agent(config.algorithm, env, seed=1, device="cpu")
    weights = checkpoints.weights_sha256(agent)
    agent.learn(20_000)
    assert checkpoints.weights_sha256(agent) != weights
    trained = evaluate(config, as_policy("agent", agent, config), requests=8000, lanes=8)
    rated = evaluate(config, "random", requests=8000, lanes=8)
    difference = rated.tally.blocking_by_lane() - trained.tally.blocking_by_lane()
    assert difference.mean() > 3 * difference.std(ddof=1) / np.sqrt(8)


def test_an_agent_is_compared_with_the_heuristics_that_are_asked_for(tmp_path: Path) -> None:
    done = train(small_config(tmp_path, **{"execution.baselines": ["ff-ksp"]}))
    assert list(done.baselines) == ["ff-ksp"]
    with pytest.raises(UnknownNameError, match=r"execution\.baselines: unknown heuristic 'ff-kps'.*ff-ksp"):
        train(small_config(tmp_path / "other", **{"execution.baselines": ["ff-kps"]}))
    assert not (tmp_path / "other").exists()


def test_a_store_that_cannot_be_written_stops_the_run_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TrackingError, match="file"):
        train(small_config(tmp_path / "file" / "mlruns"))


def test_a_run_that_fails_is_marked_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("power cut")

    monkeypatch.setattr("fusion_rl.training.run._evaluate", break_down)
    with pytest.raises(RuntimeError, match="power cut"):
        train(small_config(tmp_path))
    [run] = open_store(tmp_path).search_runs()
    assert run.status is RunStatus.FAILED
    assert "power cut" in run.tags["failure"]


def test_unknown_and_unreadable_policies_are_named(tmp_path: Path) -> None:
    config = small_config(tmp_path)
    with pytest.raises(UnknownNameError, match="did you mean 'ksp-ff'"):
        evaluate(config, "kspff")
    for name in ("nothing.bundle", "nothing.zip"):
        with pytest.raises(CheckpointError, match="does not exist"):
            evaluate(config, str(tmp_path / name))
    (tmp_path / "torn.bundle").write_bytes(b"PK and no more")
    with pytest.raises(CheckpointError, match="cannot be read"):
        evaluate(config, str(tmp_path / "torn.bundle"))


def test_a_zip_is_read_only_where_its_writer_is_trusted(tmp_path: Path, result: RunResult) -> None:
    ours = result.checkpoint.with_suffix(".zip")
    with pytest.raises(CheckpointError, match=r"runs whatever code it holds: use the .bundle beside it, or --trust"):
        checkpoints.read(ours)
    trusted = checkpoints.read(ours, trust=True)
    assert checkpoints.weights_sha256(trusted.agent) == result.weights_sha256
    assert trusted.config == checkpoints.read(result.checkpoint).config
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("data", "{}")
    with pytest.raises(CheckpointError, match="not written by fusion_rl"):
        checkpoints.read(foreign, trust=True)


def test_reading_a_checkpoint_leaves_the_shared_generators_alone(result: RunResult) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    checkpoints.read(result.checkpoint)
    assert torch.equal(torch.rand(3), expected)


def test_a_policy_for_another_network_is_refused_with_the_difference(result: RunResult) -> None:
    other = load("deeprmsa-cost239").config
    with pytest.raises(PolicyError, match="does not fit this network"):
        evaluate(other, str(result.checkpoint), requests=100)


def test_a_name_that_the_registry_would_refuse_is_mended_or_refused_before_training(tmp_path: Path) -> None:
    done = train(small_config(tmp_path, **{"name": "nsfnet: 250 E/a", "execution.eval_every": 0}))
    assert done.model == "models:/nsfnet- 250 E-a-maskable-ppo/1"
    with pytest.raises(ConfigError, match="model_name"):
        small_config(tmp_path, **{"execution.model_name": "a/b"})


def test_weights_that_are_no_longer_finite_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"lower algorithm.learning_rate"):
        train(small_config(tmp_path, **{"algorithm.learning_rate": 1e30}))


def test_a_gpu_that_is_not_there_is_said_before_training(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(ConfigError, match="sees no GPU"):
        train(small_config(tmp_path, **{"execution.device": "cuda"}))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_does_not_need_the_files_its_network_was_read_from(tmp_path: Path) -> None:
    edges = tmp_path / "ring.csv"
    edges.write_text("source,target,length_km\na,b,100\nb,c,100\nc,d,100\nd,a,100\n")
    topology = {"network.topology": str(edges), "network.k_paths": 2, "execution.eval_every": 0}
    done = train(small_config(tmp_path / "one", **topology))
    edges.rename(tmp_path / "moved.csv")
    moved = small_config(tmp_path / "one", **{**topology, "network.topology": str(tmp_path / "moved.csv")})
    assert evaluate(moved, str(done.checkpoint), requests=100).policy == str(done.checkpoint)


def test_looking_for_a_policy_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no runs"):
        evaluate(small_config(tmp_path / "mlruns"), "models:/nothing/1")
    assert not list(tmp_path.iterdir())


def test_an_exported_zip_is_complete_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(tmp_path)
    agent = make_agent(
        config.algorithm, OpticalVecEnv(make_simulator(config, prepare(config), 4, seed=1)), seed=1, device="cpu"
    )

    def full_disk(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full_disk)
    with pytest.raises(OSError, match="no space"):
        checkpoints.export_zip(agent, config, tmp_path / "kept" / "agent.zip")
    assert list((tmp_path / "kept").iterdir()) == []
