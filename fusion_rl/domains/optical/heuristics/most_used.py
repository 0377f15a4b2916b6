"""Most-used: the first candidate path with room, from the slot that most links of the network use already.

Packs services into few slots of the whole network. Source: the most-used wavelength of S. Subramaniam and R. Barry,
Wavelength assignment in fixed routing WDM networks, ICC 1997: of the wavelengths that are free on the path, the one in
use on most links; of equal ones the lowest. For slots, B. Chatterjee and E. Oki, Elastic Optical Networks, CRC Press
2020, chapter 6, says the same of "free slots", and leaves open what counts for a block of several. Here its first slot
counts, as in XLRON 1.1.0: its ksp_mu (heuristics.py) takes the largest entry of the mask of free starts times the use
of each slot. Its published blocking on the DeepRMSA benchmark (NSFNET, K = 5, 250 Erlang), 0.0352, agrees: the first
slot gives 0.0353, the sum over the block 0.0377.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import slots_needed
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@kernel
def links_using(lane: Lane, slot: int) -> int:
    """On how many links of the network a slot is in use."""
    word = slot // bitmap.WORD_BITS
    only = bitmap.span(word, slot, slot + 1)
    count = 0
    for link in range(lane.occupied.shape[0]):
        count += (lane.occupied[link, word] & only) != bitmap.NONE
    return count


@kernel
def most_used_start(world: World, lane: Lane) -> int:
    """Of the starts in lane.free the one whose slot is in use on most links; of equal ones the lowest."""
    best, most = NOWHERE, -1
    start = bitmap.next_set(lane.free, 0)
    while start < world.slots:
        count = links_using(lane, start)
        if count > most:
            best, most = start, count
        start = bitmap.next_set(lane.free, start + 1)
    return best


@kernel
def most_used(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """Take the first candidate path that has a free block, and its most-used start."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = slots_needed(world, lane, request, path)
        if width > 0:
            find_starts(world, lane, path, width)
            if bitmap.next_set(lane.free, 0) < world.slots:
                return path, most_used_start(world, lane)
    return NOWHERE, NOWHERE
