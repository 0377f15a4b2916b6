"""What the settings of every learning agent have in common, whatever it learns with."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fusion_rl.config.search import Range, Searchable, among
from fusion_rl.errors import nearest_hint

PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class AlgorithmCommon(Searchable):
    """What every agent has. `SEARCH` holds the ranges in which studies search unless they name others."""

    name: str = Field(description="which algorithm")
    observation: str = Field(default="deeprmsa", min_length=1, description="what the agent sees, as registered")
    action: str = Field(default="path", min_length=1, description="what the agent decides, as registered")

    @classmethod
    def explain_unknown_key(cls, key: str) -> str:
        """Says which algorithm it is that does not have the setting: another one may."""
        name = cls.model_fields["name"].default
        return f"'{key}' is not a setting of {name}: {nearest_hint(key, cls.model_fields)}"

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments that the algorithm's class is made with, and nothing else."""
        others = {*NetworkAgent.model_fields, *self.policy_arguments(), *self.applied_later()}
        return {key: getattr(self, key) for key in type(self).model_fields if key not in others}

    def policy_arguments(self) -> dict[str, Any]:
        """Settings that belong to the policy network of this algorithm alone."""
        return {}

    def applied_later(self) -> tuple[str, ...]:
        """Settings that the algorithm's class has no argument for."""
        return ()


class NetworkAgent(AlgorithmCommon):
    """What every agent with a neural network has."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "net_arch": among([64, 64], [128, 128], [256, 256], [64, 64, 64]),
        "activation": among("tanh", "relu", "elu"),
        "graph_rounds": among(1, 2, 3),
        "graph_units": among(16, 32, 64),
    }

    features: Literal["mlp", "paths", "graph", "candidates"] = Field(
        default="mlp",
        description="mlp: one network for the whole observation; paths: one network for each candidate path, the same "
        "for all; graph: the same, and messages along the links of the topology (observation: graph); candidates: one "
        "network for each candidate decision, the same for all (observation: candidates, action: candidates:M)",
    )
    net_arch: tuple[PositiveInt, ...] = Field(default=(128, 128), description="units of the hidden layers")
    activation: Literal["tanh", "relu", "elu"] = Field(default="tanh", description="activation of the hidden layers")
    graph_rounds: PositiveInt = Field(default=2, description="features graph: how many links far messages travel")
    graph_units: PositiveInt = Field(default=32, description="features graph: size of what a link knows")


def common_settings(model: type[AlgorithmCommon]) -> set[str]:
    """The settings that a model shares with other algorithms: they survive a change of algorithm."""
    return set(NetworkAgent.model_fields) & set(model.model_fields)
