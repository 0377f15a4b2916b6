"""FF-KSP: the lowest start over all candidate paths."""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def ff_ksp(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the lowest start that any candidate path offers; of equal ones the better-ranked path's."""
    best_path = NOWHERE
    best_start = NOWHERE
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start = first_fit(world, lane, path, width)
            if start != NOWHERE and (best_start == NOWHERE or start < best_start):
                best_path = path
                best_start = start
    return best_path, best_start
