"""What a score consists of."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.world import World


@dataclass(frozen=True)
class Score:
    """A policy with parameters.

    Attributes:
        parameters: world -> {parameter: where learning starts}; names mean the same in every world.
        prepare: (world, parameters, mean holding time) -> options of `decide`, for one lane. A parameter of the world
            that is not given has its first value, and what this world does not have is not used.
        decide: kernel (world, lane, request, options) -> (path, start), start NOWHERE where nothing fits.
        known_holding: whether it knows how long requests are going to stay: another class of information.
    """

    parameters: Callable[[World], dict[str, float]]
    prepare: Callable[[World, Mapping[str, float], float], Any]
    decide: Callable[..., Any]
    known_holding: bool = False


def heuristic_of(score: Score, parameters: Mapping[str, float], mean_holding_time: float) -> Heuristic:
    """A score with its parameters, as a policy that rollouts can run."""
    return Heuristic(score.decide, partial(_prepared, score.prepare, dict(parameters), mean_holding_time))


def _prepared(prepare: Callable[..., Any], parameters: dict[str, float], mean: float, world: World) -> Any:
    return prepare(world, parameters, mean)
