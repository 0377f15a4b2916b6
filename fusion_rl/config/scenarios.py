"""The scenarios concern: the traffic that a network is offered. Says nothing about the network itself."""

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self, overload

from pydantic import Field, RootModel, field_validator, model_validator

from fusion_rl.config.base import Settings
from fusion_rl.config.failures import Failures
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.times import Arrivals, ExponentialHolding, Holding, PoissonArrivals
from fusion_rl.errors import UnknownNameError, nearest_hint

# Mean of an exponential of mean 1 that is redrawn while it is >= 2 (the DeepRMSA benchmark's holding times)
TRUNCATED_MEAN = 1.0 - 2.0 * math.exp(-2.0) / (1.0 - math.exp(-2.0))

Positive = Annotated[float, Field(gt=0)]
Weight = Annotated[float, Field(ge=0)]
HoldingTruncation = Literal["none", "redraw-at-2x-mean"]


class UniformBandwidth(Settings):
    """Every whole number of Gb/s from low to high is equally likely."""

    kind: Literal["uniform-integers"] = "uniform-integers"
    low_gbps: int = Field(ge=1, description="smallest bit rate, Gb/s")
    high_gbps: int = Field(ge=1, description="largest bit rate, Gb/s (itself possible)")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.low_gbps > self.high_gbps:
            raise ValueError(f"low_gbps ({self.low_gbps}) is above high_gbps ({self.high_gbps})")
        return self


class WeightedBandwidth(Settings):
    """Bit rates from a list, drawn by weight."""

    kind: Literal["weighted"] = "weighted"
    values_gbps: tuple[Positive, ...] = Field(min_length=1, description="bit rates, Gb/s")
    weights: tuple[Weight, ...] = Field(description="relative frequency of each; they need not sum to 1")

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        check_weights("values_gbps", self.values_gbps, self.weights)
        return self


class SlotBandwidth(Settings):
    """Widths in slots from a list, drawn by weight; the same width on every path."""

    kind: Literal["slots"] = "slots"
    widths_slots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        min_length=1, description="widths, slots, without the guard slots"
    )
    weights: tuple[Weight, ...] = Field(description="relative frequency of each; they need not sum to 1")

    @model_validator(mode="after")
    def _check_weights(self) -> Self:
        check_weights("widths_slots", self.widths_slots, self.weights)
        return self


Bandwidth = Annotated[UniformBandwidth | WeightedBandwidth | SlotBandwidth, Field(discriminator="kind")]


class UniformPairs(Settings):
    """Every ordered pair of different nodes is equally likely."""

    kind: Literal["uniform"] = "uniform"


class NodeWeightPairs(Settings):
    """An ordered pair is drawn in proportion to the product of its nodes' weights."""

    kind: Literal["node-weights"] = "node-weights"
    weights: dict[str, Weight] = Field(description="node name -> weight")

    @field_validator("weights")
    @classmethod
    def _check_two_nodes(cls, weights: dict[str, float]) -> dict[str, float]:
        if sum(weight > 0 for weight in weights.values()) < 2:
            raise ValueError("need at least two nodes with a weight above 0")
        return weights


class GravityPairs(NodeWeightPairs):
    """An ordered pair is drawn in proportion to its nodes' weights, and less often the farther apart they are.

    The share of a pair is weight x weight / distance ** distance_exponent, with the length of the shortest path
    as distance.
    """

    kind: Literal["gravity"] = "gravity"  # type: ignore[assignment]  # the discriminator of a variant of its own
    distance_exponent: float = Field(default=1.0, ge=0, le=8, description="how strongly distance counts; 0: not at all")


class MatrixPairs(Settings):
    """An ordered pair is drawn in proportion to its entry in a traffic matrix."""

    kind: Literal["matrix"] = "matrix"
    file: str = Field(min_length=1, description="CSV of the traffic matrix")


Pairs = Annotated[UniformPairs | NodeWeightPairs | GravityPairs | MatrixPairs, Field(discriminator="kind")]


