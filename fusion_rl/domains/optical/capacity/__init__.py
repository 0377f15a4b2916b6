"""Capacity: how little can be blocked at all, so that users see what is left to gain.

One method is a proven bound; the other three are estimates, and two of these are known from the literature. Blocking
of all of them is lowest where fewest of the network's rules hold, not in any fixed order.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from fusion_rl.arrays import Ints64
from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.capacity import cut_bound, cut_set, defragmentation, node_cuts, slot_counts
from fusion_rl.domains.optical.capacity.measure import Method, Size, nothing, over_lanes
from fusion_rl.domains.optical.capacity.relaxed import RelaxedNetwork
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import capacity_for
from fusion_rl.domains.optical.traces import TraceStream
from fusion_rl.domains.optical.traffic import Stream
from fusion_rl.errors import UnknownNameError

_SAMPLE = 20_000  # requests by which cuts are ranked
_CHUNK = 65_536  # requests drawn at a time

METHODS: Catalog[Method] = Catalog("capacity method")


def find(name: str) -> Method:
    """A method by its name, or a heuristic as a method.

    Raises:
        UnknownNameError: there is neither.
    """
    if name in METHODS:
        return METHODS[name]
    if name in HEURISTICS:
        return Method("policy", "a heuristic on the network as it is", nothing, partial(_blocked_by_heuristic, name))
    raise UnknownNameError(METHODS.kind, name, (*METHODS.names(), *HEURISTICS.names()))


def _blocked_by_heuristic(name: str, setting: Setting, scenario: int, size: Size, prepared: None) -> Ints64:
    result = rollout.run(
        setting,
        HEURISTICS[name],
        requests=size.requests,
        lanes=size.lanes,
        seed=size.seed,
        scenario=scenario,
        threads=size.threads,
    )
    return np.asarray(result.tally.blocked.sum(axis=1), np.int64)


def _sample(setting: Setting, scenario: int, size: Size) -> Requests:
    """The first requests of lane 0."""
    counted = setting.scenarios[scenario].warmup_requests + size.lane_requests
    return setting.models[scenario].stream(size.seed, 0, 0).take(min(_SAMPLE, counted))


def _served(network: Callable[[], RelaxedNetwork], setting: Setting, scenario: int, size: Size) -> Ints64:
    """Blocked requests of each lane, [B], where each is served by a new network of relaxed rules."""
    warmup = setting.scenarios[scenario].warmup_requests

    def blocked(stream: Stream | TraceStream) -> int:
        idle, count = network(), 0
        for left, counts in ((warmup, False), (size.lane_requests, True)):
            for first in range(0, left, _CHUNK):
                verdict = idle.serve(stream.take(min(_CHUNK, left - first)))
                count += int((verdict != ACCEPTED).sum()) if counts else 0
        return count

    return over_lanes(setting, scenario, size, blocked)


def _prepare_cut_bound(setting: Setting, scenario: int, size: Size) -> cut_bound.CutBound:
    cuts = node_cuts.ranked(setting, _sample(setting, scenario, size)).chosen(slice(cut_bound.CUTS))
    return cut_bound.prepare(setting.world, cuts)


def _count_cut_bound(setting: Setting, scenario: int, size: Size, bound: cut_bound.CutBound) -> Ints64:
    warmup = setting.scenarios[scenario].warmup_requests

    def blocked(stream: Stream | TraceStream) -> int:
        if warmup > 0:
            stream.take(warmup)  # these do not count, so blocking them is free
        return cut_bound.fewest_blocked(bound, stream.take(size.lane_requests))

    return over_lanes(setting, scenario, size, blocked)


def _prepare_cut_set(setting: Setting, scenario: int, size: Size) -> node_cuts.Cuts:
    return node_cuts.without_common_links(node_cuts.ranked(setting, _sample(setting, scenario, size)))


def _count_cut_set(setting: Setting, scenario: int, size: Size, cuts: node_cuts.Cuts) -> Ints64:
    capacity = capacity_for(setting.typical_erlang)

    def network() -> RelaxedNetwork:
        return RelaxedNetwork(setting.world, cut_set.serve, cut_set.idle(setting, cuts, capacity), 1, capacity)

    return _served(network, setting, scenario, size)


def _count_defragmentation(setting: Setting, scenario: int, size: Size, prepared: None) -> Ints64:
    world, capacity = setting.world, capacity_for(setting.typical_erlang)

    def network() -> RelaxedNetwork:
        return RelaxedNetwork(world, defragmentation.serve, defragmentation.idle(world, capacity), 2, capacity)

    return _served(network, setting, scenario, size)


def _count_slot_counts(setting: Setting, scenario: int, size: Size, prepared: None) -> Ints64:
    world, capacity = setting.world, capacity_for(setting.typical_erlang)

    def network() -> RelaxedNetwork:
        return RelaxedNetwork(world, slot_counts.serve, slot_counts.idle(world), 1, capacity)

    return _served(network, setting, scenario, size)


METHODS.register(
    "cut-bound",
    Method(
        "proven bound",
        "the most congested cuts' slots, even if all that is to come were known",
        _prepare_cut_bound,
        _count_cut_bound,
    ),
)
METHODS.register(
    "slot-counts",
    Method("estimate", "no contiguity, no continuity: any free slots of each link", nothing, _count_slot_counts),
)
METHODS.register(
    "defragmentation",
    Method("estimate", "KSP-FF, and where it blocks everything is packed anew", nothing, _count_defragmentation),
)
METHODS.register(
    "cut-set",
    Method("estimate", "one link of every cut between the ends, first fit", _prepare_cut_set, _count_cut_set),
)
