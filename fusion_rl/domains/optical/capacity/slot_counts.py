"""Without contiguity and continuity: a service takes any free slots of each link of its path, not the same on all.

All that counts is how many slots of a link are free. The same traffic on the same candidate paths then shows what
fragmentation costs. An estimate, because requests are decided one by one as they come, by a rule of our own: of the
candidate paths with enough slots, the one whose links have most to spare. Wiser decisions may block fewer.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bytes, Ints64
from fusion_rl.domains.optical.capacity.relaxed import NOBODY, begin, end_next
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.orchestrator import (
    ACCEPTED,
    BLOCKED_NO_REACH,
    BLOCKED_NO_SPECTRUM,
    within_reach,
)
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Request, Requests, request_at
from fusion_rl.domains.optical.state import State, lane_of
from fusion_rl.domains.optical.world import World


class SlotCounts(NamedTuple):
    """How many slots are in use."""

    in_use: Ints64  # [L]


def idle(world: World) -> SlotCounts:
    """Nothing in use."""
    return SlotCounts(np.zeros(world.link_length_km.size, np.int64))


@kernel
def occupy(world: World, counts: SlotCounts, path: int, slots: int) -> None:
    """Take slots on every link of a path; a negative number gives them back."""
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        counts.in_use[world.path_links[hop]] += slots


@kernel
def path_cost(world: World, counts: SlotCounts, path: int, width: int) -> float:
    """What the width means to a path: its share of the slots left on a link (and one more), summed over the links.

    Below 0 if some link has too few.
    """
    cost = 0.0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        left = world.slots - counts.in_use[world.path_links[hop]] - width
        if left < 0:
            return -1.0
        cost += width / (left + 1.0)
    return cost


@kernel
def cheapest_path(world: World, counts: SlotCounts, request: Request) -> int:
    """The candidate path of least cost among those with enough slots, of equals the better-ranked; or NOWHERE."""
    best = NOWHERE
    least = 0.0
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = world.path_width[path, request.bandwidth_class]
        if width > 0:
            cost = path_cost(world, counts, path, width)
            if cost >= 0.0 and (best == NOWHERE or cost < least):
                best, least = path, cost
    return best


@kernel
def serve(
    world: World, state: State, counts: SlotCounts, requests: Requests, first: int, last: int, verdict: Bytes
) -> int:
    """Serve requests first..last-1; see `RelaxedNetwork`."""
    lane = lane_of(state, 0)
    for t in range(first, last):
        request = request_at(requests, t)
        gone = end_next(lane, request.arrival)
        while gone != NOBODY:
            occupy(world, counts, lane.service_path[gone], -lane.service_width[gone])
            gone = end_next(lane, request.arrival)
        if lane.live[0] == lane.unused.size:
            return t
        path = cheapest_path(world, counts, request)
        if path == NOWHERE:
            verdict[t] = BLOCKED_NO_SPECTRUM if within_reach(world, request) else BLOCKED_NO_REACH
        else:
            service = begin(lane, request.arrival + request.holding)
            lane.service_path[service] = path
            lane.service_width[service] = world.path_width[path, request.bandwidth_class]
            occupy(world, counts, path, lane.service_width[service])
            verdict[t] = ACCEPTED
    return last
