"""Cut-set: services take one link of every cut between their ends, and what lies between the cuts is left out.

The idea is that of M. Doherty and A. Beghelli's cut-set bounds (documentation of XLRON 1.3, "Capacity Bound
Estimation"), in our reading: a request takes the narrowest width of any of its candidate paths, and is served where
some start has, for every cut that it must cross, a link with that block free. The lowest start wins; of a cut's links
that have it free, the one with most slots free is taken.

They take the 256 most congested cuts and a small set of links that covers all those to be crossed. Ours are the most
congested cuts that have no link in common, so that a service never takes more links than its path would: with many
cuts that overlap, covers take more, and block more than real policies do (5 % at 230 E on NSFNET, where KSP-FF
blocks 1.4 %). Directions are kept apart where links are directed.

An estimate, not a bound, though less is asked of a service than the network asks: requests are decided as they come,
first fit, and wiser decisions may block fewer.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bools, Bytes, Ints, Words
from fusion_rl.domains.optical.capacity.node_cuts import UNREACHED, Cuts, narrowest, separated_pairs
from fusion_rl.domains.optical.capacity.relaxed import NOBODY, begin, end_next
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, BLOCKED_NO_REACH, BLOCKED_NO_SPECTRUM
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, link_slots
from fusion_rl.domains.optical.requests import Requests, request_at
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import Lane, State, lane_of
from fusion_rl.domains.optical.world import World


class CutSet(NamedTuple):
    """Cuts without common links, and who has which links."""

    width: Ints  # [R, C] narrowest width; UNREACHED where no path can carry it
    crosses: Bools  # [R, M] cuts that each pair must cross
    cut_first: Ints  # [M + 1] the links of cut m are cut_links[cut_first[m]] .. cut_links[cut_first[m + 1] - 1]
    cut_links: Ints
    starts: Words  # [L, W] room to work in: where a block can start on each link
    feasible: Words  # [W] the same for all cuts looked at
    of_cut: Words  # [W] and for one of them
    service_links: Ints  # [capacity, M] link of each running service in each cut, NOWHERE if it does not cross it


def idle(setting: Setting, cuts: Cuts, capacity: int) -> CutSet:
    """No service."""
    links, words = cuts.links.shape[1], setting.world.beyond.size
    return CutSet(
        width=narrowest(setting.world).astype(np.int32),
        crosses=np.ascontiguousarray(separated_pairs(setting, cuts).T),
        cut_first=np.cumsum([0, *cuts.links.sum(axis=1)], dtype=np.int32),
        cut_links=np.nonzero(cuts.links)[1].astype(np.int32),
        starts=np.zeros((links, words), np.uint64),
        feasible=np.zeros(words, np.uint64),
        of_cut=np.zeros(words, np.uint64),
        service_links=np.zeros((capacity, len(cuts.links)), np.int32),
    )


@kernel
def look_for_starts(world: World, lane: Lane, room: CutSet, cut: int, width: int) -> None:
    """Leave where a block can start on each link of a cut in starts, and where on any of them in of_cut."""
    for word in range(room.of_cut.size):
        room.of_cut[word] = bitmap.NONE
    for i in range(room.cut_first[cut], room.cut_first[cut + 1]):
        link = room.cut_links[i]
        for word in range(room.of_cut.size):
            room.starts[link, word] = ~lane.occupied[link, word]
        bitmap.keep_run_starts(room.starts[link], width)
        for word in range(room.of_cut.size):
            room.of_cut[word] |= room.starts[link, word]


@kernel
def find_start(world: World, lane: Lane, room: CutSet, pair: int, width: int) -> int:
    """The lowest start of a block that every cut between a pair has free on some link, or NOWHERE."""
    for word in range(room.feasible.size):
        room.feasible[word] = bitmap.ALL
    for cut in range(room.crosses.shape[1]):
        if room.crosses[pair, cut]:
            look_for_starts(world, lane, room, cut, width)
            for word in range(room.feasible.size):
                room.feasible[word] &= room.of_cut[word]
    start = bitmap.next_set(room.feasible, 0)
    return start if start < world.slots else NOWHERE


@kernel
def emptiest_link(world: World, lane: Lane, room: CutSet, cut: int, start: int) -> int:
    """Of a cut's links where the block can start, the one with fewest slots in use."""
    best, least_used = NOWHERE, world.slots + 1
    for i in range(room.cut_first[cut], room.cut_first[cut + 1]):
        link = room.cut_links[i]
        if bitmap.touches_range(room.starts[link], start, start + 1):
            used = link_slots(world, lane, link)
            if used < least_used:
                best, least_used = link, used
    return best


@kernel
def take_links(world: World, lane: Lane, room: CutSet, service: int, pair: int) -> None:
    """Occupy the block of a service on one link of every cut between its pair."""
    start = lane.service_start[service]
    for cut in range(room.crosses.shape[1]):
        link = NOWHERE
        if room.crosses[pair, cut]:
            link = emptiest_link(world, lane, room, cut, start)
            bitmap.add_range(lane.occupied[link], start, start + lane.service_width[service])
        room.service_links[service, cut] = link


@kernel
def give_back(lane: Lane, room: CutSet, service: int) -> None:
    """Free the links of a service that has ended."""
    start = lane.service_start[service]
    for cut in range(room.service_links.shape[1]):
        link = room.service_links[service, cut]
        if link != NOWHERE:
            bitmap.remove_range(lane.occupied[link], start, start + lane.service_width[service])


@kernel
def serve(world: World, state: State, room: CutSet, requests: Requests, first: int, last: int, verdict: Bytes) -> int:
    """Serve requests first..last-1; see `RelaxedNetwork`."""
    lane = lane_of(state, 0)
    for t in range(first, last):
        request = request_at(requests, t)
        gone = end_next(lane, request.arrival)
        while gone != NOBODY:
            give_back(lane, room, gone)
            gone = end_next(lane, request.arrival)
        if lane.live[0] == lane.unused.size:
            return t
        width = room.width[request.pair, request.bandwidth_class]
        if width == UNREACHED:
            verdict[t] = BLOCKED_NO_REACH
            continue
        start = find_start(world, lane, room, request.pair, width)
        if start == NOWHERE:
            verdict[t] = BLOCKED_NO_SPECTRUM
            continue
        service = begin(lane, request.arrival + request.holding)
        lane.service_start[service] = start
        lane.service_width[service] = width
        take_links(world, lane, room, service, request.pair)
        verdict[t] = ACCEPTED
    return last
