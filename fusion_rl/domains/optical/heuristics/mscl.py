"""Minimum slot-capacity loss: the decision that costs other routes the fewest usable start positions.

The capacity V of a route is the number of ways in which its requests could be placed: over the runs of slots
that are free on all its links, and over the distinct widths m that its own format gives to the bandwidths of
the traffic, the sum of max(0, length - m + 1). A block's loss on a route is the capacity that the route loses
when the block is taken. A decision (path, start) is scored by the loss summed over the routes that share a
link with the path; the routes are the best-ranked candidate path of every ordered pair. Least loss wins, then
the better-ranked path, then the lower start.

Of the ways to place a request, let E[x] be those whose last slot is x, and S[x] those whose first slot is x. A
block of n slots at s costs V less what ends below s and what starts from s + n on; as V is the sum of all S,

    loss(s) = S[0] + .. + S[s + n - 1] - (E[0] + .. + E[s - 1]).

So the rows S and E of the routes are added up first, slot by slot, and one walk along the sums then gives the
loss of every start. A route's rows are kept, and mended where its free slots have changed: on a link that differs
from what it was at the request before.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import AnyArray, Ints, Ints64, Words
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

STALE = -1
AT_A_TIME = 8  # routes whose rows are added up together: fewer trips to the sums


class Capacities(NamedTuple):
    """The routes of a world, and what one lane remembers of them.

    The rows and their sums are of 16 bits where no sum can be larger, else of 32.
    """

    route_path: Ints  # [R] the candidate path that is the route of each pair
    route_first: Ints  # [R + 1] the links of route r are route_links[route_first[r]] .. [route_first[r + 1] - 1]
    route_links: Ints
    link_first: Ints  # [L + 1] the routes over link l are link_routes[link_first[l]] .. [link_first[l + 1] - 1]
    link_routes: Ints
    route_kind: Ints  # [R] routes of a kind have the same widths
    fitting: AnyArray  # [kinds, S] widths that fit into 1, 2 .. slots
    fitting_backwards: AnyArray  # [kinds, S] into S, S - 1 .. slots
    placements: AnyArray  # [R + 1, 2 S] S and then E; a row of zeros at the end
    known_free: Words  # [R, W] the free slots that a row stands for
    changed: Words  # [W] room for the slots that are new since then
    link_known: Words  # [L, W] the slots in use that were noticed last
    seen: Ints64  # [R] the last path that a route was summed for, by running number; STALE: a link has changed since
    paths_scored: Ints64  # [1]
    near: Ints  # [R + AT_A_TIME] room for the routes that share a link with the path that is scored
    mended: Ints  # [R + 1] room for those of them whose rows were mended for it, behind their number
    sums: AnyArray  # [2 S] room for the sum of their rows


def prepare(world: World) -> Capacities:
    """Room for one lane, with every route's row to be made on first use."""
    routes = best_routes(world)
    first, links = links_of(world, routes)
    used = np.zeros((routes.size, world.slots + 1), np.bool_)  # whether a route has a width
    widths = world.path_width[routes]
    used[np.arange(routes.size)[:, None], np.where(widths <= world.slots, widths, 0)] = True
    fitting, kinds = np.unique(np.cumsum(used[:, 1:], axis=1), axis=0, return_inverse=True)
    kinds = kinds.reshape(-1)
    kind_of_sum = _sum_type(world, np.repeat(fitting[kinds, -1], np.diff(first)), links)
    return room_for_routes(world, routes, first, links, kinds, fitting.astype(kind_of_sum))


def best_routes(world: World) -> Ints:
    """The candidate path that is each pair's route, [R]."""
    # Where a route is listed once for each format, the first that reaches is what its requests would use.
    reaches = (world.path_width > 0).max(axis=1)
    candidates = zip(world.path_first[:-1].tolist(), world.path_first[1:].tolist(), strict=True)
    return np.array([first + int(reaches[first:last].argmax()) for first, last in candidates], np.int32)


def links_of(world: World, routes: Ints) -> tuple[Ints64, Ints]:
    """Where each route's links begin in the list of all, [R + 1], and that list."""
    hops = world.path_hops[routes]
    first = np.append(0, np.cumsum(hops))
    return first, world.path_links[np.repeat(world.link_first[routes] - first[:-1], hops) + np.arange(first[-1])]


