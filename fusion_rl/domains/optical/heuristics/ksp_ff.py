"""KSP-FF: the first candidate path with room, lowest start."""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def ksp_ff(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the first candidate path that has a free block, and its lowest start."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start = first_fit(world, lane, path, width)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
