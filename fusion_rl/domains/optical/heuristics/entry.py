"""What a heuristic consists of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusion_rl.domains.optical.world import World


def nothing(world: World) -> int:
    """For heuristics that look at the network alone."""
    return 0


@dataclass(frozen=True)
class Heuristic:
    """A policy that is a function of the network and the request.

    Attributes:
        decide: (world, lane, request, options) -> (path, start), start NOWHERE for a refusal. A kernel
            (`fusion_rl.domains.optical.jit.kernel`, or Numba's njit) is fast; plain Python works too.
        prepare: world -> options, made once for every lane: tables, and what the heuristic remembers.
    """

    decide: Callable[..., Any]
    prepare: Callable[[World], Any] = nothing
