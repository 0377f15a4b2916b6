"""Candidate decisions: pairs (path, start) of a request, in one order for everyone, and what is known of each.

A request's candidates are, path by path as they are ranked, the starts at both edges of each block that is long
enough (its lowest and its highest start), or all starts; lowest first. Codecs number them, and the features below
describe them: to agents in the observation `candidates`, and to the scores that evolution trains.

Losses are slot-capacity losses (`heuristics/mscl.py`). V of a run of L slots is the mean over the widths m of the
traffic of max(0, L - m + 1), so that a block of n slots at the edge of a long run costs n, and one within it more.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Floats32, Ints64
from fusion_rl.domains.optical.heuristics.mscl import RouteLosses, best_routes, find_losses, notice, widths_of_kinds
from fusion_rl.domains.optical.heuristics.mscl import prepare as prepare_routes
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_free, find_starts, keep_usable_starts, link_slots
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

# name -> meaning, in the order of a candidate's row; every one is 0 or more
FEATURES: dict[str, str] = {
    # of the path
    "spectrum_used": "hops x width / 20",
    "hops": "hops / 5",
    "width": "slots that it takes, guard included, / 8; above 0 in every candidate, 0 in rows without one",
    "mean_utilisation": "mean over the path's links of the share of slots in use",
    "max_utilisation": "largest of them",
    "squared_utilisation": "sum of their squares / 3",
    "path_free": "share of slots that are free on the whole path",
    "rank": "path's rank among the candidate paths / 10",
    "network_utilisation": "share of slots in use, mean over all links",
    # of the start
    "start": "first slot / slots",
    "start_hops": "first slot / slots x hops / 5",
    "cuts": "share of the path's links on which the block has free slots on both sides",
    "link_fits": "share of the path's links on which the block fills a free run exactly",
    "path_fit": "1 if it fills a run that is free on the whole path exactly",
    "small_gaps": "share of the path's links on which it leaves a gap of 1 or 2 slots beside it",
    "gaps": "gaps beside it on the path's links, each of 10 slots at most, / (10 hops)",
    "link_loss": "loss on the path's links, summed, / 10",
    "loaded_link_loss": "the same, each weighted by the link's utilisation, / 5",
    "max_link_loss": "largest loss on a link / 3",
    "path_loss": "loss on the run that is free on the whole path / 10",
    # not cheap, or the same for all candidates of a request
    "bandwidth": "bandwidth asked for / largest",
    "route_loss": "loss over the routes that share a link with the path, in a unit made for the network",
}
COUNT = len(FEATURES)
(
    SPECTRUM_USED,
    HOPS,
    WIDTH,
    MEAN_UTILISATION,
    MAX_UTILISATION,
    SQUARED_UTILISATION,
    PATH_FREE,
    RANK,
    NETWORK_UTILISATION,
    START,
    START_HOPS,
    CUTS,
    LINK_FITS,
    PATH_FIT,
    SMALL_GAPS,
    GAPS,
    LINK_LOSS,
    LOADED_LINK_LOSS,
    MAX_LINK_LOSS,
    PATH_LOSS,
    BANDWIDTH,
    ROUTE_LOSS,
) = range(COUNT)
OF_PATH = START  # the first so many are the same for all starts on a path
CHEAP = BANDWIDTH  # the first so many need no other routes
_LONG_GAP = 10
_SMALL_GAP = 2


class Tables(NamedTuple):
    """What the cheap features need, with room to work in."""

    run_value: Floats32  # [S + 1] V of a run on a link, by its length
    link_use: Floats32  # [L] room for the share of slots in use
    hop_use: Floats32  # [max_hops] the same of the links of a path
    run_first: Ints64  # [max_hops] room for the runs around a block on the links of its path: their first slots
    run_end: Ints64  # [max_hops] the slots behind their last
    run_whole: Floats32  # [max_hops] and their V


class Memory(NamedTuple):
    """What all features need, with room to work in; lanes that take turns can share it."""

    tables: Tables
    routes: RouteLosses
    route_loss_unit: float
    every_start: bool  # whether all starts are candidates
    known_holding: bool  # whether the request's holding time is told


def prepare_tables(world: World) -> Tables:
    """The tables of a world."""
    widths = np.unique(world.path_width[best_routes(world)])
    widths = widths[(widths > 0) & (widths <= world.slots)]
    ways = np.maximum(np.arange(world.slots + 1)[:, None] - widths + 1, 0)
    return Tables(
        run_value=ways.sum(axis=1).astype(np.float32) / np.float32(max(widths.size, 1)),
        link_use=np.zeros(world.link_length_km.size, np.float32),
        hop_use=np.zeros(world.max_hops, np.float32),
        run_first=np.zeros(world.max_hops, np.int64),
        run_end=np.zeros(world.max_hops, np.int64),
        run_whole=np.zeros(world.max_hops, np.float32),
    )


def prepare(world: World, every_start: bool = False, known_holding: bool = False) -> Memory:
    """What all features of a world need.

    A unit of `route_loss` is what 10 slots at the edge of a long run cost all routes over a link, mean over links.
    """
    routes = prepare_routes(world)
    capacities = routes.capacities
    widths_on_links = (widths_of_kinds(capacities)[capacities.route_kind] * np.diff(capacities.route_first)).sum()
    return Memory(
        tables=prepare_tables(world),
        routes=routes,
        route_loss_unit=max(10.0 * float(widths_on_links) / world.link_length_km.size, 1.0),
        every_start=every_start,
        known_holding=known_holding,
    )


def highest(world: World) -> float:
    """No feature is larger."""
    hops, width, ranks = world.max_hops, world.max_width, world.max_paths
    loss = 2.0 * width  # a block of n slots spoils n + m - 1 starts of width m at most
    memory = prepare(world)
    capacities = memory.routes.capacities
    all_routes = loss * float(widths_of_kinds(capacities)[capacities.route_kind].sum()) / memory.route_loss_unit
    return max(2.0, hops * width / 20, hops, width / 8, hops * loss / 5, loss / 3, ranks / 10, all_routes)


@kernel
def candidate(world: World, lane: Lane, request: Request, number: int, every_start: bool) -> tuple[int, int]:
    """Path and start of a request's n-th candidate, from 0; NOWHERE if there are fewer."""
    left = number
    for rank in range(routes_of(world, request.pair)):
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_starts(world, lane, path, width)
        start = bitmap.next_set(lane.free, 0)
        while start < world.slots:
            last = bitmap.next_clear(lane.free, start) - 1
            step = step_to_next(start, last, every_start)
            here = (last - start) // step + 1
            if left < here:
                return path, start + left * step
            left -= here
            start = bitmap.next_set(lane.free, last + 1)
    return NOWHERE, NOWHERE


