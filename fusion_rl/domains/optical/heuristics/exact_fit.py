"""Exact-fit: the first candidate path with room, in the lowest free block that the request fills; else first-fit.

Like first-fit, it chooses among the blocks of one path: the next path is tried only where the request fits nowhere on
this one. Source: A. Rosa et al., Spectrum allocation policy modeling for elastic optical networks, HONET 2012, and
B. Chatterjee and E. Oki, Elastic Optical Networks, CRC Press 2020, chapter 6: the lowest block of exactly the slots
asked for, and first-fit if there is none.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, best_fit, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def exact_fit(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the first candidate path with room: its lowest block of just the width, or else its lowest start."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, length = best_fit(world, lane, path, width)
            if length == width:
                return path, start
            start = first_fit(world, lane, path, width)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
