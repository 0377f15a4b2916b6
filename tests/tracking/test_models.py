import json
import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from mlflow.exceptions import MlflowException
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import A2C, DQN
from stable_baselines3.common.base_class import BaseAlgorithm

from fusion_rl.errors import CheckpointError, TrackingError, UnknownNameError
from fusion_rl.tracking.base import Example
from fusion_rl.tracking.mlflow_store import Store, open_store
from fusion_rl.tracking.sb3_classes import SB3_CLASSES, sb3_class

ACTIONS = 4
PREDICT_ELSEWHERE = """
import sys, numpy as np
from fusion_rl.tracking.mlflow_store import open_store
folder, uri, observations, actions = sys.argv[1:]
np.save(actions, open_store(folder).load_model(uri).predict(np.load(observations)))
"""


class Corridor(gym.Env[np.ndarray | dict[str, np.ndarray], int]):
    """Random numbers in, an action out: enough for a policy to have spaces."""

    def __init__(self, dict_observations: bool = False) -> None:
        numbers = gym.spaces.Box(-1, 1, (3,), np.float32)
        self.action_space = gym.spaces.Discrete(ACTIONS)
        self.observation_space = (
            gym.spaces.Dict({"paths": numbers, "load": gym.spaces.Box(0, 1, (1,), np.float32)})
            if dict_observations
            else numbers
        )

    def reset(self, *, seed=None, options=None):  # type: ignore[no-untyped-def]
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):  # type: ignore[no-untyped-def]
        return self.observation_space.sample(), float(action == 1), True, False, {}

    def action_masks(self) -> np.ndarray:
        return np.ones(ACTIONS, dtype=bool)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("models") / "mlruns")


@pytest.fixture(scope="module")
def masked_policy() -> MaskablePPO:
    return MaskablePPO("MlpPolicy", Corridor(), n_steps=8, batch_size=8, seed=3, device="cpu")


