"""Slicing: a request that fits nowhere whole is split over several new lightpaths, all of it or nothing.

equal: 2, 3 ... parts of one size (the last is what is left), each on the first candidate path with room, lowest
start; the fewest parts that all find room are taken. greedy: part after part where most of what is left can be
carried in one free block of a path, from its lowest slot; of equal offers the better-ranked path, then the lower start.
"""

from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.pipelines import bitmap, spectrum
from fusion_rl.domains.optical.pipelines.demand import slots_for
from fusion_rl.domains.optical.pipelines.lightpaths import (
    LIT,
    capacity_mbps,
    leave,
    light,
)
from fusion_rl.domains.optical.pipelines.qot import arrives
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel(inline=False, inner=True)
def split(world: World, lane: Lane, request: Request, service: int, mbps: int) -> bool:
    """Light lightpaths for so many Mb/s of a service without legs; False, and nothing lit, if they do not fit."""
    if world.rules.greedy:
        if split_greedily(world, lane, request, service, mbps):
            return True
        take_back(world, lane, service)
        return False
    for segments in range(2, world.rules.segments + 1):
        if split_equally(world, lane, request, service, mbps, segments):
            return True
        take_back(world, lane, service)
    return False


@kernel(inner=True)
def take_back(world: World, lane: Lane, service: int) -> None:
    """Undo what was lit for a service, as if it had never been."""
    lightpaths = lane.lightpaths
    lightpaths.counters[LIT] -= lightpaths.legs[service]
    lightpaths.report[:] = 0.0
    leave(world, lane, service)


@kernel(inline=False, inner=True)
def split_equally(world: World, lane: Lane, request: Request, service: int, mbps: int, segments: int) -> bool:
    """Light parts of one size, each on the first candidate path with room, until one finds none."""
    part = -(-mbps // segments)
    left = mbps
    while left > 0:
        carried = min(part, left)
        found = False
        for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
            if not found and world.path_width[path, request.bandwidth_class] > 0:
                width = slots_for(world, path, carried)
                start = spectrum.first_fit(world, lane, path, width)
                if start != spectrum.NOWHERE:
                    light(world, lane, request, service, wide(path), wide(start), wide(width), wide(carried))
                    found = True
        if not found:
            return False
        left -= carried
    return True


@kernel(inline=False, inner=True)
def split_greedily(world: World, lane: Lane, request: Request, service: int, mbps: int) -> bool:
    """Light the largest parts that there is room for, one after the other."""
    left = mbps
    for _ in range(world.rules.segments):
        best_path, best_start, most = 0, spectrum.NOWHERE, 0
        for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
            if world.path_width[path, request.bandwidth_class] > 0:
                start, carried = largest_part(world, lane, path, left)
                if carried > most:
                    best_path, best_start, most = path, start, carried
        if most == 0:
            return False
        width = wide(slots_for(world, best_path, most))
        light(world, lane, request, service, wide(best_path), wide(best_start), width, wide(most))
        left -= most
        if left == 0:
            return True
    return False


@kernel(inner=True)
def largest_part(world: World, lane: Lane, path: int, mbps: int) -> tuple[int, int]:
    """Where on a path the most of `mbps` can be carried, and how much: (start, Mb/s); (NOWHERE, 0) if nothing."""
    spectrum.find_free(world, lane, path)
    best, most = spectrum.NOWHERE, 0
    start = bitmap.next_set(lane.free, 0)
    while start < world.slots:
        end = bitmap.next_clear(lane.free, start)
        carried = min(mbps, capacity_mbps(world, path, end - start))
        if carried > most and arrives(world, lane, path, start, slots_for(world, path, carried)):
            best, most = start, carried
        start = bitmap.next_set(lane.free, end)
    return best, most