class ScenarioConfig(Settings):
    """One kind of traffic. Times are in units of the caller's choice: only ratios of them matter."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9_-]*[A-Za-z_-][A-Za-z0-9_-]*$",
        description="letters, digits, - and _, not digits alone: overrides address a scenario by it",
    )
    load_erlang: float = Field(
        gt=0, description="nominal load, Erlang: mean arrival rate x mean holding time before truncation"
    )
    mean_holding_time: float = Field(default=10.0, gt=0, description="mean holding time before truncation, time units")
    holding_truncation: HoldingTruncation = Field(
        default="none",
        description="redraw-at-2x-mean: an exponential holding time is redrawn while >= 2 x its mean",
    )
    holding: Holding = Field(default=ExponentialHolding(), description="law of the holding times")
    arrivals: Arrivals = Field(default=PoissonArrivals(), description="arrival process")
    bandwidth: Bandwidth = Field(description="bandwidth of a request")
    pairs: Pairs = Field(default=UniformPairs(), description="source and destination of a request")
    trace: str | None = Field(
        default=None,
        min_length=1,
        description="CSV or Parquet file of requests to replay in place of drawing them: their times, nodes and "
        "bandwidths are then the file's, and the load is what it offers",
    )
    failures: Failures | None = Field(default=None, description="link failures; null: links never fail")
    requests_per_episode: int = Field(default=1000, ge=1, description="requests of a training episode")
    warmup_requests: int = Field(default=0, ge=0, description="requests served before counting starts")
    seed: int = Field(
        default=0,
        ge=0,
        description="goes into every random stream of this traffic, beside the seeds of the run",
    )

    @model_validator(mode="after")
    def _check_truncation(self) -> Self:
        if self.holding_truncation != "none" and self.holding.kind != "exponential":
            raise ValueError(
                f"holding_truncation ({self.holding_truncation}) is for exponential holding times, not for "
                f"{self.holding.kind} ones: set it to none"
            )
        return self

    @classmethod
    def explain_unknown_key(cls, key: str) -> str:
        """A network key in a scenario is told where it belongs."""
        if key in NetworkConfig.model_fields:
            return f"'{key}' belongs in `network`: a scenario describes traffic alone"
        return super().explain_unknown_key(key)

    @property
    def arrival_rate(self) -> float:
        """Requests per time unit, on average over time."""
        return self.load_erlang / self.mean_holding_time

    @property
    def offered_erlang(self) -> float:
        """Mean arrival rate x the mean holding time that is really drawn, Erlang."""
        return self.load_erlang * (1.0 if self.holding_truncation == "none" else TRUNCATED_MEAN)


class ScenariosConfig(RootModel[tuple[ScenarioConfig, ...]]):
    """The scenarios of an experiment, at least one: read them by position, by name, or in a loop."""

    model_config = {"frozen": True}

    @model_validator(mode="before")
    @classmethod
    def _read_any_form(cls, given: Any) -> Any:
        return scenario_list(given)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if not self.root:
            raise ValueError("no scenario is given: give at least one")
        for name in self.names():
            if self.names().count(name) > 1:
                raise ValueError(f"two scenarios have the name '{name}'")
        return self

    def names(self) -> tuple[str, ...]:
        """The scenarios' names, in order."""
        return tuple(scenario.name for scenario in self.root)

    @overload
    def __getitem__(self, which: int | str) -> ScenarioConfig: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[ScenarioConfig, ...]: ...

    def __getitem__(self, which: int | str | slice) -> ScenarioConfig | tuple[ScenarioConfig, ...]:
        """A scenario by position or by name; an unknown name raises UnknownNameError."""
        if not isinstance(which, str):
            return self.root[which]
        if which not in self.names():
            raise UnknownNameError("scenario", which, self.names())
        return self.root[self.names().index(which)]

    def __iter__(self) -> Iterator[ScenarioConfig]:  # type: ignore[override]  # a sequence, not a bag of fields
        return iter(self.root)

    def __len__(self) -> int:
        return len(self.root)


def scenario_list(given: Any) -> Any:
    """The list of scenarios that is given: as a list, as `scenarios:` with a list, or as one mapping.

    Raises:
        ValueError: a mapping with `scenarios:` has other keys too.
    """
    if not isinstance(given, Mapping):
        return given
    if "scenarios" not in given:
        return [given]
    for key in given:
        if key in NetworkConfig.model_fields:
            raise ValueError(ScenarioConfig.explain_unknown_key(key))
        if key != "scenarios":
            raise ValueError(f"unknown key '{key}' beside `scenarios`: {nearest_hint(key, ['scenarios'])}")
    return given["scenarios"]


def check_weights(what: str, values: tuple[float, ...], weights: tuple[float, ...]) -> None:
    """Raise ValueError unless each different value has a weight and one weight is above 0."""
    if len(values) != len(weights):
        raise ValueError(f"{len(values)} {what} and {len(weights)} weights: give one weight for each value")
    if len(set(values)) != len(values):
        raise ValueError(f"{what} lists a value more than once")
    if not sum(weights) > 0:
        raise ValueError("all weights are 0")
