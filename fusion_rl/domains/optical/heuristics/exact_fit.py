"""Exact-fit: a free block of just the width, on the first candidate path that has one; else KSP-FF.

Source: A. Rosa et al., Spectrum allocation policy modeling for elastic optical networks, HONET 2012, where it
chooses among the blocks of one path; here the candidate paths are gone through in their order.
"""

from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import best_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def exact_fit(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the lowest free block that the request fills, on the first path that has one; else as KSP-FF."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, length = best_fit(world, lane, path, width)
            if length == width:
                return path, start
    return ksp_ff(world, lane, request, options)
