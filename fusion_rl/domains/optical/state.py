"""State: everything that changes while traffic is served. Rows are lanes; the orchestrator alone writes it.

Where a network has no rules for lightpaths, a service is one lightpath and its three numbers are all there is to
know. With rules, `Lightpaths` holds what the lightpaths carry and which of them a service uses.
"""

from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import AnyArray, Bytes, Floats, Ints, Ints64, Words
from fusion_rl.domains.optical.failures import Events
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.rules import Rules
from fusion_rl.domains.optical.world import World

_EVENTS = 16  # room for failures to come, to begin with
# Requests that were served, in part or whole on lightpaths that ran before, split; lightpaths lit for them; edges
# that failed; services on lightpaths that a failure hit = on their other lightpath from then on (1+1) + on a moved
# lightpath + dropped. A service on several lightpaths is hit with each of them.
COUNTERS = ("served", "groomed", "sliced", "lit", "failures", "hit", "switched", "restored", "dropped")


# Records rather than one array a field: kernels pass all arrays by value, and each costs compile time at every call.
LIGHTPATH = np.dtype(
    [
        ("path", np.int64),
        ("start", np.int64),
        ("width", np.int64),  # slots, guard included
        ("by_rate", np.int64),  # 0: the width was given in slots
        ("capacity", np.int64),  # Mb/s
        ("used", np.int64),  # Mb/s
        ("riders", np.int64),  # services on it
        ("born", np.int64),  # running number by which it was lit
        ("place", np.int64),  # where it stands in `order`
    ]
)
LEG = np.dtype([("lightpath", np.int64), ("mbps", np.int64)])
EVENT = np.dtype([("time", np.float64), ("edge", np.int64), ("up", np.int64)])
LIT_NOW, NEXT_EVENT, LAST_EVENT = range(3)
UP, DOWN, FAILING = range(3)  # a link is failing until its lightpaths have been seen to


class Lightpaths(NamedTuple):
    """The lightpaths of one lane (or of all, with an axis B in front) and the services that ride on them.

    A service has up to X legs, each on one lightpath. Bandwidths are whole Mb/s.
    """

    owner: Ints  # [L, S] the lightpath that has a slot, guard slots included; -1: free
    table: AnyArray  # [lightpaths] LIGHTPATH
    order: Ints  # [lightpaths] their numbers, those that are lit first
    legs: Ints  # [services] legs of a service; 0: dropped by a failure
    leg: AnyArray  # [services, X] LEG
    plan: AnyArray  # [X] LEG, room to plan in: what the request at hand would ride on
    failed: Bytes  # [L] UP, DOWN or FAILING
    events: AnyArray  # [E] EVENT, failures and repairs to come in marks[NEXT_EVENT] .. marks[LAST_EVENT] - 1
    marks: Ints64  # [3] lightpaths that are lit, next and last event
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
    lightpaths: Any  # Lightpaths, or None without rules; Any, because kernels that read it need rules


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
    lightpaths: Any


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


@kernel(inner=True)
def lightpaths_of(lightpaths: Lightpaths | None, b: int) -> Lightpaths | None:
    """A view of the lightpaths of lane b."""
    if lightpaths is None:
        return None
    return Lightpaths(
        lightpaths.owner[b],
        lightpaths.table[b],
        lightpaths.order[b],
        lightpaths.legs[b],
        lightpaths.leg[b],
        lightpaths.plan[b],
        lightpaths.failed[b],
        lightpaths.events[b],
        lightpaths.marks[b],
        lightpaths.counters[b],
        lightpaths.report[b],
    )


