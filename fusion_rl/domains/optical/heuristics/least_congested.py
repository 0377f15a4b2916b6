"""Least-congested path: the candidate path whose busiest link is the least busy, lowest start."""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, busiest_link_slots, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def least_congested(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Of the candidate paths with room, take the one with the fewest slots in use on its busiest link.

    Of equal ones the better-ranked wins.
    """
    best_path = NOWHERE
    best_start = NOWHERE
    least_used = world.slots + 1
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            used = busiest_link_slots(world, lane, path)
            if used < least_used:
                start = first_fit(world, lane, path, width)
                if start != NOWHERE:
                    best_path, best_start, least_used = path, start, used
    return best_path, best_start