@kernel
def count_candidates(world: World, lane: Lane, request: Request, most: int, every_start: bool) -> int:
    """How many candidates a request has; no more than `most` are counted."""
    count = 0
    for rank in range(routes_of(world, request.pair)):
        if count >= most:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_starts(world, lane, path, width)
        start = bitmap.next_set(lane.free, 0)
        while start < world.slots:
            last = bitmap.next_clear(lane.free, start) - 1
            count += (last - start) // step_to_next(start, last, every_start) + 1
            start = bitmap.next_set(lane.free, last + 1)
    return min(count, most)


@kernel
def step_to_next(first: int, last: int, every_start: bool) -> int:
    """From one candidate to the next among the starts first..last of one block."""
    return 1 if every_start or first == last else last - first


@kernel
def look_at_network(world: World, lane: Lane, tables: Tables) -> float:
    """Leave the share of slots in use of every link in tables.link_use; returns their mean."""
    total = 0
    for link in range(tables.link_use.size):
        used = link_slots(world, lane, link)
        tables.link_use[link] = used / np.float32(world.slots)
        total += used
    return total / (world.slots * tables.link_use.size)


@kernel
def describe_path(
    world: World, tables: Tables, request: Request, path: int, rank: int, width: int, row: Floats32
) -> None:
    """Fill in what the candidates on a path have in common, but for `path_free` and `network_utilisation`."""
    hops, first = world.path_hops[path], bitmap.index(world.link_first[path])
    total, largest, squares = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for hop in range(bitmap.index(hops)):
        use = tables.link_use[bitmap.index(world.path_links[first + hop])]
        tables.hop_use[hop] = use
        total += use
        largest = max(largest, use)
        squares += use * use
    row[SPECTRUM_USED] = hops * width / 20.0
    row[HOPS] = hops / 5.0
    row[WIDTH] = width / 8.0
    row[MEAN_UTILISATION] = total / hops
    row[MAX_UTILISATION] = largest
    row[SQUARED_UTILISATION] = squares / 3.0
    row[RANK] = rank / 10.0
    row[BANDWIDTH] = world.class_gbps[request.bandwidth_class] / world.max_gbps


