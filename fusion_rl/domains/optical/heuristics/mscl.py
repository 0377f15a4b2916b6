"""Minimum slot-capacity loss: the decision that costs other routes the fewest usable start positions.

The capacity V of a route is the number of ways in which its requests could be placed: over the runs of slots
that are free on all its links, and over the distinct widths m that its own format gives to the bandwidths of
the traffic, the sum of max(0, length - m + 1). A block's loss on a route is the capacity that the route loses
when the block is taken. A decision (path, start) is scored by the loss summed over the routes that share a
link with the path; the routes are the best-ranked candidate path of every ordered pair. Least loss wins, then
the better-ranked path, then the lower start.

Let P[x] be the capacity of what is free below slot x, and T[x] what is lost if everything below x is taken. As
T[x] is the whole capacity less that of what is free from x on, the loss of n slots from s on is

    loss(s) = T[s + n] - P[s].

A route's row holds both for every x. The rows of the routes are added up for the starts in question alone. They are
kept, and mended where the free slots of a route have changed: on a link that differs from what it was at the request
before.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import AnyArray, Ints, Ints64, Words
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.bitmap import index
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

AT_A_TIME = 8  # routes whose rows are added up together: fewer trips to the sums
STEP = 16


class Capacities(NamedTuple):
    """The routes of a world, and what one lane remembers of them.

    V is counted in whole numbers, so that a row is the same however it was mended.
    """

    route_path: Ints  # [R] the candidate path that is the route of each pair
    route_first: Ints  # [R + 1] the links of route r are route_links[route_first[r]] .. [route_first[r + 1] - 1]
    route_links: Ints
    link_routes: Words  # [L, R / 64] the routes over each link
    route_kind: Ints  # [R] routes of a kind have the same widths
    value: AnyArray  # [kinds, S + 1] V of a run of 0, 1 .. S slots
    value_backwards: AnyArray  # [kinds, S + 1] of a run of S, S - 1 .. 0 slots
    rows: (
        AnyArray  # [R + 1, 2 S + 1 and a rest] P[0] .. P[S], T[1] .. T[S], for windows of STEP to end in; the last is 0
    )
    known_free: Words  # [R, W] the free slots that a row stands for
    changed: Words  # [W] room for the slots that are new since then
    link_known: Words  # [L, W] the slots in use that were noticed last
    stale: Words  # [R / 64] the routes with a link that has changed since then
    near_set: Words  # [R / 64] room for the routes that share a link with the path that is scored
    near: Ints  # [R + AT_A_TIME] and for their numbers
    mended: Ints  # [R + 1] room for the numbers of those that were stale, behind how many they are


class RouteLosses(NamedTuple):
    """The routes that a decision looks at, and room for its losses."""

    capacities: Capacities
    losses: AnyArray  # [S + STEP] of the starts in question, from the first one on, summed over routes


def prepare(world: World) -> RouteLosses:
    """Room for one lane, with every route's row to be made on first use."""
    routes = best_routes(world)
    first, links = links_of(world, routes)
    used = np.zeros((routes.size, world.slots + 1), np.bool_)  # whether a route has a width
    widths = world.path_width[routes]
    used[np.arange(routes.size)[:, None], np.where(widths <= world.slots, widths, 0)] = True
    ways, kinds = np.unique(used[:, 1:], axis=0, return_inverse=True)
    kinds = kinds.reshape(-1)
    value = value_of_runs(ways)
    # No block costs more than all that there is.
    kind = np.int32 if value[kinds, -1].sum() <= np.iinfo(np.int32).max else np.int64
    capacities = room_for_routes(world, routes, first, links, kinds, value.astype(kind))
    return RouteLosses(capacities, np.zeros(world.slots + STEP, kind))


def value_of_runs(ways: AnyArray) -> AnyArray:
    """V of a run of 0, 1 .. S slots, [kinds, S + 1]; ways: how much each width of 1 .. S slots counts, [kinds, S]."""
    return np.pad(np.cumsum(np.cumsum(ways, axis=1), axis=1), ((0, 0), (1, 0)))


