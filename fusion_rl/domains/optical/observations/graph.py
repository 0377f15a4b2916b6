"""The unified observation and the state of every link: what a network over the topology reads.

Every entry is in [0, 1].
"""

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.observations import unified
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.spectrum import link_slots
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

LINK_PARTS = ("link_utilisation", "link_longest_free")


def layout(world: World) -> dict[str, int]:
    """Parts of the row and their lengths; the link parts have one entry a link."""
    return unified.layout(world) | dict.fromkeys(LINK_PARTS, world.link_length_km.size)


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return unified.limits(world)


@kernel
def write(world: World, lane: Lane, request: Request, row: Floats32) -> None:
    """Fill one row: of each link the share of slots in use, and its longest free block as a share of its slots."""
    links = world.link_length_km.size
    first = row.size - 2 * links
    unified.write(world, lane, request, row[:first])
    for link in range(links):
        row[first + link] = link_slots(world, lane, link) / world.slots
        row[first + links + link] = longest_free(world, lane, link) / world.slots


@kernel
def longest_free(world: World, lane: Lane, link: int) -> int:
    """Length of the longest free block of one link, slots."""
    occupied = lane.occupied[link]
    longest = 0
    start = bitmap.next_clear(occupied, 0)
    while start < world.slots:
        end = min(bitmap.next_set(occupied, start), world.slots)
        longest = max(longest, end - start)
        start = bitmap.next_clear(occupied, end)
    return longest