def room_for_routes(
    world: World, routes: Ints, first: Ints64, links: Ints, kinds: Ints64, fitting: AnyArray
) -> Capacities:
    """Room for one lane with these routes.

    Args:
        world: the network.
        routes: candidate path of each, where it is one.
        first: where the links of each begin, [R + 1].
        links: those of all routes, one after another.
        kinds: of each route, [R].
        fitting: [kinds, S], of the type that rows and sums are to have.
    """
    count = first.size - 1
    by_link = np.repeat(np.arange(count), np.diff(first))[np.argsort(links, kind="stable")]
    link_first = np.append(0, np.cumsum(np.bincount(links, minlength=world.link_length_km.size)))
    return Capacities(
        route_path=routes,
        route_first=first.astype(np.int32),
        route_links=links.astype(np.int32),
        link_first=link_first.astype(np.int32),
        link_routes=by_link.astype(np.int32),
        route_kind=kinds.astype(np.int32),
        fitting=fitting,
        fitting_backwards=np.ascontiguousarray(fitting[:, ::-1]),
        placements=np.zeros((count + 1, 2 * world.slots), fitting.dtype),
        # Nothing free is what rows of zeros say.
        known_free=np.zeros((count, world.beyond.size), np.uint64),
        changed=np.zeros(world.beyond.size, np.uint64),
        link_known=np.zeros((world.link_length_km.size, world.beyond.size), np.uint64),
        seen=np.full(count, STALE),
        paths_scored=np.zeros(1, np.int64),
        near=np.zeros(count + AT_A_TIME, np.int32),
        mended=np.zeros(count + 1, np.int32),
        sums=np.zeros(2 * world.slots, fitting.dtype),
    )


def _sum_type(world: World, most: Ints64, links: Ints) -> type[np.int16] | type[np.int32]:
    """The type that holds the sum of `most`, one for each of `links`, over the links of any one path."""
    over_link = np.bincount(links, most, world.link_length_km.size).astype(np.int64)
    over_path = np.diff(np.append(0, np.cumsum(over_link[world.path_links]))[world.link_first])
    return np.int16 if over_path.max() <= np.iinfo(np.int16).max else np.int32


@kernel
def notice(occupied: Words, capacities: Capacities) -> None:
    """Find the links that have changed, once for each request, before any path is looked at."""
    known = capacities.link_known
    for link in range(known.shape[0]):
        any_changed = False
        for word in range(known.shape[1]):
            any_changed |= known[link, word] != occupied[link, word]
            known[link, word] = occupied[link, word]
        if any_changed:
            for entry in range(capacities.link_first[link], capacities.link_first[link + 1]):
                capacities.seen[capacities.link_routes[entry]] = STALE


@kernel
def refresh(world: World, occupied: Words, capacities: Capacities, route: int) -> None:
    """Bring a route's row up to date with its free slots."""
    known, changed = capacities.known_free[route], capacities.changed
    any_changed = False
    for word in range(known.size):
        used = bitmap.NONE
        for hop in range(capacities.route_first[route], capacities.route_first[route + 1]):
            used |= occupied[capacities.route_links[hop], word]
        changed[word] = known[word] ^ ~used
        any_changed |= changed[word] != bitmap.NONE
        known[word] = ~used
    if any_changed:
        fill_row(world.slots, capacities, route)
        capacities.mended[0] += 1
        capacities.mended[capacities.mended[0]] = route


@kernel
def fill_row(slots: int, capacities: Capacities, route: int) -> None:
    """S and E of a route from its free slots, in the runs that meet the changed ones: the others stay as they are."""
    known, row = capacities.known_free[route], capacities.placements[route]
    fitting = capacities.fitting[capacities.route_kind[route]]
    backwards = capacities.fitting_backwards[capacities.route_kind[route]]
    low = bitmap.next_set(capacities.changed, 0)
    high = bitmap.last_set(capacities.changed, slots) + 1
    row[low:high] = 0
    row[slots + low : slots + high] = 0
    start = bitmap.next_set(known, bitmap.last_clear(known, low) + 1)
    while start < slots and start <= high:
        end = bitmap.next_clear(known, start)
        length = end - start
        # Slices, because their loops need no check for indices that count from the end, and so become SIMD.
        starting, ending, shorter = row[start:end], row[slots + start : slots + end], backwards[slots - length :]
        for i in range(length):
            starting[i] = shorter[i]
            ending[i] = fitting[i]
        start = bitmap.next_set(known, end)