@kernel
def find_runs(world: World, lane: Lane, tables: Tables, path: int, start: int) -> None:
    """Leave the free run around a slot on each link of a path in the tables; it is the same for a whole block."""
    index, first = bitmap.index, bitmap.index(world.link_first[path])
    for hop in range(index(world.path_hops[path])):  # unsigned: signed indices are checked for counting from the end
        occupied = lane.occupied[index(world.path_links[first + hop])]
        run_first, run_end = bitmap.last_set(occupied, start) + 1, bitmap.next_set(occupied, start)
        tables.run_first[hop], tables.run_end[hop] = run_first, run_end
        tables.run_whole[hop] = tables.run_value[index(run_end - run_first)]


@kernel
def describe_start(world: World, tables: Tables, path: int, start: int, width: int, row: Floats32) -> None:
    """Fill in what a start adds, but for `route_loss`, after `describe_path` and `find_runs` of its block."""
    value, end, hops = tables.run_value, start + width, world.path_hops[path]
    cuts, fits, small_gaps, gaps = 0, 0, 0, 0
    total, loaded, largest = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    shortest_below, shortest_above = world.slots, world.slots
    for hop in range(bitmap.index(hops)):
        below, above = start - tables.run_first[hop], tables.run_end[hop] - end
        shortest_below, shortest_above = min(shortest_below, below), min(shortest_above, above)
        # & and |, because `and` and `or` become jumps that nothing can foresee
        cuts += (below > 0) & (above > 0)
        fits += (below == 0) & (above == 0)
        small_gaps += (below > 0) & (below <= _SMALL_GAP) | (above > 0) & (above <= _SMALL_GAP)
        gaps += min(below, _LONG_GAP) + min(above, _LONG_GAP)
        loss = tables.run_whole[hop] - value[bitmap.index(below)] - value[bitmap.index(above)]
        total += loss
        loaded += loss * tables.hop_use[hop]
        largest = max(largest, loss)
    # A run that is free on the whole path is what the links' runs have in common.
    on_path = value[shortest_below + width + shortest_above] - value[shortest_below] - value[shortest_above]
    share = np.float32(1.0) / np.float32(hops)
    row[START] = np.float32(start) / np.float32(world.slots)
    row[START_HOPS] = row[START] * row[HOPS]
    row[CUTS] = np.float32(cuts) * share
    row[LINK_FITS] = np.float32(fits) * share
    row[PATH_FIT] = np.float32(shortest_below == 0 and shortest_above == 0)
    row[SMALL_GAPS] = np.float32(small_gaps) * share
    row[GAPS] = np.float32(gaps) * share * np.float32(1.0 / _LONG_GAP)
    row[LINK_LOSS] = total * np.float32(1.0 / 10.0)
    row[LOADED_LINK_LOSS] = loaded * np.float32(1.0 / 5.0)
    row[MAX_LINK_LOSS] = largest * np.float32(1.0 / 3.0)
    row[PATH_LOSS] = on_path * np.float32(1.0 / 10.0)


@kernel
def describe(world: World, lane: Lane, request: Request, memory: Memory, row: Floats32) -> float:
    """Fill the rows of a request's candidates, one behind the other, as many as there is room for; the rest is 0.

    Returns:
        The share of slots in use, mean over all links.
    """
    row[:] = 0.0
    utilisation = look_at_network(world, lane, memory.tables)
    notice(lane.occupied, memory.routes.capacities)
    column = 0
    for rank in range(routes_of(world, request.pair)):
        if column == row.size:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_free(world, lane, path)
        free = bitmap.count(lane.free)
        keep_usable_starts(world, lane, path, width)
        first = bitmap.next_set(lane.free, 0)
        if first >= world.slots:
            continue
        common = column
        describe_path(world, memory.tables, request, path, rank, width, row[common : common + COUNT])
        row[common + PATH_FREE] = free / np.float32(world.slots)
        row[common + NETWORK_UTILISATION] = utilisation
        find_losses(world, lane, memory.routes, path, first, width)
        start = first
        while start < world.slots and column < row.size:
            last = bitmap.next_clear(lane.free, start) - 1
            step = step_to_next(start, last, memory.every_start)
            find_runs(world, lane, memory.tables, path, start)
            while start <= last and column < row.size:
                for i in range(COUNT):
                    row[column + i] = row[common + i]
                describe_start(world, memory.tables, path, start, width, row[column : column + COUNT])
                row[column + ROUTE_LOSS] = memory.routes.losses[start - first] / memory.route_loss_unit
                column += COUNT
                start += step
            start = bitmap.next_set(lane.free, last + 1)
    return utilisation