def widths_of_kinds(capacities: Capacities) -> Ints64:
    """How many widths the routes of each kind have, [kinds]: what one more slot adds to a run of nearly all."""
    value = capacities.value.astype(np.int64)
    return value[:, -1] - value[:, -2]


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
    world: World, routes: Ints, first: Ints64, links: Ints, kinds: Ints64, value: AnyArray
) -> Capacities:
    """Room for one lane with these routes.

    Args:
        world: the network.
        routes: candidate path of each, where it is one.
        first: where the links of each begin, [R + 1].
        links: those of all routes, one after another.
        kinds: of each route, [R].
        value: V of a run of 0, 1 .. S slots, by kind, [kinds, S + 1]; of the type that rows are to have.
    """
    count = first.size - 1
    over = np.zeros((world.link_length_km.size, count), np.bool_)
    over[links, np.repeat(np.arange(count), np.diff(first))] = True
    link_routes = bitmap.packed(over)
    return Capacities(
        route_path=routes,
        route_first=first.astype(np.int32),
        route_links=links.astype(np.int32),
        link_routes=link_routes,
        route_kind=kinds.astype(np.int32),
        value=value,
        value_backwards=np.ascontiguousarray(value[:, ::-1]),
        # Nothing free is what rows of zeros say.
        rows=np.zeros((count + 1, 2 * world.slots + 1 + STEP), value.dtype),
        known_free=np.zeros((count, world.beyond.size), np.uint64),
        changed=np.zeros(world.beyond.size, np.uint64),
        link_known=np.zeros((world.link_length_km.size, world.beyond.size), np.uint64),
        stale=bitmap.packed(np.ones(count, np.bool_)),
        near_set=np.zeros(link_routes.shape[1], np.uint64),
        near=np.zeros(count + AT_A_TIME, np.int32),
        mended=np.zeros(count + 1, np.int32),
    )


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
            bitmap.add(capacities.stale, capacities.link_routes[link])


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
    """A route's row from its free slots: anew in the runs that meet the changed ones, above these by what is new."""
    known, row = capacities.known_free[route], capacities.rows[route]
    value = capacities.value[capacities.route_kind[route]]
    backwards = capacities.value_backwards[capacities.route_kind[route]]
    first = bitmap.next_set(capacities.changed, 0)
    last = bitmap.last_set(capacities.changed, slots)
    here = bitmap.last_clear(known, first) + 1
    below = row[here]
    start = bitmap.next_set(known, here)
    while start < slots and start <= last + 1:
        row[here : start + 1] = below
        row[slots + here + 1 : slots + start + 1] = below
        end = bitmap.next_clear(known, start)
        length = end - start
        # Slices, because their loops need no check for indices that count from the end, and so become SIMD.
        kept, lost = row[start:end], row[slots + start + 1 : slots + end + 1]
        shorter, whole = backwards[slots - length + 1 :], below + value[length]
        for i in range(length):
            kept[i] = below + value[i]
            lost[i] = whole - shorter[i]
        here, below = end, whole
        start = bitmap.next_set(known, end)
    if here <= last:
        row[here : last + 1] = below
        row[slots + here + 1 : slots + last + 2] = below
        here = last + 1
    more = below - row[here]
    if more != 0:
        kept, lost = row[here : slots + 1], row[slots + here + 1 : 2 * slots + 1]
        for i in range(kept.size):
            kept[i] += more
        for i in range(lost.size):
            lost[i] += more


@kernel
def find_near(world: World, occupied: Words, capacities: Capacities, path: int) -> int:
    """Leave the routes that share a link with a path in capacities.near, up to date; returns how many they are."""
    near, stale = capacities.near_set, capacities.stale
    for word in range(near.size):
        near[word] = bitmap.NONE
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        bitmap.add(near, capacities.link_routes[world.path_links[hop]])
    capacities.mended[0] = 0
    for word in range(near.size):
        todo = near[word] & stale[word]
        stale[word] &= ~near[word]
        while todo != bitmap.NONE:
            refresh(world, occupied, capacities, word * bitmap.WORD_BITS + bitmap.lowest_bit(todo))
            todo = bitmap.without_lowest(todo)
    return bitmap.positions(near, capacities.near)