def view(state: State, b: int) -> Lane:
    """Lane b for callers outside the kernels."""
    lightpaths = state.lightpaths
    if lightpaths is not None:
        lightpaths = Lightpaths(*(array[b] for array in lightpaths))
    return Lane._make([*(array[b] for array in state[:-1]), lightpaths])


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
    links, lightpaths = (
        world.link_length_km.size,
        services * rules.legs,
    )  # any of them may be the last to ride on each of its legs
    table = np.zeros((lanes, lightpaths), LIGHTPATH)
    table["place"] = np.arange(lightpaths)
    return Lightpaths(
        owner=np.full((lanes, links, world.slots), -1, np.int32),
        table=table,
        order=np.tile(np.arange(lightpaths, dtype=np.int32), (lanes, 1)),
        legs=np.zeros((lanes, services), np.int32),
        leg=np.zeros((lanes, services, rules.legs), LEG),
        plan=np.zeros((lanes, rules.legs), LEG),
        failed=np.zeros((lanes, links), np.uint8),
        events=np.zeros((lanes, _EVENTS), EVENT),
        marks=np.zeros((lanes, 3), np.int64),
        counters=np.zeros((lanes, len(COUNTERS)), np.int64),
        report=np.zeros((lanes, 4)),
    )


def clear(state: State, world: World, lanes: slice | Ints) -> None:
    """Make some lanes idle again."""
    state.occupied[lanes] = world.beyond
    state.live[lanes] = 0
    state.unused[lanes] = np.arange(state.unused.shape[1], dtype=np.int32)
    lightpaths = state.lightpaths
    if lightpaths is not None:
        lightpaths.owner[lanes] = -1
        for array in (lightpaths.failed, lightpaths.marks, lightpaths.counters):
            array[lanes] = 0


def put_events(state: State, b: int, events: Events | None) -> State:
    """Give lane b its failures up to some time; returns the state, larger where it had to grow."""
    lightpaths = state.lightpaths
    if events is None or lightpaths is None or not events.time.size:
        return state
    first, last = lightpaths.marks[b, NEXT_EVENT:]
    waiting = lightpaths.events[b, first:last].copy()
    fresh = np.zeros(events.time.size, EVENT)
    fresh["time"], fresh["edge"], fresh["up"] = events
    to_come = np.concatenate([waiting, fresh])
    missing = to_come.size - lightpaths.events.shape[1]
    if missing > 0:
        lightpaths = lightpaths._replace(events=np.pad(lightpaths.events, ((0, 0), (0, 2 * missing))))
    lightpaths.events[b, : to_come.size] = to_come
    lightpaths.marks[b, NEXT_EVENT:] = 0, to_come.size
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
    table = np.pad(lightpaths.table, ((0, 0), (0, more)))
    table["place"][:, old:] = np.arange(old, old + more)
    fresh = np.tile(np.arange(old, old + more, dtype=np.int32), (lanes, 1))
    return lightpaths._replace(
        table=table,
        order=np.concatenate([lightpaths.order, fresh], axis=1),
        legs=np.pad(lightpaths.legs, ((0, 0), (0, services))),
        leg=np.pad(lightpaths.leg, ((0, 0), (0, services), (0, 0))),
    )


def utilisation(state: State, world: World) -> Floats:
    """Share of slots in use on each link, [B, L]."""
    in_use = np.bitwise_count(state.occupied & ~world.beyond).sum(axis=2)
    return np.asarray(in_use / world.slots)


def lightpaths_in_use(lightpaths: Lightpaths) -> tuple[Ints64, int, float]:
    """Of one lane: its counters, lightpaths that are lit, and the share of their capacity in use (0 if none is)."""
    lit = lightpaths.table[lightpaths.order[: int(lightpaths.marks[LIT_NOW])]]
    capacity = int(lit["capacity"].sum())
    return lightpaths.counters.copy(), lit.size, float(lit["used"].sum()) / capacity if capacity else 0.0


def occupancy(state: State, world: World, lane: int = 0) -> Bytes:
    """Every slot of every link of one lane, 1 where in use, [L, S]."""
    return bitmap.unpacked(state.occupied[lane], world.slots).view(np.uint8)
