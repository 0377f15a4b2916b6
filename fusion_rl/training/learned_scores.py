"""What an evolved score has learned: each of its parameters, and where learning began, by group.

A group is what weighs the same thing: the weights of all widths of a kind (`width/*`), a slope with its square
(`scarcity*`), a feature's weights to all units of a network; every other parameter is a group of its own.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fusion_rl.errors import PolicyError
from fusion_rl.training.policies import Agent, Policy, as_policy

if TYPE_CHECKING:
    from fusion_rl.agents.evolution.agent import Evolution
    from fusion_rl.config.experiment import ExperimentConfig

_SQUARE = "_squared"


@dataclass(frozen=True)
class LearnedScore:
    """The parameters of a score.

    Attributes:
        score: its name.
        first: parameter -> where learning begins.
        learned: parameter -> what it became; the same names in the same order.
    """

    score: str
    first: dict[str, float]
    learned: dict[str, float]

    @property
    def groups(self) -> dict[str, tuple[str, ...]]:
        """Group -> its parameters."""
        found: dict[str, tuple[str, ...]] = {}
        for name in self.learned:
            group = group_of(name, self.learned)
            found[group] = (*found.get(group, ()), name)
        return found


def learned_score(policy: Policy) -> LearnedScore:
    """The score of an evolved agent.

    Raises:
        PolicyError: the policy has no score whose parameters were learned.
    """
    from fusion_rl.domains.optical.scores import SCORES

    agent, _ = _evolved(policy)
    begun = SCORES[agent.score].parameters(agent.setting.world)
    learned = dict(zip(agent.names, agent.policy.values.tolist(), strict=True))
    return LearnedScore(agent.score, {name: begun.get(name, 0.0) for name in learned}, learned)


def put_back(policy: Policy, names: Iterable[str], called: str) -> Agent:
    """An evolved agent of which some parameters are again what they were when learning began.

    Args:
        policy: the agent, which stays as it is.
        names: parameters.
        called: what to call the other one.

    Raises:
        PolicyError: the policy has no score whose parameters were learned.
    """
    agent, config = _evolved(policy)
    found, again = learned_score(policy), set(names)
    twin = copy.copy(agent)
    twin.policy = copy.deepcopy(agent.policy)
    twin.policy.values[:] = [found.first[name] if name in again else value for name, value in found.learned.items()]
    return as_policy(called, twin, config)


def _evolved(policy: Policy) -> "tuple[Evolution, ExperimentConfig]":
    """What learned a policy, and how.

    Raises:
        PolicyError: it is no evolution.
    """
    from fusion_rl.agents.evolution.agent import Evolution

    if not isinstance(policy, Agent) or not isinstance(policy.algorithm, Evolution):
        raise PolicyError(f"policy {policy.name} has no learned score: name an agent of algorithm evolution")
    return policy.algorithm, policy.config


def group_of(name: str, names: dict[str, float]) -> str:
    """The group of a parameter among these."""
    if "/" in name:
        return f"{name.split('/')[0]}/*"
    stem = name.removesuffix(_SQUARE)
    if stem in names and (name != stem or f"{name}{_SQUARE}" in names):
        return f"{stem}*"
    return name
