"""State: everything that changes while traffic is served. Rows are lanes; the orchestrator alone writes it.

Where a network has no rules for lightpaths, a service is one lightpath and its three numbers are all there is to
know. With rules, `Lightpaths` holds what the lightpaths carry and which of them a service uses.
"""

from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import AnyArray, Bytes, Floats, Ints, Ints64, Words
from fusion_rl.domains.optical.failures import Events
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.rules import Rules
from fusion_rl.domains.optical.world import World

_EVENTS = 16  # room for failures to come, to begin with
COUNTERS = ("served", "groomed", "sliced", "lit", "failures", "hit", "switched", "restored", "dropped")


class Lightpaths(NamedTuple):
    """The lightpaths of one lane (or of all, with an axis B in front) and the services that ride on them.

    A service has up to X legs. Bandwidths are whole Mb/s. Lightpath numbers order[0] .. order[lit[0] - 1] are lit.
    """

    owner: Ints  # [L, S] the lightpath that has a slot, guard slots included; -1: free
    order: Ints  # [lightpaths]
    place: Ints  # [lightpaths] where a lightpath stands in `order`
    lit: Ints  # [1]
    born: Ints64  # [lightpaths] running number by which they were lit
    path: Ints  # [lightpaths]
    start: Ints  # [lightpaths]
    width: Ints  # [lightpaths]
    by_rate: Bytes  # [lightpaths] 0: its width was given in slots
    capacity: Ints64  # [lightpaths] Mb/s
    used: Ints64  # [lightpaths] Mb/s
    riders: Ints  # [lightpaths] legs on it
    legs: Ints  # [services] 0: dropped by a failure
    leg_lightpath: Ints  # [services, X]
    leg_mbps: Ints64  # [services, X]
    plan_lightpath: Ints  # [X] room to plan in: the lightpaths that the request at hand would ride on
    plan_mbps: Ints64  # [X]
    failed: Bytes  # [L] 1: down
    event_time: Floats  # [E] failures and repairs to come, from event_range[0] to event_range[1] - 1
    event_link: Ints  # [E]
    event_up: Bytes  # [E]
    event_range: Ints  # [2]
    counters: Ints64  # [COUNTERS] since the lane was reset
    report: Floats  # [4] of the last request: Mb/s groomed, lightpaths lit, slots x hops lit, worst inverse SNR


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
    lightpaths: Lightpaths | None  # None without rules


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
    lightpaths: Lightpaths | None


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
        lightpaths_of(state.lightpaths, b),
    )


@kernel
def lightpaths_of(lightpaths: Lightpaths | None, b: int) -> Lightpaths | None:
    """A view of the lightpaths of lane b."""
    if lightpaths is None:
        return None
    return Lightpaths(
        lightpaths.owner[b],
        lightpaths.order[b],
        lightpaths.place[b],
        lightpaths.lit[b],
        lightpaths.born[b],
        lightpaths.path[b],
        lightpaths.start[b],
        lightpaths.width[b],
        lightpaths.by_rate[b],
        lightpaths.capacity[b],
        lightpaths.used[b],
        lightpaths.riders[b],
        lightpaths.legs[b],
        lightpaths.leg_lightpath[b],
        lightpaths.leg_mbps[b],
        lightpaths.plan_lightpath[b],
        lightpaths.plan_mbps[b],
        lightpaths.failed[b],
        lightpaths.event_time[b],
        lightpaths.event_link[b],
        lightpaths.event_up[b],
        lightpaths.event_range[b],
        lightpaths.counters[b],
        lightpaths.report[b],
    )


def view(state: State, b: int) -> Lane:
    """Lane b for callers outside the kernels."""
    *arrays, lightpaths = state
    return Lane(*(array[b] for array in arrays), None if lightpaths is None else _row(lightpaths, b))


def _row(lightpaths: Lightpaths, b: int) -> Lightpaths:
    arrays = [array[b] for array in lightpaths]
    return Lightpaths(*arrays)


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
        lightpaths=None if world.rules is None else _dark(world, world.rules, lanes, capacity),
    )


