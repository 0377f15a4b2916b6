"""A run that goes on from another one's model: which model that is, whether it fits, and what the new run inherits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import CheckpointError, PolicyError, TrackingError
from fusion_rl.tracking.base import PARENT_CHECKPOINT_TAG, PARENT_RUN_TAG, STEPS_BEFORE_TAG
from fusion_rl.training import checkpoints

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from fusion_rl.tracking.mlflow_store import Store

_STORE_SCHEMES = ("models:", "runs:")
PARENT_WEIGHTS_TAG = "fusion_rl.parent_weights_sha256"
FINAL_CHECKPOINT = "checkpoints/final.bundle"  # among a run's artifacts


@dataclass(frozen=True)
class Parent:
    """The model that a run goes on from.

    Attributes:
        given: what the user called it.
        checkpoint: the agent, and the configuration that it was trained with.
        run_id: the run that made it; None where the store does not know.
        steps_before: training steps in all runs before the parent's.
    """

    given: str
    checkpoint: checkpoints.Checkpoint
    run_id: str | None
    steps_before: int = 0

    @property
    def config(self) -> ExperimentConfig:
        """What the parent was trained with."""
        return self.checkpoint.config

    def experiment(self) -> dict[str, Any]:
        """The parent's experiment as a new one begins with it: but for the name of the run, and what it imports.

        A checkpoint may come from elsewhere, and must not say which code runs here.
        """
        values: dict[str, Any] = self.config.model_dump(mode="json")
        values["execution"] |= {"run_name": None, "callbacks": []}
        return values

    def tags(self) -> dict[str, str]:
        """What the new run says of its parent."""
        told = {
            PARENT_CHECKPOINT_TAG: self.given,
            PARENT_WEIGHTS_TAG: checkpoints.weights_sha256(self.checkpoint.agent),
            STEPS_BEFORE_TAG: str(self.steps_before + self.checkpoint.agent.num_timesteps),
        }
        return told if self.run_id is None else told | {PARENT_RUN_TAG: self.run_id}


def find_parent(given: str, tracking_dir: str, *, trust: bool = False) -> Parent:
    """The model that is meant.

    Args:
        given: id or name of a run, a checkpoint file, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or
            `runs:/RUN_ID/PATH`.
        tracking_dir: the run store that runs and addresses refer to; its models are taken as one's own.
        trust: read a zip of Stable-Baselines3's, which can run code.

    Raises:
        CheckpointError, TrackingError: there is no such run or model, or it cannot be read.
    """
    from fusion_rl.tracking.mlflow_store import open_store

    path, run_id = Path(given), None
    if given.startswith(_STORE_SCHEMES):
        stored = open_store(tracking_dir, create=False).stored_policy(given)
        path, run_id, trust = stored.checkpoint, stored.run_id, True
        if run_id is None and given.startswith("runs:/"):
            run_id = given.removeprefix("runs:/").partition("/")[0]
    elif not path.is_file() and not given.endswith((".bundle", ".zip")):
        store = open_store(tracking_dir, create=False)
        run_id = store.find_run(given).run_id
        path = store.artifact_path(run_id, FINAL_CHECKPOINT)
    elif _known(path.absolute().parent.name, tracking_dir):
        run_id = path.absolute().parent.name  # training keeps its checkpoints in a folder named after the run
    checkpoint = checkpoints.read(path, trust=trust)
    before = 0
    if run_id is not None:
        before = int(open_store(tracking_dir, create=False).find_run(run_id).tags.get(STEPS_BEFORE_TAG, 0))
    return Parent(given, checkpoint, run_id, before)


def recorded_parent(tags: Mapping[str, str], tracking_dir: str) -> Parent | None:
    """The parent that a run said it had when it began, to begin it once more; None where it had none.

    Args:
        tags: the run's.
        tracking_dir: the run store that runs and addresses refer to.

    Raises:
        CheckpointError: what the parent was called is another model now.
    """
    if PARENT_CHECKPOINT_TAG not in tags:
        return None
    parent = find_parent(tags[PARENT_CHECKPOINT_TAG], tracking_dir)
    if parent.tags()[PARENT_WEIGHTS_TAG] != tags.get(PARENT_WEIGHTS_TAG):
        raise CheckpointError(f"{parent.given}, which the run went on from, is another model now: begin a new run")
    return parent


def _known(run_id: str, tracking_dir: str) -> bool:
    from fusion_rl.tracking.mlflow_store import open_store

    try:
        store: Store = open_store(tracking_dir, create=False)
        return store.find_run(run_id).run_id == run_id
    except TrackingError:
        return False


def inherit(agent: "BaseAlgorithm", config: ExperimentConfig, parent: Parent) -> None:
    """Give an agent the parent's weights and its optimiser's state.

    Raises:
        PolicyError: the parent sees, decides or is built otherwise; lists all differences.
    """
    found = differences(agent, config, parent)
    if found:
        raise PolicyError(f"the model of {parent.given} cannot go on here: {'; '.join(found)}")
    inherited: Any = parent.checkpoint.agent.get_parameters()  # by name: those of the policy and of its optimisers
    agent.set_parameters(inherited, exact_match=True, device=agent.device)


def differences(agent: "BaseAlgorithm", config: ExperimentConfig, parent: Parent) -> list[str]:
    """In what an agent and its parent do not match, each as `what: the parent's, here ...`."""
    old, here = parent.config.algorithm, config.algorithm
    other = parent.checkpoint.agent
    pairs: list[tuple[str, object, object]] = [
        ("algorithm", old.name, here.name),
        ("observation", old.observation, here.observation),
        ("action", old.action, here.action),
        ("observation space", other.observation_space, agent.observation_space),
        ("action space", other.action_space, agent.action_space),
    ]
    found = [f"{what}: it has {theirs}, here {ours}" for what, theirs, ours in pairs if theirs != ours]
    return found or _tensor_differences(agent, other)


def _tensor_differences(agent: "BaseAlgorithm", other: "BaseAlgorithm") -> list[str]:
    """Parts of the policy that differ in shape, such as hidden layers."""
    ours, theirs = ({name: tuple(t.shape) for name, t in a.policy.state_dict().items()} for a in (agent, other))
    return [
        f"{name}: it has {theirs.get(name, 'none')}, here {ours.get(name, 'none')} (algorithm.net_arch and its like)"
        for name in dict.fromkeys((*theirs, *ours))
        if theirs.get(name) != ours.get(name)
    ]
