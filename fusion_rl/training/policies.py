"""A policy by what a user calls it: a heuristic's name, a checkpoint file, or an address in the run store."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gymnasium import spaces

from fusion_rl.agents.catalog import Act, greedy
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import BatchSimulator, Domain
from fusion_rl.errors import PolicyError, UnknownNameError
from fusion_rl.training import checkpoints

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

_STORE_SCHEMES = ("models:", "runs:")


@dataclass(frozen=True)
class Heuristic:
    """A policy that is part of the domain."""

    name: str


@dataclass(frozen=True)
class Agent:
    """A trained policy.

    Attributes:
        name: what the user called it.
        begin: makes a function (observations, masks) -> actions for one run of consecutive requests; a recurrent
            policy begins it without memories.
        config: the configuration that it was trained with; its observation and action codec are the policy's.
        in_rollouts: (setting, scenario) -> the same policy as rollouts run it, on any network; None: it cannot be.
        algorithm: that learned it; None: nothing did.
    """

    name: str
    begin: Callable[[], Act]
    config: ExperimentConfig
    observation_space: spaces.Space[Any]
    action_space: spaces.Space[Any]
    in_rollouts: Callable[[Any, int], Any] | None = None
    algorithm: "BaseAlgorithm | None" = None


Policy = Heuristic | Agent


def find(given: str, domain: Domain, tracking_dir: str, *, trust: bool = False) -> Policy:
    """The policy that is meant.

    Args:
        given: heuristic name, path of a checkpoint, `models:/NAME@ALIAS`, `models:/NAME/VERSION` or
            `runs:/RUN_ID/PATH`.
        domain: whose heuristics are meant.
        tracking_dir: the run store that addresses refer to; its models are taken as one's own.
        trust: read a zip of Stable-Baselines3's, which can run code.

    Raises:
        UnknownNameError: neither a heuristic nor a file.
        CheckpointError, TrackingError: the checkpoint cannot be read.
    """
    if given in domain.heuristic_names():
        return Heuristic(given)
    if given.startswith(_STORE_SCHEMES):
        from fusion_rl.tracking.mlflow_store import open_store

        path, trust = open_store(tracking_dir, create=False).load_model_artifact(given), True
    elif given.endswith((".bundle", ".zip")) or Path(given).is_file():
        path = Path(given)
    else:
        raise UnknownNameError("policy", given, (*domain.heuristic_names(), "NAME.bundle", "models:/NAME@ALIAS"))
    checkpoint = checkpoints.read(path, trust=trust)
    return as_policy(given, checkpoint.agent, checkpoint.config)


def as_policy(name: str, agent: "BaseAlgorithm", config: ExperimentConfig) -> Agent:
    """A Stable-Baselines3 agent as a policy that takes its best actions."""
    begin = partial(greedy, agent, config.algorithm.name)
    in_rollouts = getattr(agent, "in_rollouts", None)
    return Agent(name, begin, config, agent.observation_space, agent.action_space, in_rollouts, agent)


def knows_holding_times(policy: Policy) -> bool:
    """Whether a policy is told how long each request is going to stay: more than heuristics and most agents know."""
    if not isinstance(policy, Agent):
        return False
    score = getattr(policy.config.algorithm, "score", None)
    if score is not None:
        from fusion_rl.domains.optical.scores import SCORES

        return SCORES[score].known_holding
    return isinstance(policy.observation_space, spaces.Dict) and "holding_time" in policy.observation_space.spaces


def require_fit(agent: Agent, simulator: BatchSimulator) -> None:
    """Refuse an agent that was trained on other observations or actions than a simulator has.

    Raises:
        PolicyError: says both.
    """
    here = (simulator.observation_space, simulator.action_space)
    if here != (agent.observation_space, agent.action_space):
        raise PolicyError(
            f"policy {agent.name} does not fit this network: it was trained to see {agent.observation_space} and to "
            f"choose from {agent.action_space}; here these are {here[0]} and {here[1]} (nodes, k_paths, observation)"
        )
