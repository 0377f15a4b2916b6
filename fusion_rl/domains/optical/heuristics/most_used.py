"""Most-used: the first candidate path with room, from the slot that most links of the network use already.

Packs services into few slots of the whole network. Source: the most-used wavelength of S. Subramaniam and R. Barry,
Wavelength assignment in fixed routing WDM networks, ICC 1997: of the wavelengths that are free on the path, the one in
use on most links; of equal ones the lowest. For slots, B. Chatterjee and E. Oki, Elastic Optical Networks, CRC Press
2020, chapter 6, says the same of "free slots", and leaves open what counts for a block of several. Here its first slot
counts, as in XLRON 1.1.0's ksp_mu, and not the sum over the block: on the DeepRMSA benchmark (NSFNET, K = 5, 250
Erlang) its published blocking, 0.0352, is met by the first slot (0.0353), and not by the sum (0.0377).
"""

import numpy as np

from fusion_rl.arrays import Ints, Words
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_free
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


def room_to_count(world: World) -> Ints:
    """One count a slot, made anew for each request, [S]."""
    return np.zeros(world.slots, np.int32)


@kernel
def count_links(world: World, lane: Lane, links_using: Ints) -> None:
    """On how many links of the network each slot is in use."""
    links_using[:] = 0
    for link in range(lane.occupied.shape[0]):
        slot = bitmap.next_set(lane.occupied[link], 0)
        while slot < world.slots:
            links_using[slot] += 1
            slot = bitmap.next_set(lane.occupied[link], slot + 1)


@kernel
def most_used_of(world: World, starts: Words, links_using: Ints) -> int:
    """Of the slots in a set, the one in use on most links; of equal ones the lowest."""
    best, most = NOWHERE, -1
    start = bitmap.next_set(starts, 0)
    while start < world.slots:
        if links_using[start] > most:
            best, most = start, links_using[start]
        start = bitmap.next_set(starts, start + 1)
    return best


@kernel
def most_used(world: World, lane: Lane, request: Request, options: Ints) -> tuple[int, int]:
    """Take the first candidate path that has a free block, and its most-used start."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = world.path_width[path, request.bandwidth_class]
        if width > 0:
            find_free(world, lane, path)
            bitmap.keep_run_starts(lane.free, width)
            if bitmap.next_set(lane.free, 0) < world.slots:
                count_links(world, lane, options)
                return path, most_used_of(world, lane.free, options)
    return NOWHERE, NOWHERE
