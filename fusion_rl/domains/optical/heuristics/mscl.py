"""Minimum slot-capacity loss: the decision that costs other routes the fewest usable start positions.

The capacity V of a route is the number of ways in which its requests could be placed: over the runs of slots
that are free on all its links, and over the distinct widths m that its own format gives to the bandwidths of
the traffic, the sum of max(0, length - m + 1). A block's loss on a route is the capacity that the route loses
when the block is taken. A decision (path, start) is scored by the loss summed over the routes that share a
link with the path; the routes are the best-ranked candidate path of every ordered pair. Least loss wins, then
the better-ranked path, then the lower start.

With P[x] the capacity of the slots below x and Q[x] of those from x on, a block of n slots at s costs
Q[0] - P[s] - Q[s + n]: one pass over a route gives the loss of every start. Rows of P and Q are kept, and
made anew when the route's free slots have changed.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Ints, Ints64, Words
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


class Capacities(NamedTuple):
    """The routes of a world, and what one lane remembers of them."""

    route_path: Ints  # [R] the candidate path that is the route of each pair
    link_first: Ints  # [L + 1] the routes over link l are link_routes[link_first[l]] .. [link_first[l + 1] - 1]
    link_routes: Ints
    run_capacity: Ints  # [R, S + 1] capacity of a run by its length
    backwards: Ints  # [R, S + 1] the same from the longest run down
    below: Ints  # [R, S + 1] P
    above: Ints  # [R, S + 1] Q
    known_free: Words  # [R, W] the free slots that P and Q were made from
    seen: Ints64  # [R] the last path that a route was summed for, by running number
    paths_scored: Ints64  # [1]
    loss: Ints  # [S] of each start on the path that is scored


def prepare(world: World) -> Capacities:
    """Room for one lane, with every route's row to be made on first use."""
    pairs, slots = world.pair_source.size, world.slots
    # Where a route is listed once for each format, the first that reaches is what its requests would use.
    reaches = (world.path_width > 0).max(axis=1)
    routes = [
        first + int(reaches[first:last].argmax())
        for first, last in zip(world.path_first[:-1].tolist(), world.path_first[1:].tolist(), strict=True)
    ]
    by_link: list[list[int]] = [[] for _ in range(world.link_length_km.size)]
    for route, path in enumerate(routes):
        for link in world.path_links[world.link_first[path] : world.link_first[path + 1]]:
            by_link[link].append(route)
    lengths = np.arange(slots + 1)
    run_capacity = np.zeros((pairs, slots + 1), np.int32)
    for route, path in enumerate(routes):
        for width in np.unique(world.path_width[path]):
            if width > 0:
                run_capacity[route] += np.maximum(0, lengths - width + 1).astype(np.int32)
    return Capacities(
        route_path=np.array(routes),
        link_first=np.cumsum([0, *map(len, by_link)], dtype=np.int32),
        link_routes=np.array([route for routes in by_link for route in routes], np.int32),
        run_capacity=run_capacity,
        backwards=np.ascontiguousarray(run_capacity[:, ::-1]),
        below=np.zeros((pairs, slots + 1), np.int32),
        above=np.zeros((pairs, slots + 1), np.int32),
        # Nothing free is what rows of zeros say.
        known_free=np.zeros((pairs, world.beyond.size), np.uint64),
        seen=np.zeros(pairs, np.int64),
        paths_scored=np.zeros(1, np.int64),
        loss=np.zeros(slots, np.int32),
    )


@kernel
def refresh(world: World, lane: Lane, capacities: Capacities, route: int) -> None:
    """Make a route's rows of P and Q anew if its free slots have changed."""
    path = capacities.route_path[route]
    known = capacities.known_free[route]
    changed = False
    for word in range(known.size):
        used = bitmap.NONE
        for hop in range(world.link_first[path], world.link_first[path + 1]):
            used |= lane.occupied[world.path_links[hop], word]
        changed |= known[word] != ~used
        known[word] = ~used
    if changed:
        fill_rows(world.slots, capacities, route)


@kernel
def fill_rows(slots: int, capacities: Capacities, route: int) -> None:
    """P and Q of a route from its free slots."""
    known = capacities.known_free[route]
    below, above = capacities.below[route], capacities.above[route]
    by_length, backwards = capacities.run_capacity[route], capacities.backwards[route]
    total = 0
    position = 0
    start = bitmap.next_set(known, 0)
    while start < slots:
        end = bitmap.next_clear(known, start)
        length = end - start
        whole = by_length[length]
        below[position:start] = total
        above[position:start] = total
        # Slices, because their loops need no check for indices that count from the end, and so become SIMD.
        run_below, run_above, shorter = below[start:end], above[start:end], backwards[slots - length :]
        for i in range(length):
            run_below[i] = total + by_length[i]
            # Filled as the capacity below; turned into that above once the whole is known.
            run_above[i] = total + whole - shorter[i]
        total += whole
        position = end
        start = bitmap.next_set(known, end)
    below[position:] = total
    above[position:] = total
    for x in range(slots + 1):
        above[x] = total - above[x]


@kernel
def score_starts(world: World, lane: Lane, capacities: Capacities, path: int, width: int, before: int) -> None:
    """Leave the summed loss of every start on a path in capacities.loss.

    `before` is the running number of paths when the request arrived: a route seen since then is up to date.
    """
    loss = capacities.loss
    starts = world.slots - width + 1
    loss[:starts] = 0
    capacities.paths_scored[0] += 1
    mark = capacities.paths_scored[0]
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        link = world.path_links[hop]
        for entry in range(capacities.link_first[link], capacities.link_first[link + 1]):
            route = capacities.link_routes[entry]
            if capacities.seen[route] == mark:
                continue
            if capacities.seen[route] <= before:
                refresh(world, lane, capacities, route)
            capacities.seen[route] = mark
            below = capacities.below[route]
            behind = capacities.above[route, width:]
            whole = capacities.above[route, 0]
            for start in range(starts):
                loss[start] += whole - below[start] - behind[start]


@kernel
def best_start(world: World, lane: Lane, capacities: Capacities, path: int, width: int, before: int) -> tuple[int, int]:
    """The start of least loss on a path and that loss; (NOWHERE, 0) if there is no room."""
    find_starts(world, lane, path, width)
    start = bitmap.next_set(lane.free, 0)
    if start >= world.slots:
        return NOWHERE, 0
    score_starts(world, lane, capacities, path, width, before)
    best = start
    while start < world.slots:
        if capacities.loss[start] < capacities.loss[best]:
            best = start
        start = bitmap.next_set(lane.free, start + 1)
    return best, capacities.loss[best]


@kernel
def mscl(world: World, lane: Lane, request: Request, options: Capacities) -> tuple[int, int]:
    """Take the path and start of least loss over all candidate paths."""
    before = options.paths_scored[0]
    best_path, best, least = NOWHERE, NOWHERE, 0
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, loss = best_start(world, lane, options, path, width, before)
            if start != NOWHERE and (best == NOWHERE or loss < least):
                best_path, best, least = path, start, loss
    return best_path, best


@kernel
def mscl_first_path(world: World, lane: Lane, request: Request, options: Capacities) -> tuple[int, int]:
    """Take the first candidate path with room, at its start of least loss."""
    before = options.paths_scored[0]
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, _ = best_start(world, lane, options, path, width, before)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
