"""Capacity: what is called a bound is one, and the estimates are what they say they are."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.arrays import Ints64, frozen
from fusion_rl.domains.optical import capacity
from fusion_rl.domains.optical.capacity import cut_bound, cut_set, defragmentation, node_cuts, slot_counts
from fusion_rl.domains.optical.capacity.measure import Size, at_load, blocking, load_at, measure
from fusion_rl.domains.optical.capacity.relaxed import RelaxedNetwork
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.domains.optical.state import occupancy
from fusion_rl.errors import ConfigError, TrafficError, UnknownNameError
from fusion_rl.testing import tiny
from tests.domains.optical.worlds import (
    few_examples,
    make_setting,
    many_examples,
    requests_with_ties,
    slow_network,
    slow_requests,
    small_settings,
)
from tests.oracles import slow_capacity

SMALL = Size(requests=2000, lanes=4, seed=3, threads=1)


def crowded(requests: Requests) -> Requests:
    """The same requests, so close to each other that they compete."""
    return requests._replace(arrival=frozen(requests.arrival * 0.2))


def bound_of(setting: Setting, requests: Requests, window: int = cut_bound.WINDOW) -> int:
    chosen = node_cuts.ranked(setting, requests).chosen(slice(cut_bound.CUTS))
    return cut_bound.fewest_blocked(cut_bound.prepare(setting.world, chosen), requests, window)


@st.composite
def tight_worlds(draw: st.DrawFn) -> tuple[Setting, Requests]:
    """3 or 4 nodes, 3 to 6 slots, 6 to 8 requests, many of which run at once."""
    edges = draw(st.sampled_from(["AB BC", "AB BC CA", "AB BC CD DA", "AB BC CD DA AC"])).split()
    setting = make_setting(
        [(edge[0], edge[1], draw(st.sampled_from([100.0, 200.0, 450.0]))) for edge in edges],
        network={
            "links": draw(st.sampled_from(["directed", "shared"])),
            "slots": draw(st.integers(3, 6)),
            "k_paths": draw(st.integers(1, 2)),
            "path_order": "km",
            "reach_table": [{"bits_per_s_per_hz": 2.0, "reach_km": 300.0}, {"bits_per_s_per_hz": 1.0}],
        },
        scenario={"bandwidth": {"kind": "weighted", "values_gbps": [12.5, 25, 50], "weights": [1, 1, 1]}},
    )
    requests = draw(requests_with_ties(setting, draw(st.integers(6, 8))))
    pairs = draw(st.lists(st.sampled_from(range(setting.world.pair_source.size)), min_size=1, max_size=3))
    few_pairs = np.array([pairs[pair % len(pairs)] for pair in requests.pair], np.int32)
    return setting, requests._replace(pair=frozen(few_pairs))


def test_no_sequence_of_decisions_blocks_less_than_the_bound() -> None:
    """Proven by trying every decision, and every way of packing anew at every arrival."""
    bounds, tight = [], []

    @many_examples
    @given(tight_worlds())
    def compare(world: tuple[Setting, Requests]) -> None:
        setting, requests = world
        network, asked = slow_network(setting), slow_requests(setting, requests)
        bound = bound_of(setting, requests)
        with_repacking = slow_capacity.fewest_blocked_with_repacking(network, asked)
        assert bound <= with_repacking <= slow_capacity.fewest_blocked(network, asked)
        bounds.append(bound)
        tight.append(bound == with_repacking)

    compare()
    assert sum(bound > 0 for bound in bounds) > 10, "the worlds are to be so crowded that there is a bound"
    assert sum(bound > 0 and same for bound, same in zip(bounds, tight, strict=True)) > 5, "and it is often reached"


@few_examples
@given(small_settings(), st.integers(0, 1000), st.sampled_from([7, 40, 16384]))
def test_no_policy_blocks_less_than_the_bound(setting: Setting, seed: int, window: int) -> None:
    requests = crowded(setting.models[0].stream(seed).take(120))
    bound = bound_of(setting, requests, window)
    for name in ("ksp-ff", "ff-ksp", "least-congested"):
        decided = LaneServer(setting.world, HEURISTICS[name], setting.typical_erlang).serve(requests)
        assert bound <= (decided.verdict != ACCEPTED).sum()
    repacked = RelaxedNetwork(setting.world, defragmentation.serve, defragmentation.idle(setting.world, 8), 2, 8)
    assert bound <= (repacked.serve(requests) != ACCEPTED).sum()


def line_of_three(**network: object) -> Setting:
    """A-B-C, 4 slots each way, requests of 1, 2 or 3 slots."""
    return make_setting(
        [("A", "B", 100.0), ("B", "C", 100.0)],
        network={"slots": 4, "k_paths": 1, **network},
        scenario={"bandwidth": {"kind": "slots", "widths_slots": [1, 2, 3], "weights": [1, 1, 1]}},
    )


def asked(setting: Setting, *wanted: tuple[str, float, float, int]) -> Requests:
    """Requests as (ends, arrival, holding, slots)."""
    names, world = setting.topology.nodes, setting.world
    ends = [(names[s], names[t]) for s, t in zip(world.pair_source, world.pair_target, strict=True)]
    return Requests(
        arrival=frozen(np.array([arrival for _, arrival, _, _ in wanted])),
        holding=frozen(np.array([holding for _, _, holding, _ in wanted])),
        pair=frozen(np.array([ends.index((pair[0], pair[1])) for pair, *_ in wanted], np.int32)),
        bandwidth_class=frozen(np.array([slots - 1 for *_, slots in wanted], np.int32)),
        key=0,
        number=0,
    )


def test_the_bound_counts_whole_requests_and_drops_the_widest() -> None:
    setting = line_of_three()
    # 1 + 3 + 2 + 2 of 4 slots at once: the 3 alone is not enough, the 3 and a 2 are too much by none
    requests = asked(setting, ("AB", 0, 9, 1), ("AB", 1, 9, 3), ("AB", 2, 9, 2), ("AC", 3, 9, 2))
    assert bound_of(setting, requests) == 2
    assert bound_of(setting, asked(setting, ("AB", 0, 9, 3), ("AB", 1, 9, 2))) == 1
    assert bound_of(setting, asked(setting, ("AB", 0, 9, 3), ("BA", 1, 9, 3))) == 0, "the other direction"
    assert bound_of(line_of_three(links="shared"), asked(setting, ("AB", 0, 9, 3), ("BA", 1, 9, 3))) == 1


def test_a_departure_at_the_instant_of_an_arrival_makes_room_in_the_bound() -> None:
    setting = line_of_three()
    assert bound_of(setting, asked(setting, ("AB", 0, 2, 3), ("AB", 2, 9, 3))) == 0
    assert bound_of(setting, asked(setting, ("AB", 0, 2.5, 3), ("AB", 2, 9, 3))) == 1
    assert bound_of(setting, asked(setting, ("AB", 0, 9, 3), ("AB", 2, 0, 3))) == 1, "an instant needs room too"


def test_what_no_path_can_carry_is_in_the_bound() -> None:
    setting = line_of_three(reach_table=[{"bits_per_s_per_hz": 1.0, "reach_km": 150.0}])
    assert bound_of(setting, asked(setting, ("AC", 0, 1, 1), ("AB", 5, 1, 1))) == 1
    assert bound_of(line_of_three(slots=2), asked(setting, ("AB", 0, 1, 3))) == 1, "wider than a link"


def test_knowing_what_is_to_come_is_what_the_bound_allows_for() -> None:
    """KSP-FF takes the long request and blocks three; refusing it blocks one."""
    setting = line_of_three()
    requests = asked(setting, ("AB", 0, 9, 3), ("AB", 1, 1, 3), ("AB", 3, 1, 3), ("AB", 5, 1, 3))
    decided = LaneServer(setting.world, HEURISTICS["ksp-ff"], 4.0).serve(requests)
    assert (decided.verdict != ACCEPTED).sum() == 3
    assert bound_of(setting, requests) == 1


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_every_cut_is_ranked_once_and_separates_what_it_says(setting: Setting, seed: int) -> None:
    sample = setting.models[0].stream(seed).take(50)
    cuts = node_cuts.ranked(setting, sample)
    directed = setting.topology.direction == "directed"
    assert len(cuts.links) == 2 ** len(setting.topology.nodes) // (1 if directed else 2) - (2 if directed else 1)
    assert (np.diff(cuts.congestion) <= 0).all()
    pairs = node_cuts.separated_pairs(setting, cuts)
    for cut in range(0, len(cuts.links), 5):
        least = node_cuts.least_slots(setting.world, cuts.links[cut])
        narrowest = node_cuts.narrowest(setting.world)
        assert (least[pairs[cut]] >= narrowest[pairs[cut]]).all(), "whoever is separated takes a link of the cut"


def test_large_networks_are_cut_too() -> None:
    ring = [(str(i), str((i + 1) % 20), 100.0) for i in range(20)]
    setting = make_setting(ring, network={"slots": 4, "k_paths": 1})
    cuts = node_cuts.ranked(setting, setting.models[0].stream(1).take(200))
    assert len(np.unique(cuts.part, axis=0)) == len(cuts.part)
    assert (cuts.links.sum(axis=1) >= 2).any()
    assert cuts.links[0].sum() == 2, "halves of a ring are joined by one link each way and end"
    apart = node_cuts.without_common_links(cuts)
    assert (apart.links.sum(axis=0) <= 1).all()


def test_slot_counts_decide_as_their_slow_twin() -> None:
    seen: set[bool] = set()

    @many_examples
    @given(small_settings(most_slots=20), st.integers(0, 1000))
    def compare(setting: Setting, seed: int) -> None:
        requests = setting.models[0].stream(seed).take(80)
        network = RelaxedNetwork(setting.world, slot_counts.serve, slot_counts.idle(setting.world), 1, 2)
        accepted = (network.serve(requests) == ACCEPTED).tolist()
        assert accepted == slow_capacity.slot_counts(slow_network(setting), slow_requests(setting, requests))
        seen.update(accepted)

    compare()
    assert seen == {True, False}


def test_defragmentation_decides_as_its_slow_twin_and_no_slot_serves_two() -> None:
    gained = []

    @many_examples
    @given(small_settings(most_slots=20), st.integers(0, 1000))
    def compare(setting: Setting, seed: int) -> None:
        requests = setting.models[0].stream(seed).take(60)
        world = setting.world
        network = RelaxedNetwork(world, defragmentation.serve, defragmentation.idle(world, 2), 2, 2)
        accepted = (network.serve(requests) == ACCEPTED).tolist()
        assert accepted == slow_capacity.defragmentation(slow_network(setting), slow_requests(setting, requests))
        lane = int(network.room.current[0])
        running = network.state.departing[lane, : network.state.live[lane, 0]]
        slots = (world.path_hops[network.state.service_path[lane]] * network.state.service_width[lane])[running]
        assert slots.sum() == occupancy(network.state, world, lane).sum()
        gained.append(network.room.current[0] != 0)

    compare()
    assert sum(gained) > 5, "packing anew is to have happened"


def test_defragmentation_accepts_what_fragments_block() -> None:
    """A-B: slots 0 and 2 are held, and 2 slots asked for; packed anew they fit."""
    setting = line_of_three()
    requests = asked(
        setting, ("AB", 0, 9, 1), ("AB", 0, 1, 1), ("AB", 0, 9, 1), ("AB", 0, 1, 1), ("AB", 2, 1, 2), ("AB", 2, 1, 1)
    )
    ksp_ff = LaneServer(setting.world, HEURISTICS["ksp-ff"], 4.0).serve(requests).verdict
    assert (ksp_ff != ACCEPTED).tolist() == [False] * 4 + [True, False]
    network = RelaxedNetwork(setting.world, defragmentation.serve, defragmentation.idle(setting.world, 8), 2, 8)
    assert (network.serve(requests) != ACCEPTED).tolist() == [False] * 5 + [True]


def test_the_cut_set_decides_as_its_slow_twin() -> None:
    seen: set[bool] = set()

    @many_examples
    @given(small_settings(most_slots=20), st.integers(0, 1000))
    def compare(setting: Setting, seed: int) -> None:
        requests = setting.models[0].stream(seed).take(60)
        cuts = node_cuts.without_common_links(node_cuts.ranked(setting, requests))
        network = RelaxedNetwork(setting.world, cut_set.serve, cut_set.idle(setting, cuts, 2), 1, 2)
        accepted = (network.serve(requests) == ACCEPTED).tolist()
        names = np.array(setting.topology.nodes)
        slow = slow_network(setting)
        links = [slow.link(link.source, link.target) for link in setting.topology.links]
        told = [
            (set(names[part].tolist()), [links[i] for i in np.flatnonzero(on)])
            for part, on in zip(cuts.part, cuts.links, strict=True)
        ]
        assert accepted == slow_capacity.cut_set(slow, told, slow_requests(setting, requests))
        seen.update(accepted)

    compare()
    assert seen == {True, False}


@pytest.mark.parametrize("name", [*capacity.METHODS, "ksp-ff"])
def test_a_method_counts_the_same_whatever_the_threads_and_lanes(name: str) -> None:
    setting, method = tiny.setting(slots=16), capacity.find(name)
    blocked = measure(setting, method, SMALL)
    assert blocked.shape == (SMALL.lanes,)
    assert (measure(setting, method, replace(SMALL, threads=3)) == blocked).all()
    assert (measure(setting, method, replace(SMALL, requests=1000, lanes=2)) == blocked[:2]).all()
    assert math.isclose(blocking(blocked, SMALL).mean, blocked.sum() / SMALL.requests)


def test_the_bound_is_below_every_policy_and_estimate_on_the_tiny_world() -> None:
    setting = tiny.setting(slots=12)
    blocked = {name: measure(setting, capacity.find(name), SMALL) for name in (*capacity.METHODS, "ksp-ff", "mscl")}
    assert blocked["cut-bound"].sum() > 0
    for name in ("defragmentation", "ksp-ff", "mscl", "slot-counts"):
        assert (blocked["cut-bound"] <= blocked[name]).all(), name


def test_the_load_at_a_share_blocks_that_share() -> None:
    setting, method = tiny.setting(slots=16), capacity.find("slot-counts")
    found = load_at(setting, method, 0.05, SMALL)
    again = blocking(measure(at_load(setting, 0, found.load_erlang), method, SMALL), SMALL)
    assert again == found.blocking
    assert math.isclose(again.mean, 0.05, abs_tol=0.002)
    assert 0 < found.ci95 < found.load_erlang / 4
    assert load_at(at_load(setting, 0, 3 * found.load_erlang), method, 0.05, SMALL).load_erlang == pytest.approx(
        found.load_erlang, rel=0.02
    ), "wherever the search begins"


def test_what_was_measured_before_is_not_measured_again() -> None:
    setting, asked = tiny.setting(slots=16), list[float]()

    def blocked(at: Setting, scenario: int, size: Size, prepared: Any) -> Ints64:
        asked.append(at.scenarios[scenario].load_erlang)
        return method.blocked(at, scenario, size, method.prepare(at, scenario, size))

    method = capacity.find("ksp-ff")
    whole = load_at(setting, replace(method, blocked=blocked, prepare=lambda *_: None), 0.05, SMALL)
    far, loads = max(asked), [0.8 * whole.load_erlang, 1.1 * whole.load_erlang]
    known = {load: blocking(measure(at_load(setting, 0, load), method, SMALL), SMALL).mean for load in loads}
    before = len(asked)
    again = load_at(setting, replace(method, blocked=blocked, prepare=lambda *_: None), 0.05, SMALL, known=known)
    assert again.load_erlang == pytest.approx(whole.load_erlang, rel=0.01)
    assert not set(asked[before:]) & set(loads)
    assert max(asked[before:]) < far
    assert len(asked) - before < before


def test_what_cannot_be_asked_is_refused() -> None:
    setting = tiny.setting()
    with pytest.raises(UnknownNameError, match="did you mean 'cut-set'"):
        capacity.find("cutset")
    with pytest.raises(ConfigError, match="too few to find the load by; ask for 20,000"):
        load_at(setting, capacity.find("ksp-ff"), 0.001, SMALL)
    with pytest.raises(ConfigError, match="between 0 and 1"):
        load_at(setting, capacity.find("ksp-ff"), 1.5, SMALL)
    one_slot = line_of_three(slots=2, reach_table=[{"bits_per_s_per_hz": 1.0, "reach_km": 150.0}])
    with pytest.raises(ConfigError, match=r"no load between .* has 2 % of the requests"):
        load_at(one_slot, capacity.find("slot-counts"), 0.02, SMALL)  # AC is out of reach: a third is always blocked


def test_a_trace_keeps_its_load_and_must_be_long_enough(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    file.write_text("arrival_time,holding_time,source,destination,bandwidth_gbps\n0,5,1,2,25\n1,5,1,2,25\n2,5,1,3,50\n")
    network, scenario = tiny.NETWORK, tiny.SCENARIO.model_copy(update={"trace": str(file), "warmup_requests": 0})
    setting = prepare(network, [scenario])
    with pytest.raises(ConfigError, match="its load cannot be changed"):
        at_load(setting, 0, 5.0)
    with pytest.raises(TrafficError, match="has 1 lane"):
        measure(setting, capacity.find("cut-bound"), SMALL)
    assert measure(setting, capacity.find("cut-bound"), Size(3, 1, 1, 1)).tolist() == [0]


def test_networks_where_requests_share_or_split_lightpaths_are_refused() -> None:
    groomed = make_setting(
        [("a", "b", 100.0)],
        {"grooming": {}, "reach_table": [{"bits_per_s_per_hz": 1}]},
        {"bandwidth": {"kind": "weighted", "values_gbps": [10], "weights": [1]}},
    )
    with pytest.raises(ConfigError, match=r"network\.grooming"):
        measure(groomed, capacity.find("cut-bound"), Size(requests=10, lanes=1))
