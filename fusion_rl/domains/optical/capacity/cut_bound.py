"""A proven bound: what no sequence of decisions can carry over the network's cuts, even knowing all that is to come.

Why it holds. Take any set of links. A service of the simulator occupies, while it runs, its width in slots on every
link of one of its candidate paths; so on the set it occupies at least `least_slots`, the minimum over those paths. The
services that run at one instant together occupy at most the slots there are. Hence at every arrival, summed over the
requests that would run if all were accepted, the blocked ones must make up for what is too much:

    sum of least_slots x blocked >= sum of least_slots - slots of the set

for each set of links; here they are the most congested node cuts, all at once. Nothing else is asked: no contiguity,
no continuity, no order of decisions, and services may be re-packed or moved at any time. The fewest blocked requests
under these conditions are therefore a bound for every policy that uses the candidate paths: with or without
foresight, with or without re-packing. They are found from below, as a linear program with blocked in 0..1, which can
only find fewer. Two things that hold for whole requests are used to come closer: a coefficient above the
right-hand side may be lowered to it, and blocked requests that share no condition are counted apart and rounded up.

Leaving requests out can only lower the fewest blocked ones. So those of the warm-up are left out, as if blocking them
cost nothing, and a long stream is cut into windows, each as if it began with an idle network.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, vstack

from fusion_rl.arrays import Floats, Ints64
from fusion_rl.domains.optical.capacity.node_cuts import UNREACHED, Cuts, least_slots
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.world import World

CUTS = 16
WINDOW = 16384  # requests
CONDITIONS = 400  # arrivals of a group at most: neighbours say much the same, and each left out only lowers the bound
_ROUNDING = 1e-6  # of the linear program's solver, before its optimum is rounded up


@dataclass(frozen=True)
class CutBound:
    """What every request needs on some sets of links.

    Attributes:
        slots: of each set, [M].
        least: slots that a request takes on each set, [M, R, C]; UNREACHED for one that is always blocked.
    """

    slots: Ints64
    least: Ints64


def prepare(world: World, cuts: Cuts) -> CutBound:
    """The bound's data for these cuts."""
    least = np.stack([least_slots(world, links) for links in cuts.links])
    return CutBound(cuts.links.sum(axis=1) * np.int64(world.slots), least)


def fewest_blocked(bound: CutBound, requests: Requests, window: int = WINDOW) -> int:
    """A number of requests that every policy blocks at least, from an idle network on.

    Args:
        bound: of the network.
        requests: in order of arrival.
        window: requests that are looked at together.
    """
    total = 0
    for first in range(0, requests.arrival.size, window):
        part = slice(first, first + window)
        needed = bound.least[:, requests.pair[part], requests.bandwidth_class[part]]
        within_reach = needed[0] != UNREACHED
        departure = (requests.arrival + requests.holding)[part][within_reach]
        total += int((~within_reach).sum())
        total += _fewest_in_window(
            requests.arrival[part][within_reach], departure, needed[:, within_reach], bound.slots
        )
    return total


def _fewest_in_window(arrival: Floats, departure: Floats, needed: Ints64, slots: Ints64) -> int:
    """Blocked requests at least; arrival, departure: [T], needed: [M, T], slots: [M]."""
    order = np.arange(arrival.size)
    # Request i, once accepted, runs at the arrivals i .. last[i]: what departs by an arrival has left before it.
    last = np.maximum(np.searchsorted(arrival, departure, "left") - 1, order)
    change = np.zeros((slots.size, arrival.size + 1), np.int64)
    change[:, :-1] = needed
    np.subtract.at(change.T, last + 1, needed.T)
    excess = np.cumsum(change, axis=1)[:, :-1] - slots[:, None]
    # Nobody has left between an arrival and the next at which somebody is gone: the last of them asks for most.
    full = np.flatnonzero((excess > 0).any(axis=0) & np.isin(order, last))
    if full.size == 0:
        return 0
    matters = needed.any(axis=0)
    reach = np.maximum.accumulate(np.where(matters, last, -1))
    groups = np.split(full, np.flatnonzero(reach[full[:-1]] < full[1:]) + 1)
    return sum(_fewest_in_group(group, last, needed, excess) for group in groups)


def _fewest_in_group(group: Ints64, last: Ints64, needed: Ints64, excess: Ints64) -> int:
    """Blocked requests at least among those that run at some arrivals; no other arrival concerns them."""
    first = int(np.flatnonzero(last[: group[0] + 1] >= group[0])[0])
    members = np.arange(first, group[-1] + 1)
    rows, right = [], []
    for arrival in group[:: -(-group.size // CONDITIONS)]:
        running = (members <= arrival) & (last[members] >= arrival)
        for cut in np.flatnonzero(excess[:, arrival] > 0):
            too_much = excess[cut, arrival]
            rows.append(csr_array(np.minimum(needed[cut, members], too_much) * running))
            right.append(too_much)
    found = linprog(np.ones(members.size), A_ub=-vstack(rows), b_ub=-np.array(right), bounds=(0, 1), method="highs")
    return math.ceil(float(found.fun) - _ROUNDING)
