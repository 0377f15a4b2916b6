"""Spectrum on a path: what is free on all its links, and where a block of slots can start.

Where the network models transmission, a block can start only where its signal would arrive as it must.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.qot import arrives
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

NOWHERE = -1


@kernel
def find_free(world: World, lane: Lane, path: int) -> None:
    """Leave the slots that are free on every link of a path in lane.free, [W]."""
    # Unsigned, because signed indices are checked for counting from the end.
    free, index = lane.free, bitmap.index
    first = index(world.link_first[path])
    last = index(world.link_first[path + 1])
    for word in range(free.size):
        used = bitmap.NONE
        for hop in range(first, last):
            used |= lane.occupied[index(world.path_links[hop]), word]
        free[word] = ~used


@kernel
def find_starts(world: World, lane: Lane, path: int, width: int) -> None:
    """Leave the starts from which a block of `width` slots can be used on a path in lane.free, [W]."""
    find_free(world, lane, path)
    keep_usable_starts(world, lane, path, width)


@kernel
def keep_usable_starts(world: World, lane: Lane, path: int, width: int) -> None:
    """Of the slots that are free on a path, in lane.free, keep the starts from which a block can be used."""
    bitmap.keep_run_starts(lane.free, width)
    if world.transmission is not None:
        start = bitmap.next_set(lane.free, 0)
        while start < world.slots:
            if not arrives(world, lane, path, start, width):
                bitmap.remove_range(lane.free, start, start + 1)
            start = bitmap.next_set(lane.free, start + 1)


@kernel
def first_fit(world: World, lane: Lane, path: int, width: int) -> int:
    """The lowest start from which a block of `width` slots can be used on a path, or NOWHERE."""
    find_free(world, lane, path)
    starts = lane.free
    bitmap.keep_run_starts(starts, width)
    for word in range(starts.size):
        while starts[word] != bitmap.NONE:
            start = word * bitmap.WORD_BITS + bitmap.lowest_bit(starts[word])
            if arrives(world, lane, path, start, width):
                return start
            bitmap.remove_range(starts, start, start + 1)
    return NOWHERE


@kernel(inner=True)
def has_room(world: World, lane: Lane, path: int, width: int) -> bool:
    """Whether a block of `width` slots is free on a path, whatever becomes of a signal there."""
    find_free(world, lane, path)
    bitmap.keep_run_starts(lane.free, width)
    return bitmap.next_set(lane.free, 0) < world.slots


@kernel
def best_fit(world: World, lane: Lane, path: int, width: int) -> tuple[int, int]:
    """The start of the shortest free block whose first `width` slots can be used on a path, and that block's length.

    Of equally short blocks the lowest wins. (NOWHERE, 0) if there is none.
    """
    find_free(world, lane, path)
    free = lane.free
    best_start = NOWHERE
    best_length = 0
    start = bitmap.next_set(free, 0)
    while start < world.slots:
        end = bitmap.next_clear(free, start)
        length = end - start
        shorter = best_start == NOWHERE or length < best_length
        if length >= width and shorter and arrives(world, lane, path, start, width):
            best_start = start
            best_length = length
        start = bitmap.next_set(free, end)
    return best_start, best_length


@kernel
def is_free(world: World, lane: Lane, path: int, start: int, width: int) -> bool:
    """Whether slots start..start+width-1 are free on every link of a path."""
    if start < 0 or start + width > world.slots:
        return False
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        if bitmap.touches_range(lane.occupied[world.path_links[hop]], start, start + width):
            return False
    return True


@kernel
def link_slots(world: World, lane: Lane, link: int) -> int:
    """Slots in use on one link."""
    total = 0
    for word in range(world.beyond.size):
        total += bitmap.count_bits(lane.occupied[link, word] & ~world.beyond[word])
    return total


@kernel
def busiest_link_slots(world: World, lane: Lane, path: int) -> int:
    """Slots in use on the busiest link of a path."""
    most = 0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        most = max(most, link_slots(world, lane, world.path_links[hop]))
    return most


@kernel
def link_fragmentation(world: World, lane: Lane, link: int) -> float:
    """1 - longest free block / free slots of one link; 0 where nothing is free."""
    row = lane.occupied[link]
    total = 0
    longest = 0
    start = bitmap.next_clear(row, 0)
    while start < world.slots:
        end = bitmap.next_set(row, start)
        total += min(end, world.slots) - start
        longest = max(longest, min(end, world.slots) - start)
        start = bitmap.next_clear(row, end)
    return 1.0 - longest / total if total > 0 else 0.0
