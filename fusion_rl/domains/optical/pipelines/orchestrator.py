"""Serving: the only functions that write a lane's state.

Verdicts are values, not exceptions: a kernel cannot raise, and every request has one.
"""

from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Bytes, Ints
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap, calendar, spectrum
from fusion_rl.domains.optical.requests import Request, Requests, request_at
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

ACCEPTED = 0
BLOCKED_NO_SPECTRUM = 1  # some candidate path is within reach, and none that the policy may use has room
BLOCKED_NO_REACH = 2  # no format reaches over any candidate path
REFUSED_DECISION = 3  # the policy asked for spectrum that is in use, or for a path of another pair: its error
VERDICT_NAMES = ("accepted", "spectrum", "reach", "illegal decision")


class Decisions(NamedTuple):
    """What was done with each request."""

    verdict: Bytes  # [T]
    path: Ints  # [T] candidate path, -1 if none
    start: Ints  # [T] first slot, -1 if none


def room_for(requests: int) -> Decisions:
    """Arrays that a rollout of so many requests can fill."""
    return Decisions(np.zeros(requests, np.uint8), np.zeros(requests, np.int32), np.zeros(requests, np.int32))


@kernel
def within_reach(world: World, request: Request) -> bool:
    """Whether some format reaches over some candidate path of the request."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        if world.path_width[path, request.bandwidth_class] > 0:
            return True
    return False


@kernel
def handle_release(world: World, lane: Lane, now: float) -> None:
    """Free the spectrum of every service that has departed by `now`."""
    live = lane.live[0]
    while live > 0 and lane.departure_time[0] <= now:
        service = calendar.pop(lane, live)
        live -= 1
        lane.unused[lane.unused.size - 1 - live] = service
        path = lane.service_path[service]
        start = lane.service_start[service]
        end = start + lane.service_width[service]
        for hop in range(world.link_first[path], world.link_first[path + 1]):
            bitmap.remove_range(lane.occupied[world.path_links[hop]], start, end)
    lane.live[0] = live


@kernel
def handle_arrival(world: World, lane: Lane, request: Request, path: int, start: int) -> int:
    """Serve a request on a path from a slot on, or count it blocked if the start is NOWHERE.

    The lane must have room for one more service.
    """
    if start == spectrum.NOWHERE:
        return BLOCKED_NO_SPECTRUM if within_reach(world, request) else BLOCKED_NO_REACH
    if not world.path_first[request.pair] <= path < world.path_first[request.pair + 1]:
        return REFUSED_DECISION
    width = world.path_width[path, request.bandwidth_class]
    if width == 0 or not spectrum.is_free(world, lane, path, start, width):
        return REFUSED_DECISION
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        bitmap.add_range(lane.occupied[world.path_links[hop]], start, start + width)
    live = lane.live[0]
    service = lane.unused[lane.unused.size - 1 - live]
    lane.service_path[service] = path
    lane.service_start[service] = start
    lane.service_width[service] = width
    calendar.push(lane, live, request.arrival + request.holding, service)
    lane.live[0] = live + 1
    return ACCEPTED


@kernel
def rollout(
    world: World,
    lane: Lane,
    requests: Requests,
    policy: Any,
    options: Any,
    first: int,
    last: int,
    out: Decisions,
) -> int:
    """Serve requests first..last-1 as a policy decides.

    Args:
        policy: kernel (world, lane, request, options) -> (path, start), start NOWHERE for a refusal.
        options: what the policy is to be told, of any type that Numba knows.
        out: receives what was done, row t for request t.

    Returns:
        The request before which the rollout stopped: `last`, or an earlier one because the lane has no room
        for another running service.
    """
    capacity = lane.unused.size
    for t in range(first, last):
        request = request_at(requests, t)
        handle_release(world, lane, request.arrival)
        if lane.live[0] == capacity:
            return t
        path, start = policy(world, lane, request, options)
        out.verdict[t] = handle_arrival(world, lane, request, path, start)
        out.path[t] = path
        out.start[t] = start
    return last