@kernel
def add_rows(
    slots: int, capacities: Capacities, rows: AnyArray, count: int, first: int, last: int, width: int, losses: AnyArray
) -> None:
    """Losses of blocks, summed over routes that `find_near` has found.

    Args:
        slots: of a link.
        capacities: the routes.
        rows: theirs, weighted or not.
        count: how many were found.
        first, last: starts of the first and the last block; those between may be in use.
        width: of the blocks.
        losses: room for them, that of `first` at 0.
    """
    near, size = capacities.near, (last - first) // STEP * STEP + STEP
    losses[:size] = 0
    near[count : count + AT_A_TIME] = rows.shape[0] - 1
    for i in range(0, count, AT_A_TIME):
        add_columns(rows, near, i, slots + first + width, size, losses, False)
        add_columns(rows, near, i, first, size, losses, True)


@kernel
def add_columns(rows: AnyArray, near: Ints, i: int, first: int, size: int, losses: AnyArray, less: bool) -> None:
    """Add columns first .. first + size - 1 of AT_A_TIME rows to the losses, or take them off."""
    # Unsigned, because signed indices are checked for counting from the end, which keeps SIMD away.
    one, two, three, four = index(near[i]), index(near[i + 1]), index(near[i + 2]), index(near[i + 3])
    five, six, seven, eight = index(near[i + 4]), index(near[i + 5]), index(near[i + 6]), index(near[i + 7])
    for x in range(index(size)):
        at = index(first) + x
        half = (rows[one, at] + rows[two, at]) + (rows[three, at] + rows[four, at])
        total = half + ((rows[five, at] + rows[six, at]) + (rows[seven, at] + rows[eight, at]))
        if less:
            losses[x] -= total
        else:
            losses[x] += total


@kernel
def find_losses(world: World, lane: Lane, memory: RouteLosses, path: int, first: int, width: int) -> None:
    """Leave the losses of the starts in lane.free, `first` and above, in memory.losses, from 0 on."""
    capacities, last = memory.capacities, bitmap.last_set(lane.free, world.slots)
    count = find_near(world, lane.occupied, capacities, path)
    add_rows(world.slots, capacities, capacities.rows, count, first, last, width, memory.losses)


@kernel
def best_start(world: World, lane: Lane, memory: RouteLosses, path: int, width: int) -> tuple[int, int]:
    """The start of least loss on a path and that loss; (NOWHERE, 0) if there is no room."""
    find_starts(world, lane, path, width)
    first = bitmap.next_set(lane.free, 0)
    if first >= world.slots:
        return NOWHERE, 0
    find_losses(world, lane, memory, path, first, width)
    start, best, least = first, NOWHERE, 0
    while start < world.slots:
        loss = memory.losses[start - first]
        if best == NOWHERE or loss < least:
            best, least = start, loss
        start = bitmap.next_set(lane.free, start + 1)
    return best, least


@kernel
def mscl(world: World, lane: Lane, request: Request, options: RouteLosses) -> tuple[int, int]:
    """Take the path and start of least loss over all candidate paths."""
    notice(lane.occupied, options.capacities)
    best_path, best, least = NOWHERE, NOWHERE, 0
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, loss = best_start(world, lane, options, path, width)
            if start != NOWHERE and (best == NOWHERE or loss < least):
                best_path, best, least = path, start, loss
    return best_path, best


@kernel
def mscl_first_path(world: World, lane: Lane, request: Request, options: RouteLosses) -> tuple[int, int]:
    """Take the first candidate path with room, at its start of least loss."""
    notice(lane.occupied, options.capacities)
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            start, _ = best_start(world, lane, options, path, width)
            if start != NOWHERE:
                return path, start
    return NOWHERE, NOWHERE
