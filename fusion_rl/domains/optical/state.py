"""State: everything that changes while traffic is served. Rows are lanes; the orchestrator alone writes it."""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bytes, Floats, Ints, Words
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.world import World


class Lane(NamedTuple):
    """One network in use. `live` services run; their departures form a binary heap ordered by time."""

    occupied: Words  # [L, W] bit set: slot in use
    live: Ints  # [1] running services
    departure_time: Floats  # [capacity] heap
    departing: Ints  # [capacity] heap: the service that departs then
    unused: Ints  # [capacity] stack of free service numbers, its top at capacity - live
    service_path: Ints  # [capacity]
    service_start: Ints  # [capacity] first slot
    service_width: Ints  # [capacity] slots, guard included
    free: Words  # [W] room to work in


class State(NamedTuple):
    """The lanes' arrays, stacked: the fields of `Lane` with an axis B in front."""

    occupied: Words
    live: Ints
    departure_time: Floats
    departing: Ints
    unused: Ints
    service_path: Ints
    service_start: Ints
    service_width: Ints
    free: Words


@kernel
def lane_of(state: State, b: int) -> Lane:
    """A view of lane b."""
    return Lane(
        state.occupied[b],
        state.live[b],
        state.departure_time[b],
        state.departing[b],
        state.unused[b],
        state.service_path[b],
        state.service_start[b],
        state.service_width[b],
        state.free[b],
    )


def view(state: State, b: int) -> Lane:
    """Lane b for callers outside the kernels."""
    return Lane(*(array[b] for array in state))


def capacity_for(erlang: float) -> int:
    """Room for the services of a load, so large that it almost never has to grow."""
    return int(erlang + 10 * np.sqrt(erlang) + 64)


def empty(world: World, lanes: int, capacity: int) -> State:
    """Idle networks with room for `capacity` running services in each lane."""
    words = world.beyond.size
    links = world.link_length_km.size
    return State(
        occupied=np.tile(world.beyond, (lanes, links, 1)),
        live=np.zeros((lanes, 1), np.int32),
        departure_time=np.zeros((lanes, capacity)),
        departing=np.zeros((lanes, capacity), np.int32),
        unused=np.tile(np.arange(capacity, dtype=np.int32), (lanes, 1)),
        service_path=np.zeros((lanes, capacity), np.int32),
        service_start=np.zeros((lanes, capacity), np.int32),
        service_width=np.zeros((lanes, capacity), np.int32),
        free=np.zeros((lanes, words), np.uint64),
    )


def clear(state: State, world: World, lanes: slice | Ints) -> None:
    """Make some lanes idle again."""
    state.occupied[lanes] = world.beyond
    state.live[lanes] = 0
    state.unused[lanes] = np.arange(state.unused.shape[1], dtype=np.int32)


def grown(state: State, capacity: int) -> State:
    """The same lanes with room for `capacity` running services."""
    lanes, old = state.unused.shape
    extra = capacity - old
    widen = {
        name: np.pad(getattr(state, name), ((0, 0), (0, extra)))
        for name in ("departure_time", "departing", "service_path", "service_start", "service_width")
    }
    # The stack's top is at capacity - live, so the new numbers go below the old ones.
    fresh = np.tile(np.arange(old, capacity, dtype=np.int32), (lanes, 1))
    return state._replace(unused=np.concatenate([fresh, state.unused], axis=1), **widen)


def utilisation(state: State, world: World) -> Floats:
    """Share of slots in use on each link, [B, L]."""
    in_use = np.bitwise_count(state.occupied & ~world.beyond).sum(axis=2)
    return np.asarray(in_use / world.slots)


def occupancy(state: State, world: World, lane: int = 0) -> Bytes:
    """Every slot of every link of one lane, 1 where in use, [L, S]."""
    bits = np.unpackbits(state.occupied[lane].view(np.uint8), axis=1, bitorder="little")
    return bits[:, : world.slots]