def _dark(world: World, rules: Rules, lanes: int, services: int) -> Lightpaths:
    """No lightpath lit."""
    links, lightpaths = world.link_length_km.size, services * most_lit(rules)
    numbers = np.tile(np.arange(lightpaths, dtype=np.int32), (lanes, 1))

    def room(kind: type[np.generic], *shape: int) -> AnyArray:
        return np.zeros((lanes, *shape), kind)

    return Lightpaths(
        owner=np.full((lanes, links, world.slots), -1, np.int32),
        order=numbers,
        place=numbers.copy(),
        lit=room(np.int32, 1),
        born=room(np.int64, lightpaths),
        path=room(np.int32, lightpaths),
        start=room(np.int32, lightpaths),
        width=room(np.int32, lightpaths),
        by_rate=room(np.uint8, lightpaths),
        capacity=room(np.int64, lightpaths),
        used=room(np.int64, lightpaths),
        riders=room(np.int32, lightpaths),
        legs=room(np.int32, services),
        leg_lightpath=room(np.int32, services, rules.legs),
        leg_mbps=room(np.int64, services, rules.legs),
        plan_lightpath=room(np.int32, rules.legs),
        plan_mbps=room(np.int64, rules.legs),
        failed=room(np.uint8, links),
        event_time=room(np.float64, _EVENTS),
        event_link=room(np.int32, _EVENTS),
        event_up=room(np.uint8, _EVENTS),
        event_range=room(np.int32, 2),
        counters=room(np.int64, len(COUNTERS)),
        report=room(np.float64, 4),
    )


def most_lit(rules: Rules) -> int:
    """Lightpaths that one request can light, at most."""
    return max(2 if rules.protected else 1, rules.segments)


def clear(state: State, world: World, lanes: slice | Ints) -> None:
    """Make some lanes idle again."""
    state.occupied[lanes] = world.beyond
    state.live[lanes] = 0
    state.unused[lanes] = np.arange(state.unused.shape[1], dtype=np.int32)
    lightpaths = state.lightpaths
    if lightpaths is not None:
        lightpaths.owner[lanes] = -1
        for array in (lightpaths.lit, lightpaths.failed, lightpaths.event_range, lightpaths.counters):
            array[lanes] = 0


def put_events(state: State, b: int, events: Events | None) -> State:
    """Give lane b its failures up to some time; returns the state, larger where it had to grow."""
    lightpaths = state.lightpaths
    if events is None or lightpaths is None or not events.time.size:
        return state
    first, last = lightpaths.event_range[b]
    kept = int(last - first)
    missing = kept + events.time.size - lightpaths.event_time.shape[1]
    if missing > 0:
        names = ("event_time", "event_link", "event_up")
        wider = {name: np.pad(getattr(lightpaths, name), ((0, 0), (0, 2 * missing))) for name in names}
        lightpaths = lightpaths._replace(**wider)
    for array, fresh in (
        (lightpaths.event_time, events.time),
        (lightpaths.event_link, events.link),
        (lightpaths.event_up, events.up),
    ):
        array[b, :kept] = array[b, first:last].copy()
        array[b, kept : kept + fresh.size] = fresh
    lightpaths.event_range[b] = 0, kept + events.time.size
    return state._replace(lightpaths=lightpaths)


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
    lightpaths = None if state.lightpaths is None else _grown_lightpaths(state.lightpaths, extra, extra / old)
    return state._replace(unused=np.concatenate([fresh, state.unused], axis=1), lightpaths=lightpaths, **widen)


def _grown_lightpaths(lightpaths: Lightpaths, services: int, share: float) -> Lightpaths:
    lanes, old = lightpaths.order.shape
    more = round(old * share)
    wider = {
        name: np.pad(getattr(lightpaths, name), ((0, 0), (0, more)))
        for name in ("born", "path", "start", "width", "by_rate", "capacity", "used", "riders")
    }
    wider |= {
        name: np.pad(getattr(lightpaths, name), ((0, 0), (0, services), (0, 0)))
        for name in ("leg_lightpath", "leg_mbps")
    }
    fresh = np.tile(np.arange(old, old + more, dtype=np.int32), (lanes, 1))
    return lightpaths._replace(
        order=np.concatenate([lightpaths.order, fresh], axis=1),
        place=np.concatenate([lightpaths.place, fresh], axis=1),
        legs=np.pad(lightpaths.legs, ((0, 0), (0, services))),
        **wider,
    )


def utilisation(state: State, world: World) -> Floats:
    """Share of slots in use on each link, [B, L]."""
    in_use = np.bitwise_count(state.occupied & ~world.beyond).sum(axis=2)
    return np.asarray(in_use / world.slots)


def occupancy(state: State, world: World, lane: int = 0) -> Bytes:
    """Every slot of every link of one lane, 1 where in use, [L, S]."""
    bits = np.unpackbits(state.occupied[lane].view(np.uint8), axis=1, bitorder="little")
    return bits[:, : world.slots]
