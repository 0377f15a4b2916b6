"""Departures in time order: a binary heap in two arrays of the lane.

Ties leave in an order fixed by the heap alone, which cannot matter: services that depart at one instant free
disjoint spectrum before anything else is decided.
"""

from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.state import Lane


@kernel
def push(lane: Lane, size: int, time: float, service: int) -> None:
    """Add a departure to a heap of `size` entries."""
    times, services = lane.departure_time, lane.departing
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if times[parent] <= time:
            break
        times[hole] = times[parent]
        services[hole] = services[parent]
        hole = parent
    times[hole] = time
    services[hole] = service


@kernel
def pop(lane: Lane, size: int) -> int:
    """Remove the earliest departure from a heap of `size` entries and return its service."""
    times, services = lane.departure_time, lane.departing
    earliest = services[0]
    last = size - 1
    # Let the hole sink to the bottom along the earlier children, then lift the last entry into place: an
    # entry from the bottom mostly belongs there, so this compares half as often as sinking it from the top.
    hole = 0
    child = 1
    while child < last:
        child += times[child + 1] < times[child]
        times[hole] = times[child]
        services[hole] = services[child]
        hole = child
        child = 2 * hole + 1
    if hole != last:
        push(lane, hole, times[last], services[last])
    return int(earliest)
