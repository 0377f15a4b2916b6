"""Shortest available path: of the candidate paths with room the shortest in km, lowest start.

Source: C. Natalino and P. Monti, The Optical RL-Gym, ICTON 2020. The same as KSP-FF where paths are ordered by km.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def sap_ff(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the shortest candidate path that has a free block; of equally long ones the better-ranked."""
    best_path = NOWHERE
    best_start = NOWHERE
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0 and (best_path == NOWHERE or world.path_length_km[path] < world.path_length_km[best_path]):
            start = first_fit(world, lane, path, width)
            if start != NOWHERE:
                best_path, best_start = path, start
    return best_path, best_start
