"""KSP best-fit: the first candidate path with room, in its shortest free block that is long enough."""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, best_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def ksp_bf(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the first candidate path with room, and the start of its tightest block."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, _ = best_fit(world, lane, path, width)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
