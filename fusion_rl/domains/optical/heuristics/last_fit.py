"""Last-fit: the first candidate path with room, highest start.

Source: the mirror image of first-fit; B. Chatterjee, N. Sarma and E. Oki, Routing and spectrum allocation in
elastic optical networks: a tutorial, IEEE Communications Surveys & Tutorials 17(3), 2015.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def last_fit(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the first candidate path that has a free block, and its highest start."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            find_starts(world, lane, path, width)
            last = NOWHERE
            start = bitmap.next_set(lane.free, 0)
            while start < world.slots:
                # The last slot of this run of starts; a later run, if there is one, is higher.
                last = bitmap.next_clear(lane.free, start) - 1
                start = bitmap.next_set(lane.free, last + 1)
            if last != NOWHERE:
                return path, last
    return NOWHERE, NOWHERE
