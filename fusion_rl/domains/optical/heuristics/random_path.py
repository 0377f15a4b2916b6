"""Random: any of the candidate paths with room, all equally likely, lowest start."""

import numpy as np

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def hashed(key: int, number: int, draw: int) -> float:
    """A number in [0, 1) that looks random, made from the traffic's key and the request's number.

    splitmix64's finaliser (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014), so
    that a random policy decides alike whatever runs beside it.
    """
    bits = np.uint64(key) + np.uint64(number * 64 + draw + 1) * np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    bits = bits ^ (bits >> np.uint64(31))
    return np.float64(bits >> np.uint64(11)) * 2.0**-53


@kernel
def random_path(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take one of the candidate paths that have a free block, and its lowest start."""
    chosen_path = NOWHERE
    chosen_start = NOWHERE
    seen = 0
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start = first_fit(world, lane, path, width)
            if start != NOWHERE:
                # Keeping the n-th with probability 1/n leaves each equally likely at the end.
                seen += 1
                if hashed(request.key, request.number, seen) * seen < 1.0:
                    chosen_path, chosen_start = path, start
    return chosen_path, chosen_start
