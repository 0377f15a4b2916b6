"""Serving: the only functions that write a lane's state.

Verdicts are values, not exceptions: a kernel cannot raise, and every request has one.
"""

from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Bytes, Ints
from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.pipelines import bitmap, calendar, spectrum
from fusion_rl.domains.optical.pipelines.demand import as_decided, backup_of, slots_needed, slots_unprotected
from fusion_rl.domains.optical.pipelines.grooming import left_over, plan
from fusion_rl.domains.optical.pipelines.lightpaths import (
    GROOMED,
    REPORT_GROOMED,
    REPORT_INVERSE_SNR,
    SERVED,
    SLICED,
    leave,
    light,
    ride,
    worst_noise,
)
from fusion_rl.domains.optical.pipelines.qot import arrives
from fusion_rl.domains.optical.pipelines.restoration import handle_events
from fusion_rl.domains.optical.pipelines.slicing import split
from fusion_rl.domains.optical.requests import Request, Requests, request_at, rides_whole, with_mbps
from fusion_rl.domains.optical.rules import Rules
from fusion_rl.domains.optical.state import LAST_EVENT, NEXT_EVENT, Lane
from fusion_rl.domains.optical.world import World

ACCEPTED = 0
BLOCKED_NO_SPECTRUM = 1  # some candidate path is within reach, and none that the policy may use has room
BLOCKED_NO_REACH = 2  # no format reaches over any candidate path
REFUSED_DECISION = 3  # the policy asked for spectrum that is in use, or for a path of another pair: its error
BLOCKED_QOT = 4  # there is room, but nowhere that the signal arrives as it must, or leaves others as they must be
BLOCKED_NO_BACKUP = 5  # there is room for one lightpath, but not for two that share no link
VERDICT_NAMES = ("accepted", "spectrum", "reach", "illegal decision", "qot", "protection")


class Decisions(NamedTuple):
    """What was done with each request."""

    verdict: Bytes  # [T]
    path: Ints  # [T] candidate path, -1 if none
    start: Ints  # [T] first slot, -1 if none


def room_for(requests: int) -> Decisions:
    """Arrays that a rollout of so many requests can fill."""
    return Decisions(np.zeros(requests, np.uint8), np.zeros(requests, np.int32), np.zeros(requests, np.int32))


@kernel(inner=True)
def within_reach(world: World, request: Request) -> bool:
    """Whether some format reaches over some candidate path of the request."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        if world.path_width[path, request.bandwidth_class] > 0:
            return True
    return False


@kernel
def handle_release(world: World, lane: Lane, now: float) -> None:
    """Free the spectrum of every service that has departed by `now`, and let links fail that fail until then."""
    _release(world.rules, world, lane, now)


@kernel(inner=True)
def _release(rules: Rules | None, world: World, lane: Lane, now: float) -> None:
    if rules is not None:
        release_with_rules(world, lane, now)
        return
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


@kernel(inline=False, inner=True)
def release_with_rules(world: World, lane: Lane, now: float) -> None:
    """Departures and failures up to `now` in order of time; at one instant departures come first."""
    lightpaths = lane.lightpaths
    while True:
        departure = lane.departure_time[0] if lane.live[0] > 0 else np.inf
        event = np.inf
        if lightpaths.marks[NEXT_EVENT] < lightpaths.marks[LAST_EVENT]:
            event = lightpaths.events[lightpaths.marks[NEXT_EVENT]]["time"]
        if min(departure, event) > now or min(departure, event) == np.inf:  # `now` may be the end of time
            return
        if departure <= event:
            service = wide(calendar.pop(lane, lane.live[0]))
            lane.live[0] -= 1
            lane.unused[lane.unused.size - 1 - lane.live[0]] = service
            leave(world, lane, service)
        else:
            handle_events(world, lane)


@kernel
def after_grooming(world: World, lane: Lane, request: Request) -> Request:
    """A request as policies are to see it: with the bandwidth that running lightpaths do not carry."""
    return _after_grooming(world.rules, world, lane, request)


@kernel(inner=True)
def _after_grooming(rules: Rules | None, world: World, lane: Lane, request: Request) -> Request:
    if rules is None:
        return request
    return with_mbps(request, left_over(world, lane, request, plan(world, lane, request)))


@kernel
def needs_no_decision(world: World, request: Request) -> bool:
    """Whether a request rides on running lightpaths whole, and there is no choice in it."""
    return _needs_no_decision(world.rules, request)


@kernel(inner=True)
def _needs_no_decision(rules: Rules | None, request: Request) -> bool:
    if rules is None:
        return False
    return rides_whole(request) and not rules.grooming_by_action


@kernel
def handle_arrival(world: World, lane: Lane, request: Request, path: int, start: int) -> int:
    """Serve a request on a path from a slot on, or count it blocked if the start is NOWHERE.

    The lane must have room for one more service. Where the network has rules, the request must come from
    `after_grooming`; a request that rides whole needs no path, and one that fits nowhere whole may be split.
    """
    return _arrive(world.rules, world, lane, request, path, start)


@kernel(inner=True)
def _arrive(rules: Rules | None, world: World, lane: Lane, request: Request, path: int, start: int) -> int:
    if rules is not None:
        return arrive_with_rules(world, lane, request, wide(path), wide(start))
    if start == spectrum.NOWHERE:
        return BLOCKED_NO_SPECTRUM if within_reach(world, request) else BLOCKED_NO_REACH
    if not is_legal(world, lane, request, path, start):
        return REFUSED_DECISION
    width = world.path_width[path, request.bandwidth_class]
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        bitmap.add_range(lane.occupied[world.path_links[hop]], start, start + width)
    service = begin(lane, request)
    lane.service_path[service] = path
    lane.service_start[service] = start
    lane.service_width[service] = width
    return ACCEPTED


@kernel(inner=True)
def is_legal(world: World, lane: Lane, request: Request, path: int, start: int) -> bool:
    """Whether a decision is for a candidate path of the request and for slots that it can use there."""
    if not world.path_first[request.pair] <= path < world.path_first[request.pair + 1]:
        return False
    width = slots_needed(world, lane, request, path)
    return width > 0 and spectrum.is_free(world, lane, path, start, width) and arrives(world, lane, path, start, width)


@kernel(inner=True)
def begin(lane: Lane, request: Request) -> int:
    """Put a request's departure into the calendar; returns the number of its service."""
    live = lane.live[0]
    service = lane.unused[lane.unused.size - 1 - live]
    calendar.push(lane, live, request.arrival + request.holding, service)
    lane.live[0] = live + 1
    return int(service)