@pytest.fixture(scope="module")
def checkpoint(masked_policy: MaskablePPO, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "policy.zip"
    masked_policy.save(path)
    return path


@pytest.fixture(scope="module")
def model_uri(store: Store, checkpoint: Path) -> str:
    with store.start("models", "masked") as run:
        return run.log_model(checkpoint, "maskable-ppo", registered_name="nsfnet-agent")


@pytest.fixture
def observations() -> np.ndarray:
    return np.random.default_rng(7).uniform(-1, 1, (20, 3)).astype(np.float32)


def test_the_table_names_classes_that_exist() -> None:
    assert all(issubclass(sb3_class(algorithm), BaseAlgorithm) for algorithm in SB3_CLASSES)


def test_a_registered_model_predicts_as_the_policy_does(
    store: Store, model_uri: str, masked_policy: MaskablePPO, observations: np.ndarray
) -> None:
    assert model_uri == "models:/nsfnet-agent/1"
    actions = store.load_model(model_uri).predict(observations)
    assert (actions.dtype, actions.shape) == (np.int64, (20,))
    np.testing.assert_array_equal(actions, masked_policy.predict(observations, deterministic=True)[0])


def test_masks_are_obeyed(store: Store, model_uri: str, masked_policy: MaskablePPO, observations: np.ndarray) -> None:
    masks = np.random.default_rng(1).random((20, ACTIONS)) < 0.4
    masks[:, 2] |= ~masks.any(axis=1)
    actions = store.load_model(model_uri).predict(observations, params={"action_masks": masks.ravel()})
    assert masks[np.arange(20), actions].all()
    expected = masked_policy.predict(observations, action_masks=masks, deterministic=True)[0]
    np.testing.assert_array_equal(actions, expected)


def test_masks_that_do_not_fit_are_refused(store: Store, model_uri: str, observations: np.ndarray) -> None:
    model = store.load_model(model_uri)
    with pytest.raises(TrackingError, match="79 values; 20 observations with 4 actions need 80"):
        model.predict(observations, params={"action_masks": [True] * 79})
    masks = np.ones((20, ACTIONS), dtype=bool)
    masks[5] = False
    with pytest.raises(TrackingError, match="no action for observation 5"):
        model.predict(observations, params={"action_masks": masks.ravel()})


def test_an_observation_of_another_shape_is_refused(store: Store, model_uri: str) -> None:
    with pytest.raises(MlflowException, match="shape"):
        store.load_model(model_uri).predict(np.zeros((2, 5), dtype=np.float32))


def test_a_model_predicts_the_same_in_a_fresh_process(
    store: Store, model_uri: str, masked_policy: MaskablePPO, observations: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "observations.npy", observations)
    folder = Path(store.uri.removeprefix("sqlite:///")).parent
    files = [str(tmp_path / "observations.npy"), str(tmp_path / "actions.npy")]
    subprocess.run([sys.executable, "-c", PREDICT_ELSEWHERE, str(folder), model_uri, *files], check=True)
    expected = masked_policy.predict(observations, deterministic=True)[0]
    np.testing.assert_array_equal(np.load(tmp_path / "actions.npy"), expected)


def test_a_policy_with_named_observations_takes_them_by_name(store: Store, tmp_path: Path) -> None:
    policy = A2C("MultiInputPolicy", Corridor(dict_observations=True), seed=1, device="cpu")
    policy.save(tmp_path / "policy.zip")
    with store.start("models", "named") as run:
        uri = run.log_model(tmp_path / "policy.zip", "a2c")
    rng = np.random.default_rng(2)
    batch = {name: rng.random((6, width), dtype=np.float32) for name, width in (("paths", 3), ("load", 1))}
    actions = store.load_model(uri).predict(batch)
    np.testing.assert_array_equal(actions, policy.predict(batch, deterministic=True)[0])


def test_a_policy_without_masks_offers_no_such_parameter(
    store: Store, observations: np.ndarray, tmp_path: Path
) -> None:
    policy = DQN("MlpPolicy", Corridor(), buffer_size=10, seed=1, device="cpu")
    policy.save(tmp_path / "policy.zip")
    with store.start("models", "unmasked") as run:
        model = store.load_model(run.log_model(tmp_path / "policy.zip", "dqn"))
    assert [parameter.name for parameter in model.metadata.signature.params] == ["deterministic"]
    np.testing.assert_array_equal(model.predict(observations), policy.predict(observations, deterministic=True)[0])


def test_a_recurrent_policy_decides_with_what_it_saw_before(
    store: Store, observations: np.ndarray, tmp_path: Path
) -> None:
    policy = RecurrentPPO("MlpLstmPolicy", Corridor(), n_steps=8, batch_size=8, seed=4, device="cpu")
    with torch.no_grad():
        for weights in policy.policy.lstm_actor.parameters():  # untrained memories weigh little
            weights.mul_(8.0)
    policy.save(tmp_path / "policy.zip")
    with store.start("models", "recurrent") as run:
        model = store.load_model(run.log_model(tmp_path / "policy.zip", "recurrent-ppo"))
    alone = model.predict(observations)
    following = model.predict(observations, params={"consecutive": True})
    state, expected = None, []
    for observation in observations:
        action, state = policy.predict(observation, state=state, deterministic=True)
        expected.append(int(action))
    assert following.tolist() == expected
    assert following.tolist() != alone.tolist(), "memory makes a difference"
    np.testing.assert_array_equal(model.predict(observations[:1], params={"consecutive": True}), alone[:1])


def test_the_example_is_a_request_that_the_model_answers(store: Store, checkpoint: Path) -> None:
    observation, mask = np.full((1, 3), 0.5, np.float32), np.array([[False, False, True, False]])
    with store.start("models", "shown") as run:
        uri = run.log_model(checkpoint, "maskable-ppo", example=Example(observation, mask))
    model = store.load_model(uri)
    request = json.loads((store.artifact_path(run.run_id, "policy") / "serving_input_example.json").read_text())
    assert request["inputs"] == observation.tolist()
    assert request["params"]["action_masks"] == mask.ravel().tolist()
    assert model.predict(np.array(request["inputs"], np.float32), params=request["params"]).tolist() == [2]


def test_the_zip_is_found_by_version_by_alias_and_by_run(store: Store, model_uri: str, checkpoint: Path) -> None:
    store.set_alias("nsfnet-agent", "champion", 1)
    run_id = store.find_run("masked").run_id
    store.log_artifact(run_id, checkpoint, "checkpoints")
    uris = (
        "models:/nsfnet-agent@champion",
        f"runs:/{run_id}/policy",
        f"runs:/{run_id}/checkpoints/policy.zip",
    )
    for uri in (model_uri, *uris):
        assert store.load_model_artifact(uri).read_bytes() == checkpoint.read_bytes(), uri
    stored = store.stored_policy("models:/nsfnet-agent@champion")
    assert (stored.algorithm, stored.run_id) == ("maskable-ppo", run_id)


def test_logging_again_makes_the_next_version(store: Store, model_uri: str, checkpoint: Path) -> None:
    with store.start("models", "again") as run:
        newer = run.log_model(checkpoint, "maskable-ppo", registered_name="nsfnet-agent", tags={"slots": "100"})
    assert int(newer.rpartition("/")[2]) > int(model_uri.rpartition("/")[2])


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/nsfnet-agnet@champion", "did you mean 'nsfnet-agent'"),
        ("models:/nsfnet-agent@none", "cannot be read"),
        ("models:/nsfnet-agent/999", "cannot be read"),
        ("runs:/0123456789abcdef0123456789abcdef/policy", "cannot be read"),
        ("nsfnet-agent", "is no model URI: give models:/NAME@ALIAS"),
    ],
)
def test_a_model_that_is_not_there_is_an_error_that_helps(store: Store, model_uri: str, uri: str, message: str) -> None:
    with pytest.raises(TrackingError, match=message):
        store.load_model_artifact(uri)


def test_what_is_no_policy_is_not_stored(store: Store, checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.zip").write_bytes(b"PK no zip")
    with store.start("models", "refused") as run:
        with pytest.raises(CheckpointError, match=r"none.zip' does not exist"):
            run.log_model(tmp_path / "none.zip", "ppo")
        with pytest.raises(CheckpointError, match=r"broken.zip' cannot be read as a ppo policy"):
            run.log_model(tmp_path / "broken.zip", "ppo")
        with pytest.raises(UnknownNameError, match="unknown algorithm 'maskableppo': did you mean"):
            run.log_model(checkpoint, "maskableppo")
    with pytest.raises(TrackingError, match="cannot be read"):
        store.load_model_artifact(f"runs:/{run.run_id}/policy")


def test_reading_a_model_touches_no_store_but_its_own(
    store: Store, model_uri: str, observations: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_id = store.find_run("masked").run_id
    for uri in (model_uri, f"runs:/{run_id}/policy"):
        store.load_model(uri).predict(observations)
    assert (store.artifact_path(run_id, "policy") / "MLmodel").is_file()
    assert list(tmp_path.iterdir()) == []
