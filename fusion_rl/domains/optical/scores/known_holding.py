"""Learned slot-capacity loss where requests tell how long they are going to stay, so what runs now is known to leave.

The losses of `slot_capacity` are added up once more on the network as it will be in 0.25, 0.5 .. 2 mean holding times,
if nothing else came, as long as the request stays; each weighted by future x exp(-decay x time / mean).

Times are rounded to 32 bits, as the observation `spectrum-known-holding` tells them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Floats32, Ints64, Words
from fusion_rl.domains.optical.heuristics.mscl import Capacities, notice
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.scores import slot_capacity
from fusion_rl.domains.optical.scores.slot_capacity import Losses, smallest, weighted_losses
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError

TIMES = 8
SPACING = 0.25  # mean holding times
_FIRST = {"future": 0.5, "decay": 1.0}
_LARGEST = 20.0  # exponents are kept within this
_REMEMBERED = (
    "rows",
    "known_free",
    "changed",
    "link_known",
    "stale",
    "near_set",
    "near",
    "mended",
)


class Forecast(NamedTuple):
    """Losses now and at times to come."""

    now: Losses
    ahead: Losses  # its arrays that remember have an axis T in front
    occupied: Words  # [T, L, W] slots in use at these times
    times: Floats32  # [T] from now
    weights: Floats32  # [T]
    reached: Ints64  # [1] times at which the request at hand is still there
    summed: Floats32  # room for the losses of starts, summed over times


def parameters(world: World) -> dict[str, float]:
    """As `slot_capacity`, with a future that begins to count."""
    return slot_capacity.parameters(world) | _FIRST


def prepare(world: World, given: Mapping[str, float], mean_holding_time: float) -> Forecast:
    """Room for one lane with these parameters.

    Raises:
        ConfigError: services share lightpaths, so that it cannot be known what will be free.
    """
    if world.rules is not None:
        raise ConfigError(
            "score slot-capacity-known-holding needs a network where each service has its own lightpath: no grooming,"
            " slicing, protection, transmission or failures"
        )
    now = slot_capacity.prepare(world, given, mean_holding_time)
    apart = {name: np.stack([getattr(now.capacities, name)] * TIMES) for name in _REMEMBERED}
    times = SPACING * np.arange(1, TIMES + 1)
    future, decay = ({**_FIRST, **given}[name] for name in _FIRST)
    return Forecast(
        now=now,
        ahead=now._replace(
            capacities=now.capacities._replace(**apart), weighted=np.zeros((TIMES, *now.weighted.shape), np.float32)
        ),
        occupied=np.zeros((TIMES, world.link_length_km.size, world.beyond.size), np.uint64),
        times=(mean_holding_time * times).astype(np.float32),
        weights=(future * np.exp(np.clip(-decay * times, -_LARGEST, _LARGEST))).astype(np.float32),
        reached=np.zeros(1, np.int64),
        summed=np.zeros_like(now.losses),
    )


@kernel
def look_ahead(world: World, lane: Lane, request: Request, options: Forecast) -> None:
    """Work out what will be in use at the times that the request reaches, and note how many these are."""
    times, reached = options.times, 0
    holding = np.float32(request.holding)
    while reached < TIMES and times[reached] < holding:
        for link in range(options.occupied.shape[1]):
            for word in range(options.occupied.shape[2]):
                options.occupied[reached, link, word] = world.beyond[word]
        reached += 1
    options.reached[0] = reached
    for i in range(lane.live[0]):
        left, service = np.float32(lane.departure_time[i] - request.arrival), lane.departing[i]
        path, start = lane.service_path[service], lane.service_start[service]
        end = start + lane.service_width[service]
        for j in range(reached):
            if left <= times[j]:
                break
            for hop in range(world.link_first[path], world.link_first[path + 1]):
                bitmap.add_range(options.occupied[j, world.path_links[hop]], start, end)
    for j in range(reached):
        notice(options.occupied[j], at_time(options.ahead, j).capacities)


@kernel
def at_time(ahead: Losses, j: int) -> Losses:
    """A view of what is remembered of one time to come."""
    of_all = ahead.capacities
    return Losses(
        Capacities(
            of_all.route_path,
            of_all.route_first,
            of_all.route_links,
            of_all.link_routes,
            of_all.route_kind,
            of_all.value,
            of_all.value_backwards,
            of_all.rows[j],
            of_all.known_free[j],
            of_all.changed[j],
            of_all.link_known[j],
            of_all.stale[j],
            of_all.near_set[j],
            of_all.near[j],
            of_all.mended[j],
        ),
        ahead.weighted[j],
        ahead.losses,
        ahead.unit,
        ahead.routes,
        ahead.base,
        ahead.scarcity,
        ahead.link_weight,
        ahead.terms,
    )


@kernel
def add_up_over_time(world: World, lane: Lane, options: Forecast, path: int, first: int, last: int, width: int) -> None:
    """The losses in the network as it is and as it will be."""
    weighted_losses(world, lane.occupied, options.now, path, first, last, width)
    summed, here, size = options.summed, options.now.losses, last - first + 1
    for x in range(size):
        summed[x] = here[x]
    for j in range(options.reached[0]):
        then = at_time(options.ahead, j)
        weighted_losses(world, options.occupied[j], then, path, first, last, width)
        more, weight = then.losses, options.weights[j]
        for x in range(size):
            summed[x] += weight * more[x]


@kernel
def slot_capacity_known_holding(world: World, lane: Lane, request: Request, options: Forecast) -> tuple[int, int]:
    """Take the path and start of the smallest score, times to come included."""
    notice(lane.occupied, options.now.capacities)
    look_ahead(world, lane, request, options)
    return smallest(world, lane, request, options.now, options.summed, add_up_over_time, options)
