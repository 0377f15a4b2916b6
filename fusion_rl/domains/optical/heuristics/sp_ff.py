"""SP-FF: the best-ranked candidate path alone, lowest start."""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import on_route
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def sp_ff(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the lowest start on the first candidate path, or refuse."""
    path, width = on_route(world, lane, request, 0)
    if width == 0:
        return NOWHERE, NOWHERE
    start = first_fit(world, lane, path, width)
    if start == NOWHERE:
        return NOWHERE, NOWHERE
    return path, start