@kernel
def find_near(world: World, occupied: Words, capacities: Capacities, path: int) -> int:
    """Leave the routes that share a link with a path in capacities.near, up to date; returns how many they are."""
    capacities.paths_scored[0] += 1
    capacities.mended[0] = 0
    mark = capacities.paths_scored[0]
    count = 0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        link = world.path_links[hop]
        for entry in range(capacities.link_first[link], capacities.link_first[link + 1]):
            route = capacities.link_routes[entry]
            if capacities.seen[route] == mark:
                continue
            if capacities.seen[route] == STALE:
                refresh(world, occupied, capacities, route)
            capacities.seen[route] = mark
            capacities.near[count] = route
            count += 1
    return count


@kernel
def add_rows(capacities: Capacities, rows: AnyArray, count: int) -> None:
    """Leave the sum of the rows of the first `count` routes of capacities.near in capacities.sums."""
    sums, near = capacities.sums, capacities.near
    sums[:] = 0
    near[count : count + AT_A_TIME] = rows.shape[0] - 1
    for i in range(0, count, AT_A_TIME):
        one, two, three, four = rows[near[i]], rows[near[i + 1]], rows[near[i + 2]], rows[near[i + 3]]
        five, six, seven, eight = rows[near[i + 4]], rows[near[i + 5]], rows[near[i + 6]], rows[near[i + 7]]
        for x in range(sums.size):
            sums[x] += ((one[x] + two[x]) + (three[x] + four[x])) + ((five[x] + six[x]) + (seven[x] + eight[x]))


@kernel
def sum_near(world: World, lane: Lane, capacities: Capacities, path: int) -> None:
    """Leave the sum of the rows of the routes that share a link with a path in capacities.sums; see `find_near`."""
    add_rows(capacities, capacities.placements, find_near(world, lane.occupied, capacities, path))


@kernel
def loss_at(world: World, capacities: Capacities, width: int, start: int, here: int, loss: int) -> int:
    """The loss of a block over the routes in capacities.sums, walked to from the loss of one at or below it.

    Args:
        width: of the block.
        start: where it starts.
        here: the start whose loss is known; 0 with start 0: none is.
        loss: that loss.
    """
    starting, ending = capacities.sums[: world.slots], capacities.sums[world.slots :]
    if start == 0:
        loss = 0
        for slot in range(width):
            loss += int(starting[slot])
        return loss
    entering, leaving = starting[here + width : start + width], ending[here:start]
    for i in range(start - here):
        loss += int(entering[i]) - int(leaving[i])
    return loss


@kernel
def best_start(world: World, lane: Lane, capacities: Capacities, path: int, width: int) -> tuple[int, int]:
    """The start of least loss on a path and that loss; (NOWHERE, 0) if there is no room."""
    find_starts(world, lane, path, width)
    start = bitmap.next_set(lane.free, 0)
    if start >= world.slots:
        return NOWHERE, 0
    sum_near(world, lane, capacities, path)
    best, least, here = NOWHERE, 0, 0
    loss = loss_at(world, capacities, width, 0, 0, 0)
    while start < world.slots:
        loss = loss_at(world, capacities, width, start, here, loss)
        if best == NOWHERE or loss < least:
            best, least = start, loss
        here = start
        start = bitmap.next_set(lane.free, start + 1)
    return best, least


@kernel
def mscl(world: World, lane: Lane, request: Request, options: Capacities) -> tuple[int, int]:
    """Take the path and start of least loss over all candidate paths."""
    notice(lane.occupied, options)
    best_path, best, least = NOWHERE, NOWHERE, 0
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, loss = best_start(world, lane, options, path, width)
            if start != NOWHERE and (best == NOWHERE or loss < least):
                best_path, best, least = path, start, loss
    return best_path, best


@kernel
def mscl_first_path(world: World, lane: Lane, request: Request, options: Capacities) -> tuple[int, int]:
    """Take the first candidate path with room, at its start of least loss."""
    notice(lane.occupied, options)
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, _ = best_start(world, lane, options, path, width)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
