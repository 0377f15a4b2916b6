"""Slot-capacity loss with learned weights; it begins as `mscl` on the first paths.

The score of a block of n slots at s on a path of h hops is, times 0.01,

    sum over routes r that share a link with the path of  h_r ** hops x exp(scarcity y + scarcity_squared y^2) loss_r
    + sum over the path's links l of  10 exp(load u_l) loss_l
    + 10 (spectrum h n + width_load n sum u + width_squared_load n sum u^2 + width_max_load n max u + width n + rank k)
    + 100 (path_hops h + start s / S)

with u_l the utilisation of a link, y = 1 - V / V of the idle route, and k the path's rank. loss_r is that of `mscl`,
its widths weighted by exp(width/format/slots), and loss_l has a weight of its own for each width of 1 to 10 slots,
link_width/slots. All starts are weighed. A link is kept as one more route over it; so all rows are added up alike.

Where requests tell how long they are going to stay, what runs now is known to leave. The route and link losses are
then added up once more on the network as it will be at times on a grid, a quarter of the mean holding time apart and
no more than 8 of them, before the request leaves, each weighted by future x exp(-decay x time from now / mean).
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Floats, Floats32, Ints64, Words
from fusion_rl.domains.optical.heuristics.mscl import (
    Capacities,
    add_rows,
    best_routes,
    find_near,
    links_of,
    room_for_routes,
)
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts, link_slots
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError

PATHS = 10  # that are weighed, if any of them has room
LINK_WIDTHS = 10
LAYERS = 8
LAYER_SPACING = 0.25  # of the mean holding time
_STEEPEST = 20.0  # exponents are kept within this, so that no weight overflows
_SHAPE = ("hops", "scarcity", "scarcity_squared", "load")
_TERMS = (
    "spectrum",
    "path_hops",
    "width_load",
    "width_squared_load",
    "width_max_load",
    "width",
    "rank",
    "start",
)


class Losses(NamedTuple):
    """Routes and links with learned weights, and what is remembered of one state of a lane."""

    capacities: Capacities  # routes first, then links; rows without the weight of the route
    weighted: Floats32  # [R + L + 1, 2 S] the rows with it
    run_value: Floats32  # [kinds, S + 1] V of a run
    routes: int  # R
    base: Floats32  # [R] the part of a route's weight that stays
    scarcity: Floats  # [2]
    link_weight: Floats32  # [S + 1] by slots in use
    terms: Floats  # [8] weights of the terms that are no losses


class Forecast(NamedTuple):
    """Losses now and at times to come."""

    now: Losses
    ahead: Losses  # its arrays that remember have an axis LAYERS in front
    occupied: Words  # [LAYERS, L, W] slots in use at these times
    times: Floats  # [LAYERS]
    weights: Floats  # [LAYERS] 0 where the request has left
    before: Ints64  # [LAYERS] running numbers of paths when the request arrived
    sums: Floats32  # [2 S] room for the sums over times
    spacing: float
    future: float
    decay: float


def parameters(world: World) -> dict[str, float]:
    """As `mscl`: all routes and widths count alike, and nothing else."""
    names = [*_width_names(world), *(f"link_width/{m}" for m in range(1, LINK_WIDTHS + 1)), *_SHAPE, *_TERMS]
    return dict.fromkeys(names, 0.0)


def known_holding_parameters(world: World) -> dict[str, float]:
    """The same, with a future that begins to count."""
    return parameters(world) | {"future": 0.5, "decay": 1.0}


def prepare(world: World, given: Mapping[str, float], mean_holding_time: float) -> Losses:
    """Room for one lane with these parameters."""
    routes = best_routes(world)
    first, links = links_of(world, routes)
    all_links = np.arange(world.link_length_km.size)
    formats = _formats(world)
    kinds = np.array([formats.index(float(world.path_efficiency[route])) for route in routes], np.int64)
    ways = [_weight_of_widths(world, given, efficiency) for efficiency in formats]
    ways.append(np.array([given.get(f"link_width/{m}", 0.0) if m <= LINK_WIDTHS else 0.0 for m in _up_to(world.slots)]))
    fitting = np.cumsum(np.array(ways), axis=1)
    capacities = room_for_routes(
        world,
        routes,
        np.append(first, first[-1] + 1 + all_links),
        np.append(links, all_links),
        np.append(kinds, np.full(all_links.size, len(formats))),
        fitting.astype(np.float32),
    )
    hops, scarcity, squared, load = (given.get(name, 0.0) for name in _SHAPE)
    return Losses(
        capacities=capacities,
        weighted=np.zeros(capacities.placements.shape, np.float32),
        run_value=np.pad(np.cumsum(fitting, axis=1), ((0, 0), (1, 0))).astype(np.float32),
        routes=routes.size,
        base=(world.path_hops[routes] ** np.clip(hops, -_STEEPEST, _STEEPEST)).astype(np.float32),
        scarcity=np.array([scarcity, squared]),
        link_weight=(
            10.0 * np.exp(np.clip(load * np.arange(world.slots + 1) / world.slots, -_STEEPEST, _STEEPEST))
        ).astype(np.float32),
        terms=np.array([given.get(name, 0.0) for name in _TERMS])
        * np.array([10.0, 100.0, 10.0, 10.0, 10.0, 10.0, 10.0, 100.0 / world.slots]),
    )


def prepare_known_holding(world: World, given: Mapping[str, float], mean_holding_time: float) -> Forecast:
    """The same, with the times to come.

    Raises:
        ConfigError: services share lightpaths, so that it cannot be known what will be free.
    """
    if world.rules is not None:
        raise ConfigError(
            "score slot-capacity-known-holding needs a network where each service has its own lightpath: no grooming,"
            " slicing, protection, transmission or failures"
        )
    now = prepare(world, given, mean_holding_time)
    ahead = now.capacities
    remembered = ("placements", "known_free", "changed", "seen", "paths_scored", "near", "mended", "sums")
    layered = {name: np.stack([getattr(ahead, name)] * LAYERS) for name in remembered}
    return Forecast(
        now=now,
        ahead=now._replace(
            capacities=ahead._replace(**layered), weighted=np.zeros((LAYERS, *now.weighted.shape), np.float32)
        ),
        occupied=np.zeros((LAYERS, world.link_length_km.size, world.beyond.size), np.uint64),
        times=np.zeros(LAYERS),
        weights=np.zeros(LAYERS),
        before=np.zeros(LAYERS, np.int64),
        sums=np.zeros(2 * world.slots, np.float32),
        spacing=LAYER_SPACING * mean_holding_time,
        future=given.get("future", 0.5),
        decay=given.get("decay", 1.0),
    )


def _up_to(slots: int) -> range:
    return range(1, slots + 1)


def _formats(world: World) -> list[float]:
    """The spectral efficiencies of the routes."""
    return sorted({float(value) for value in world.path_efficiency[best_routes(world)]})


def _widths_of(world: World, efficiency: float) -> list[int]:
    """Widths that requests have on the routes of a format."""
    routes = best_routes(world)
    widths = np.unique(world.path_width[routes[world.path_efficiency[routes] == np.float32(efficiency)]])
    return [int(width) for width in widths if 0 < width <= world.slots]


def _name(efficiency: float, width: int) -> str:
    return f"width/{efficiency:g}/{width}"


def _width_names(world: World) -> list[str]:
    return [_name(one, width) for one in _formats(world) for width in _widths_of(world, one)]


def _weight_of_widths(world: World, given: Mapping[str, float], efficiency: float) -> Any:
    """Weight of each width 1 .. S on the routes of a format."""
    weight = np.zeros(world.slots)
    for width in _widths_of(world, efficiency):
        weight[width - 1] = np.exp(np.clip(given.get(_name(efficiency, width), 0.0), -_STEEPEST, _STEEPEST))
    return weight


@kernel
def weigh(world: World, losses: Losses, entry: int) -> None:
    """Bring the weighted row of a route or a link up to date with its row."""
    known = losses.capacities.known_free[entry]
    if entry >= losses.routes:
        weight = losses.link_weight[world.slots - bitmap.count(known)]
    else:
        value = losses.run_value[losses.capacities.route_kind[entry]]
        now = np.float32(0.0)
        start = bitmap.next_set(known, 0)
        while start < world.slots:
            end = bitmap.next_clear(known, start)
            now += value[end - start]
            start = bitmap.next_set(known, end)
        y = 1.0 - now / value[world.slots] if value[world.slots] > 0 else 0.0
        steepness = losses.scarcity[0] * y + losses.scarcity[1] * y * y
        weight = losses.base[entry] * np.float32(math.exp(min(max(steepness, -_STEEPEST), _STEEPEST)))
    row, weighted = losses.capacities.placements[entry], losses.weighted[entry]
    for x in range(row.size):
        weighted[x] = weight * row[x]


@kernel
def sum_weighted(world: World, occupied: Words, losses: Losses, path: int, before: int) -> None:
    """Leave the weighted rows of the routes that share a link with a path, and of its links, added up, in the sums."""
    capacities = losses.capacities
    count = find_near(world, occupied, capacities, path, before)
    for i in range(capacities.mended[0]):
        weigh(world, losses, capacities.mended[1 + i])
    add_rows(capacities, losses.weighted, count)


@kernel
def constant(world: World, lane: Lane, losses: Losses, path: int, rank: int, width: int) -> float:
    """The terms that no start changes."""
    total, squares, largest = 0.0, 0.0, 0.0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        use = link_slots(world, lane, world.path_links[hop]) / world.slots
        total += use
        squares += use * use
        largest = max(largest, use)
    hops, terms = world.path_hops[path], losses.terms
    by_width = terms[0] * hops + terms[2] * total + terms[3] * squares + terms[4] * largest + terms[5]
    return by_width * width + terms[1] * hops + terms[6] * rank  # type: ignore[no-any-return]


@kernel
def smallest_start(world: World, lane: Lane, sums: Floats32, width: int, step: float) -> tuple[int, float]:
    """Of the starts in lane.free the one of smallest loss by the sums, `step` added for each slot; and its score."""
    starting, ending = sums[: world.slots], sums[world.slots :]
    loss = 0.0
    for slot in range(width):
        loss += float(starting[slot])
    best, least, here = NOWHERE, 0.0, 0
    start = bitmap.next_set(lane.free, 0)
    while start < world.slots:
        entering, leaving = starting[here + width : start + width], ending[here:start]
        for i in range(start - here):
            loss += float(entering[i]) - float(leaving[i])
        value = loss + step * start
        if best == NOWHERE or value < least:
            best, least = start, value
        here = start
        start = bitmap.next_set(lane.free, start + 1)
    return best, least


@kernel
def slot_capacity(world: World, lane: Lane, request: Request, options: Losses) -> tuple[int, int]:
    """Take the path and start of the smallest score."""
    before = options.capacities.paths_scored[0]
    best_path, best, least = NOWHERE, NOWHERE, 0.0
    for rank in range(routes_of(world, request.pair)):
        if rank >= PATHS and best != NOWHERE:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_starts(world, lane, path, width)
        if bitmap.next_set(lane.free, 0) >= world.slots:
            continue
        sum_weighted(world, lane.occupied, options, path, before)
        start, value = smallest_start(world, lane, options.capacities.sums, width, options.terms[7])
        value += constant(world, lane, options, path, rank, width)
        if best == NOWHERE or value < least:
            best_path, best, least = path, start, value
    return best_path, best


@kernel
def layer(ahead: Losses, j: int) -> Losses:
    """A view of what is remembered of one time to come."""
    of_all = ahead.capacities
    capacities = Capacities(
        of_all.route_path,
        of_all.route_first,
        of_all.route_links,
        of_all.link_first,
        of_all.link_routes,
        of_all.route_kind,
        of_all.fitting,
        of_all.fitting_backwards,
        of_all.placements[j],
        of_all.known_free[j],
        of_all.changed[j],
        of_all.seen[j],
        of_all.paths_scored[j],
        of_all.near[j],
        of_all.mended[j],
        of_all.sums[j],
    )
    return Losses(
        capacities,
        ahead.weighted[j],
        ahead.run_value,
        ahead.routes,
        ahead.base,
        ahead.scarcity,
        ahead.link_weight,
        ahead.terms,
    )


@kernel
def look_ahead(world: World, lane: Lane, request: Request, options: Forecast) -> None:
    """Work out what will be in use at the times on the grid before the request leaves.

    A time keeps its layer until it has passed, so that rows have to be mended for new services alone.
    """
    passed = int(request.arrival / options.spacing)
    for number in range(passed + 1, passed + 1 + LAYERS):
        j = number % LAYERS
        time = number * options.spacing
        options.times[j] = time
        ahead = (time - request.arrival) / (4.0 * options.spacing)  # in mean holding times
        leaves = request.arrival + request.holding
        exponent = min(max(-options.decay * ahead, -_STEEPEST), _STEEPEST)
        options.weights[j] = options.future * math.exp(exponent) if time < leaves else 0.0
        options.before[j] = options.ahead.capacities.paths_scored[j, 0]
        if time < leaves:
            for link in range(options.occupied.shape[1]):
                for word in range(options.occupied.shape[2]):
                    options.occupied[j, link, word] = world.beyond[word]
    for i in range(lane.live[0]):
        departure, service = lane.departure_time[i], lane.departing[i]
        path, start = lane.service_path[service], lane.service_start[service]
        end = start + lane.service_width[service]
        for j in range(LAYERS):
            if options.weights[j] != 0.0 and departure > options.times[j]:
                for hop in range(world.link_first[path], world.link_first[path + 1]):
                    bitmap.add_range(options.occupied[j, world.path_links[hop]], start, end)


@kernel
def slot_capacity_known_holding(world: World, lane: Lane, request: Request, options: Forecast) -> tuple[int, int]:
    """Take the path and start of the smallest score, times to come included."""
    now = options.now
    before = now.capacities.paths_scored[0]
    look_ahead(world, lane, request, options)
    best_path, best, least = NOWHERE, NOWHERE, 0.0
    for rank in range(routes_of(world, request.pair)):
        if rank >= PATHS and best != NOWHERE:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_starts(world, lane, path, width)
        if bitmap.next_set(lane.free, 0) >= world.slots:
            continue
        sum_weighted(world, lane.occupied, now, path, before)
        sums, here = options.sums, now.capacities.sums
        for x in range(sums.size):
            sums[x] = here[x]
        for j in range(LAYERS):
            weight = np.float32(options.weights[j])
            if weight != 0.0:
                then = layer(options.ahead, j)
                sum_weighted(world, options.occupied[j], then, path, options.before[j])
                add_weighted(sums, then.capacities.sums, weight)
        start, value = smallest_start(world, lane, sums, width, now.terms[7])
        value += constant(world, lane, now, path, rank, width)
        if best == NOWHERE or value < least:
            best_path, best, least = path, start, value
    return best_path, best


@kernel
def add_weighted(sums: Floats32, more: Floats32, weight: np.float32) -> None:
    """sums += weight x more."""
    for x in range(sums.size):
        sums[x] += weight * more[x]
