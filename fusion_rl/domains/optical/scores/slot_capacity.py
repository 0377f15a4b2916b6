"""Slot-capacity loss with learned weights; it begins as `mscl` on the first paths.

The score of a block of n slots at s on a path of h hops is, times 0.01,

    sum over routes r that share a link with the path of  h_r ** hops x exp(scarcity y + scarcity_squared y^2) loss_r
    + sum over the path's links l of  10 exp(load u_l) loss_l
    + 10 (spectrum h n + width_load n sum u + width_squared_load n sum u^2 + width_max_load n max u + width n + rank k)
    + 100 (path_hops h + start s / S)

with u_l the utilisation of a link, y = 1 - V / V of the idle route, and k the path's rank. loss_r is that of `mscl`,
its widths weighted by exp(width/format/slots), and loss_l has a weight of its own for each width of 1 to 10 slots,
link_width/slots. All starts are weighed. A link is kept as one more route over it; so all rows are added up alike.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Floats, Floats32, Words
from fusion_rl.domains.optical.heuristics.mscl import (
    STEP,
    Capacities,
    add_rows,
    best_routes,
    find_near,
    links_of,
    notice,
    room_for_routes,
    value_of_runs,
)
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts, link_slots
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

PATHS = 10  # that are weighed, if any of them has room
LINK_WIDTHS = 10
_FINEST = 2.0**30  # units in the largest V
_LEAST = 1e-9
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

    capacities: Capacities  # routes first, then links; rows without the weight of the route, in units of their kind
    weighted: Floats32  # [R + L + 1, 2 S + 1 and a rest] the rows with it
    losses: Floats32  # [S + STEP] room for the losses of the starts in question, from the first one on
    unit: Floats32  # [kinds] in which V is counted, in whole numbers so that a row is the same however it was mended
    routes: int  # R
    base: Floats32  # [R] the part of a route's weight that stays
    scarcity: Floats  # [2]
    link_weight: Floats32  # [S + 1] by slots in use
    terms: Floats  # [8] weights of the terms that are no losses


def parameters(world: World) -> dict[str, float]:
    """As `mscl`: all routes and widths count alike, and nothing else."""
    names = [*_width_names(world), *(f"link_width/{m}" for m in range(1, LINK_WIDTHS + 1)), *_SHAPE, *_TERMS]
    return dict.fromkeys(names, 0.0)


def prepare(world: World, given: Mapping[str, float], mean_holding_time: float) -> Losses:
    """Room for one lane with these parameters."""
    routes = best_routes(world)
    first, links = links_of(world, routes)
    all_links = np.arange(world.link_length_km.size)
    formats = _formats(world)
    kinds = np.array([formats.index(float(world.path_efficiency[route])) for route in routes], np.int64)
    ways = [_weight_of_widths(world, given, efficiency) for efficiency in formats]
    ways.append(np.array([given.get(f"link_width/{m}", 0.0) if m <= LINK_WIDTHS else 0.0 for m in _up_to(world.slots)]))
    value = value_of_runs(np.array(ways))
    # Weights below 0 may cancel out on one run and not on many; were all above, many runs would not add up to more.
    largest = value_of_runs(np.abs(ways))[:, -1]
    unit = 2.0 ** np.ceil(np.log2(np.maximum(largest, _LEAST) / _FINEST))
    capacities = room_for_routes(
        world,
        routes,
        np.append(first, first[-1] + 1 + all_links),
        np.append(links, all_links),
        np.append(kinds, np.full(all_links.size, len(formats))),
        np.rint(value / unit[:, None]).astype(np.int32),
    )
    hops, scarcity, squared, load = (given.get(name, 0.0) for name in _SHAPE)
    return Losses(
        capacities=capacities,
        weighted=np.zeros(capacities.rows.shape, np.float32),
        losses=np.zeros(world.slots + STEP, np.float32),
        unit=unit.astype(np.float32),
        routes=routes.size,
        base=(world.path_hops[routes] ** np.clip(hops, -_STEEPEST, _STEEPEST)).astype(np.float32),
        scarcity=np.array([scarcity, squared]),
        link_weight=(
            10.0 * np.exp(np.clip(load * np.arange(world.slots + 1) / world.slots, -_STEEPEST, _STEEPEST))
        ).astype(np.float32),
        terms=np.array([given.get(name, 0.0) for name in _TERMS])
        * np.array([10.0, 100.0, 10.0, 10.0, 10.0, 10.0, 10.0, 100.0 / world.slots]),
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
    capacities, kind = losses.capacities, losses.capacities.route_kind[entry]
    row, weighted = capacities.rows[entry], losses.weighted[entry]
    if entry >= losses.routes:
        weight = losses.link_weight[world.slots - bitmap.count(capacities.known_free[entry])]
    else:
        left, idle = row[world.slots], capacities.value[kind, world.slots]
        y = 1.0 - left / idle if idle > 0 else 0.0
        steepness = losses.scarcity[0] * y + losses.scarcity[1] * y * y
        weight = losses.base[entry] * np.float32(math.exp(min(max(steepness, -_STEEPEST), _STEEPEST)))
    weight *= losses.unit[kind]
    for x in range(row.size):
        weighted[x] = weight * np.float32(row[x])


@kernel
def weighted_losses(
    world: World, occupied: Words, losses: Losses, path: int, first: int, last: int, width: int
) -> None:
    """Leave the weighted losses of blocks on a path in losses.losses; see `add_rows`."""
    capacities = losses.capacities
    count = find_near(world, occupied, capacities, path)
    for i in range(capacities.mended[0]):
        weigh(world, losses, capacities.mended[1 + i])
    add_rows(world.slots, capacities, losses.weighted, count, first, last, width, losses.losses)


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
def smallest_start(world: World, lane: Lane, losses: Floats32, first: int, step: float) -> tuple[int, float]:
    """Of the starts in lane.free the one of smallest loss, `step` added for each slot; and its score.

    The loss of the first start lies at 0.
    """
    best, least, start = NOWHERE, 0.0, first
    while start < world.slots:
        value = losses[start - first] + step * start
        if best == NOWHERE or value < least:
            best, least = start, value
        start = bitmap.next_set(lane.free, start + 1)
    return best, least


@kernel
def smallest(
    world: World,
    lane: Lane,
    request: Request,
    losses: Losses,
    summed: Floats32,
    add_up: Callable[..., None],
    options: Any,
) -> tuple[int, int]:
    """Path and start of the smallest score.

    Args:
        world, lane, request: what is decided.
        losses: the weights of the terms that are no losses.
        summed: the losses of the starts in question, from the first one, which `add_up` fills in.
        add_up: kernel (world, lane, options, path, first, last, width) of the first and last of them.
        options: what it needs.
    """
    best_path, best, least = NOWHERE, NOWHERE, 0.0
    for rank in range(routes_of(world, request.pair)):
        if rank >= PATHS and best != NOWHERE:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_starts(world, lane, path, width)
        first = bitmap.next_set(lane.free, 0)
        if first >= world.slots:
            continue
        add_up(world, lane, options, path, first, bitmap.last_set(lane.free, world.slots), width)
        start, value = smallest_start(world, lane, summed, first, losses.terms[7])
        value += constant(world, lane, losses, path, rank, width)
        if best == NOWHERE or value < least:
            best_path, best, least = path, start, value
    return best_path, best


@kernel
def add_up_now(world: World, lane: Lane, options: Losses, path: int, first: int, last: int, width: int) -> None:
    """The losses in the network as it is."""
    weighted_losses(world, lane.occupied, options, path, first, last, width)


@kernel
def slot_capacity(world: World, lane: Lane, request: Request, options: Losses) -> tuple[int, int]:
    """Take the path and start of the smallest score."""
    notice(lane.occupied, options.capacities)
    return smallest(world, lane, request, options, options.losses, add_up_now, options)