@kernel(inline=False, inner=True)
def arrive_with_rules(world: World, lane: Lane, request: Request, path: int, start: int) -> int:
    """`handle_arrival` where the network has rules."""
    lightpaths = lane.lightpaths
    lightpaths.report[:] = 0.0
    service = wide(lane.unused[lane.unused.size - 1 - lane.live[0]])
    lightpaths.legs[service] = 0
    parts = plan(world, lane, request)
    if start != spectrum.NOWHERE:
        if not world.path_first[request.pair] <= path < world.path_first[request.pair + 1]:
            return REFUSED_DECISION
        request = as_decided(world, request, path)
        if not world.rules.path_grooms[path]:
            parts = 0
    mbps = wide(request.mbps)
    if mbps > 0 and start != spectrum.NOWHERE:
        if not is_legal(world, lane, request, path, start):
            return REFUSED_DECISION
        light_whole(world, lane, request, service, path, start, mbps)
    elif mbps > 0:
        reason = why_blocked(world, lane, request)
        if reason == ACCEPTED:  # it fits whole, and the policy did not want it
            return BLOCKED_NO_SPECTRUM
        if not split(world, lane, request, service, mbps):
            return reason
        lightpaths.counters[SLICED] += 1
    lightpaths.report[REPORT_INVERSE_SNR] = worst_noise(world, lane, service)
    for i in range(parts):
        part = lightpaths.plan[i]
        ride(lane, service, part["lightpath"], part["mbps"])
        lightpaths.report[REPORT_GROOMED] += part["mbps"]
    lightpaths.counters[GROOMED] += parts > 0
    lightpaths.counters[SERVED] += 1
    begin(lane, request)
    return ACCEPTED


@kernel(inner=True)
def light_whole(world: World, lane: Lane, request: Request, service: int, path: int, start: int, mbps: int) -> None:
    """Light what a decision asks for, and its backup where the network protects."""
    width = slots_needed(world, lane, request, path)
    backup, backup_start = wide(spectrum.NOWHERE), wide(spectrum.NOWHERE)
    if world.rules.protected:
        backup, backup_start = backup_of(world, lane, request, path)
    light(world, lane, request, service, path, start, width, mbps)
    if world.rules.protected:
        width = wide(world.path_width[backup, request.bandwidth_class])
        light(world, lane, request, service, backup, backup_start, width, mbps)


@kernel(inline=False, inner=True)
def why_blocked(world: World, lane: Lane, request: Request) -> int:
    """Why a request fits on no candidate whole; ACCEPTED if it does fit on one."""
    reason = BLOCKED_NO_REACH
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_unprotected(world, request, path)
        if width == 0:
            continue
        if reason == BLOCKED_NO_REACH:
            reason = BLOCKED_NO_SPECTRUM
        if spectrum.first_fit(world, lane, path, width) != spectrum.NOWHERE:
            if slots_needed(world, lane, request, path) > 0:
                return ACCEPTED
            reason = BLOCKED_NO_BACKUP
        elif reason == BLOCKED_NO_SPECTRUM and spectrum.has_room(world, lane, path, width):
            reason = BLOCKED_QOT
    return reason


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
        request = after_grooming(world, lane, request)
        if needs_no_decision(world, request):
            path, start = spectrum.NOWHERE, spectrum.NOWHERE
        else:
            path, start = policy(world, lane, request, options)
        out.verdict[t] = handle_arrival(world, lane, request, path, start)
        out.path[t] = path
        out.start[t] = start
    return last
