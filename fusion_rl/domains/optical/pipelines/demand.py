"""Demand: the slots that a request takes on a candidate path, as things stand."""

import math

from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.pipelines import spectrum
from fusion_rl.domains.optical.requests import Request, rides_whole, with_mbps
from fusion_rl.domains.optical.rules import Rules
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def slots_needed(world: World, lane: Lane, request: Request, path: int) -> int:
    """Slots that a request takes on a candidate path, guard slots included; 0 where it needs or can use none.

    A candidate cannot be used where no format reaches, or where the network protects and no candidate that
    shares no link with it has room. A request that rides on running lightpaths whole needs none.
    """
    return _slots_needed(world.rules, world, lane, request, path)


@kernel(inner=True)
def _slots_needed(rules: Rules | None, world: World, lane: Lane, request: Request, path: int) -> int:
    width = wide(world.path_width[path, request.bandwidth_class])
    if rules is None:
        return width
    if width == 0 or request.mbps == 0:
        return 0
    if rules.protected and backup_of(world, lane, request, path)[1] == spectrum.NOWHERE:
        return 0
    return slots_unprotected(world, request, path)


@kernel(inner=True)
def slots_unprotected(world: World, request: Request, path: int) -> int:
    """The same for a request that does not ride whole, whether there is a backup or not."""
    return _slots_unprotected(world.rules, world, request, path)


@kernel(inner=True)
def _slots_unprotected(rules: Rules | None, world: World, request: Request, path: int) -> int:
    width = wide(world.path_width[path, request.bandwidth_class])
    if rules is None:
        return width
    if width == 0:
        return 0
    if rules.path_grooms[path] and request.mbps < rules.class_mbps[request.bandwidth_class]:
        return slots_for(world, path, request.mbps)
    return width


@kernel(inner=True)
def as_decided(world: World, request: Request, path: int) -> Request:
    """A request as a candidate is to carry it: all of it, where the candidate says not to ride first."""
    return _as_decided(world.rules, request, path)


@kernel(inner=True)
def _as_decided(rules: Rules | None, request: Request, path: int) -> Request:
    if rules is None or path == spectrum.NOWHERE or rules.path_grooms[path]:
        return request
    return with_mbps(request, rules.class_mbps[request.bandwidth_class])


@kernel(inner=True)
def can_serve(world: World, lane: Lane, request: Request, path: int, width: int) -> bool:
    """Whether a decision for a candidate, on which the request takes `width` slots, serves it."""
    if rides_whole(request):
        return path != spectrum.NOWHERE
    return width > 0 and spectrum.first_fit(world, lane, path, width) != spectrum.NOWHERE


@kernel(inner=True)
def slots_for(world: World, path: int, mbps: int) -> int:
    """Slots that a bit rate takes on a candidate within reach, guard slots included."""
    return math.ceil(mbps / world.rules.slot_mbps[path] - 1e-9) + world.rules.guard_slots


@kernel(inline=False, inner=True)
def backup_of(world: World, lane: Lane, request: Request, path: int) -> tuple[int, int]:
    """The first candidate with room that shares no edge with a path, and its lowest start; NOWHERE if none."""
    first = world.path_first[request.pair]
    for other in range(first, world.path_first[request.pair + 1]):
        width = wide(world.path_width[other, request.bandwidth_class])
        if width > 0 and world.rules.disjoint[path, other - first]:
            start = spectrum.first_fit(world, lane, other, width)
            if start != spectrum.NOWHERE:
                return other, start
    return spectrum.NOWHERE, spectrum.NOWHERE


@kernel
def routes_of(world: World, pair: int) -> int:
    """Routes that a pair has."""
    return (world.path_first[pair + 1] - world.path_first[pair]) // world.formats


@kernel
def on_route(world: World, lane: Lane, request: Request, rank: int) -> tuple[int, int]:
    """The candidate that a request would use on a route, and the slots that it takes there.

    Of the route's formats the first with room; without room the first that can be used at all; width 0 where none
    can, or where there is no such route.
    """
    path = world.path_first[request.pair] + rank * world.formats
    if rank < 0 or path >= world.path_first[request.pair + 1]:
        return spectrum.NOWHERE, 0
    if world.formats == 1:
        return path, slots_needed(world, lane, request, path)
    return _of_formats(world, lane, request, path)


@kernel(inline=False, inner=True)
def _of_formats(world: World, lane: Lane, request: Request, first: int) -> tuple[int, int]:
    best, best_width = first, 0
    for path in range(first, first + world.formats):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            if spectrum.first_fit(world, lane, path, width) != spectrum.NOWHERE:
                return path, width
            if best_width == 0:
                best, best_width = path, width
    return best, best_width
