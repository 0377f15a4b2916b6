"""The seam that every domain meets: many lanes of a decision problem, stepped together.

Training, evaluation and the environments know a domain by this protocol alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Bools, Bytes, Floats, Floats32, Ints64
from fusion_rl.config.experiment import ExperimentConfig


@dataclass(frozen=True)
class Step:
    """What one step of all lanes led to.

    Attributes:
        reward: [B].
        ended: lanes whose episode is over, [B]. Episodes end after a number of requests, which is a time
            limit and not a property of the task.
        outcome: the domain's record of what was done, a NamedTuple of arrays [B].
    """

    reward: Floats32
    ended: Bools
    outcome: Any


class BatchSimulator(Protocol):
    """A domain seen by an agent."""

    num_lanes: int
    observation_space: spaces.Space[Any]
    action_space: spaces.Discrete

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """The scenarios that the lanes share."""

    def reset(self, lanes: Sequence[int], seeds: Sequence[int | None] | None = None) -> None:
        """Begin a new episode on some lanes.

        A lane given a seed repeats the episodes of that seed from the first on; without one it goes on to
        traffic that it has not met.
        """

    def step(self, actions: Ints64) -> Step:
        """Decide the request at hand of every lane."""

    def plan(self, lane: int, action: int) -> tuple[int, int]:
        """What an action would do on one lane: (path, start), start -1 where it stands for no decision of its own."""

    def observations(self) -> AnyArray | dict[str, AnyArray]:
        """What every lane shows of its request at hand, [B, ...]; a copy."""

    def measure(self, gauge: Any) -> None:
        """Add samples of the lanes to the domain's gauge."""

    def masks(self) -> Bools:
        """Actions that can be served, [B, A]; one is left where none can. A copy."""

    def servable(self) -> Bools:
        """Lanes whose request some action can serve, [B]: the others lose it whatever is done. A copy."""

    def scenario_of(self, lane: int) -> int:
        """Number, among `scenario_names`, of the scenario that a lane runs now."""

    def requests_by_scenario(self) -> Ints64:
        """Requests decided of each scenario so far, [scenarios]."""

    def close(self) -> None:
        """Release what the simulator holds."""


class Estimate(Protocol):
    """A mean and the half-width of its 95 % confidence interval."""

    @property
    def mean(self) -> float: ...
    @property
    def ci95(self) -> float: ...
    @property
    def method(self) -> str: ...


class Tally(Protocol):
    """Counts of what became of the requests of every lane, the warm-up left out."""

    warmup_requests: int
    requests: int

    def add(self, lane: int, first_number: int, verdict: Bytes, gbps: Floats) -> None:
        """Count consecutive requests of one lane."""

    def blocking_by_lane(self) -> Floats:
        """Service blocking of each lane, [B]."""

    def plus(self, other: Self) -> Self:
        """The requests of both, lane by lane."""

    def beside(self, other: Self) -> Self:
        """The lanes of both."""

    @property
    def service_blocking(self) -> Estimate: ...
    @property
    def bit_rate_blocking(self) -> Estimate: ...
    @property
    def blocked_requests(self) -> int: ...
    @property
    def block_reasons(self) -> dict[str, int]: ...


class Gauge(Protocol):
    """Samples of how the network is used."""

    @property
    def usage(self) -> dict[str, float]: ...
    @property
    def utilisation(self) -> float: ...
    @property
    def link_utilisation(self) -> Floats: ...


class Domain(Protocol):
    """A domain seen by training: a module with these names. `Setting` is the domain's own affair."""

    BASELINES: tuple[str, ...]

    def prepare(self, config: ExperimentConfig) -> Any:
        """The setting that everything which simulates it shares."""

    def make_simulator(
        self, config: ExperimentConfig, setting: Any, num_lanes: int, seed: int, **episode: int | None
    ) -> BatchSimulator:
        """Lanes for an agent.

        `scenario` runs that one on every lane; `warmup_requests` and `episode_requests` replace the scenarios' own;
        `by_decision` lets steps take decisions of any policy in the place of action numbers.
        """

    def snapshot(self, simulator: Any) -> dict[str, Any]:
        """The state of a simulator's lanes: a tree of dicts and lists over arrays, numbers, text and None."""

    def restore(self, simulator: Any, kept: dict[str, Any]) -> None:
        """Put the lanes of a simulator of the same configuration back to where `snapshot` found them."""

    def heuristic_names(self) -> tuple[str, ...]:
        """Policies that need no training."""

    def run_heuristic(
        self,
        setting: Any,
        policy: Any,
        *,
        requests: int,
        lanes: int,
        seed: int,
        scenario: int,
        threads: int | None,
        count_refusals: bool = False,
    ) -> Any:
        """Serve a scenario's traffic with a heuristic: its name, or a policy that rollouts can run.

        `count_refusals`: also count the requests that it left blocked although they could be served.
        """

    def make_tally(self, setting: Any, scenario: int, requests: int, lanes: int) -> Tally:
        """Counts for what an agent does with a scenario's traffic."""

    def replay(self, setting: Any, decisions: Any, *, seed: int) -> Any:
        """Serve lane 0's first traffic with decisions made before; arrays (verdict, path, start), [T]."""

    def check_traffic(
        self, setting: Any, *, requests: int, lanes: int, scenario: int, record: str | None = None
    ) -> None:
        """Make sure before an evaluation that there are the requests, and that a file can record them."""

    def record_traffic(self, setting: Any, file: str, *, requests: int, lanes: int, seed: int, scenario: int) -> int:
        """Write what an evaluation of this size serves into a file; returns the number of requests."""

    def make_gauge(self, setting: Any) -> Gauge:
        """Room for samples of how the network is used."""

    def conditions(self, setting: Any, scenario: int) -> dict[str, object]:
        """What a figure of this scenario must name to mean anything."""
