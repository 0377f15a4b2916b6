"""Networks with lightpaths decide as their slow, obvious twins do, and what they hold adds up."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_rl.arrays import frozen
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.failures import failures_of
from fusion_rl.domains.optical.metrics import Gauge
from fusion_rl.domains.optical.pipelines import orchestrator, qot
from fusion_rl.domains.optical.pipelines.orchestrator import VERDICT_NAMES
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import COUNTERS, DOWN, LIT_NOW, UP, State
from tests.domains.optical.ruled_worlds import (
    FAMILIES,
    FORMATS,
    HEURISTICS,
    counters_of,
    heuristic_of,
    lightpaths_of,
    ruled_settings,
    slow_candidates,
    slow_lightpaths_of,
    slow_twin,
)
from tests.domains.optical.worlds import few_examples, make_setting, slots_in_use, slow_requests
from tests.oracles import slow_choices
from tests.oracles.slow_lightpaths import Choice, Mbps, SlowOpticalNetwork
from tests.oracles.slow_simulator import SlowRequest

Decision = tuple[str, Choice]
REQUESTS = 60


def fast_decisions(setting: Setting, heuristic: str, requests: Requests) -> tuple[list[Decision], LaneServer]:
    server = LaneServer(setting.world, heuristic_of(heuristic), setting.typical_erlang)
    candidates = slow_candidates(setting)
    rows = zip(*(array.tolist() for array in server.serve(requests)), strict=True)
    return [(VERDICT_NAMES[v], (candidates[path], start) if start >= 0 else None) for v, path, start in rows], server


def slow_decisions(setting: Setting, heuristic: str, requests: Requests) -> tuple[list[Decision], SlowOpticalNetwork]:
    twin, decisions = slow_twin(setting, requests), []
    for asked in slow_requests(setting, requests):
        choices: list[Choice] = []

        def decide(
            network: SlowOpticalNetwork, request: SlowRequest, left: Mbps, made: list[Choice] = choices
        ) -> Choice:
            made.append(slow_choices.HEURISTICS[heuristic](network, request, left))
            return made[-1]

        decisions.append((twin.serve(asked, decide), choices[-1]))
    return decisions, twin


def assert_agree(setting: Setting, heuristic: str, requests: Requests) -> Counter[str]:
    """Compare every decision, and the network at the end; returns what was seen, verdicts and counters."""
    decided, server = fast_decisions(setting, heuristic, requests)
    expected, twin = slow_decisions(setting, heuristic, requests)
    assert decided == expected
    assert lightpaths_of(setting, server.state) == slow_lightpaths_of(twin)
    edges = [link for edge in twin.lengths_km for link in twin.links_of_edge(edge)]
    in_use = {link: slots for link in edges if (slots := twin.in_use(link))}
    found = slots_in_use(setting, server.state)
    assert {link if twin.directed else (min(link), max(link)): slots for link, slots in found.items()} == in_use
    counters = counters_of(server.state)
    assert counters == {name: count for name, count in twin.counts.items() if count}
    return Counter(verdict for verdict, _ in decided) + Counter(counters)


# What the worlds of a family always bring out; together that is every verdict and every counter.
BLOCKED_OR_HIT = {"accepted", "spectrum", "served", "lit", "failures", "hit", "dropped"}
SEEN = {
    "grooming": BLOCKED_OR_HIT | {"reach", "groomed", "sliced", "restored"},
    "slicing": BLOCKED_OR_HIT | {"reach", "sliced"},
    "protection": BLOCKED_OR_HIT | {"reach", "protection", "switched"},
    "failures": BLOCKED_OR_HIT | {"reach", "restored"},
    "transmission": BLOCKED_OR_HIT | {"qot"},
    "transmission, grooming, slicing": BLOCKED_OR_HIT | {"reach", "qot", "groomed", "sliced"},
    "transmission, protection": BLOCKED_OR_HIT | {"qot", "protection", "switched"},
}


def test_every_verdict_and_counter_is_brought_out_by_some_family() -> None:
    assert set().union(*SEEN.values()) == {*VERDICT_NAMES, *COUNTERS} - {"illegal decision"}


@pytest.mark.parametrize("family", FAMILIES)
def test_decisions_are_those_of_the_slow_simulator(family: str) -> None:
    seen: Counter[str] = Counter()

    @settings(deadline=None, derandomize=True, max_examples=40)
    @given(ruled_settings(FAMILIES[family]), st.sampled_from(HEURISTICS), st.integers(0, 10_000))
    def compare(setting: Setting, heuristic: str, seed: int) -> None:
        seen.update(assert_agree(setting, heuristic, setting.models[0].stream(seed).take(REQUESTS)))

    compare()
    assert set(seen) >= SEEN[family], "the comparison is not to be hollow"


def test_a_service_that_loses_both_its_lightpaths_is_moved_and_one_that_loses_one_goes_on() -> None:
    """Three services on a-b and a-d-b when both fail: one lightpath of each is moved to a-c-b, then switched to."""
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "d"), ("b", "d")]
    fails = [
        {"source": "a", "target": "b", "at": 5, "repair_after": 2},
        {"source": "d", "target": "a", "at": 5, "repair_after": 9},
    ]
    setting = make_setting(
        [(one, other, 100.0) for one, other in pairs],
        network={
            "links": "shared",
            "slots": 20,
            "reach_table": [FORMATS["long"]],
            "k_paths": 3,
            "path_order": "hops",
            "protection": "1+1",
        },
        scenario={
            "bandwidth": {"kind": "weighted", "values_gbps": [12.5], "weights": [1]},
            "failures": {"kind": "scheduled", "events": fails},
        },
    )
    arrival = np.array([0.0, 1.0, 2.0, 6.0, 8.0, 20.0])
    requests = Requests(
        arrival=frozen(arrival),
        holding=frozen(np.full(6, 10.0)),
        pair=frozen(np.zeros(6, np.int32)),
        bandwidth_class=frozen(np.zeros(6, np.int32)),
        key=1,
        number=0,
        events=failures_of(setting.scenarios[0], setting.topology, ()).until(20.0),
    )
    seen = assert_agree(setting, "ksp-ff", requests)
    assert (seen["failures"], seen["hit"], seen["switched"], seen["restored"], seen["dropped"]) == (2, 6, 3, 3, 0)


# ---- what a lane holds adds up ----


def assert_adds_up(setting: Setting, state: State) -> None:
    """Spectrum is what lightpaths take, lightpaths carry what services ride with, and no signal is spoilt."""
    world, lane = setting.world, lane_state.view(state, 0)
    lightpaths = lane.lightpaths
    lit = lightpaths.order[: lightpaths.marks[LIT_NOW]]
    owner = np.full(lightpaths.owner.shape, -1)
    for number in lit:
        row = lightpaths.table[number]
        links = world.path_links[world.link_first[row["path"]] : world.link_first[row["path"] + 1]]
        band = slice(row["start"], row["start"] + row["width"])
        assert (owner[links, band] == -1).all(), "no slot serves two"
        owner[links, band] = number
    assert (lightpaths.owner == owner).all()
    failed = lightpaths.failed == DOWN
    assert set(lightpaths.failed.tolist()) <= {UP, DOWN}
    assert (lane_state.occupancy(state, world) == ((owner >= 0) | failed[:, None])).all()
    services = lane.departing[: lane.live[0]]
    legs = [leg for service in services for leg in lightpaths.leg[service, : lightpaths.legs[service]]]
    for number in lit:
        row, riding = lightpaths.table[number], [leg["mbps"] for leg in legs if leg["lightpath"] == number]
        assert (row["riders"], row["used"]) == (len(riding), sum(riding))
        assert 0 < row["used"] <= row["capacity"]
        if setting.network.transmission is not None and setting.network.transmission.check_running:
            noise = qot.noise_when_lit(world, lane, number)
            assert noise <= world.transmission.most_noise[row["path"]] * (1 + 1e-12)
    assert {leg["lightpath"] for leg in legs} == set(lit.tolist())
    assert sorted(lightpaths.order.tolist()) == list(range(lightpaths.order.size))
    counted = dict(zip(COUNTERS, lightpaths.counters.tolist(), strict=True))
    assert counted["hit"] == counted["switched"] + counted["restored"] + counted["dropped"]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_lane_holds_adds_up_until_nothing_is_lit(family: str) -> None:
    @few_examples
    @given(ruled_settings(FAMILIES[family]), st.sampled_from(HEURISTICS), st.integers(0, 1000))
    def check(setting: Setting, heuristic: str, seed: int) -> None:
        server = LaneServer(setting.world, heuristic_of(heuristic), setting.typical_erlang)
        stream = setting.models[0].stream(seed)
        for _ in range(8):
            server.serve(stream.take(10))
            assert_adds_up(setting, server.state)
        lane = lane_state.view(server.state, 0)
        orchestrator.handle_release(setting.world, lane, np.inf)
        assert lane.live[0] == lane.lightpaths.marks[LIT_NOW] == 0
        assert (lane.lightpaths.owner == -1).all()

    check()


def served(setting: Setting, heuristic: str, seed: int, *chunks: int, capacity: int | None = None) -> tuple[Any, ...]:
    """Decisions and the network at the end of requests that are served in chunks, looked at in between."""
    server = LaneServer(setting.world, heuristic_of(heuristic), setting.typical_erlang)
    if capacity is not None:
        server.state = lane_state.empty(setting.world, 1, capacity)
    stream = setting.models[0].stream(seed)
    decisions: list[tuple[int, ...]] = []
    for count in chunks:
        asked = stream.take(count)
        server.look(asked, Gauge(setting.world.link_length_km.size))
        decisions += zip(*(array.tolist() for array in server.serve(asked)), strict=True)
    occupancy = lane_state.occupancy(server.state, setting.world).tolist()
    return decisions, occupancy, lightpaths_of(setting, server.state), counters_of(server.state)


@pytest.mark.parametrize("family", FAMILIES)
def test_neither_chunks_nor_growth_nor_repetition_change_what_is_done(family: str) -> None:
    @few_examples
    @given(ruled_settings(FAMILIES[family]), st.sampled_from(HEURISTICS), st.integers(0, 1000))
    def compare(setting: Setting, heuristic: str, seed: int) -> None:
        expected = served(setting, heuristic, seed, 80)
        assert served(setting, heuristic, seed, 80) == expected
        assert served(setting, heuristic, seed, 1, 30, 49) == expected
        assert served(setting, heuristic, seed, 80, capacity=1) == expected

    compare()


def test_a_service_may_be_the_last_on_more_lightpaths_than_it_lit() -> None:
    """Two requests for 10 Gb/s light 12.5 Gb/s each; one for 30 rides on what is left, and then they leave."""
    bandwidth = {"kind": "weighted", "values_gbps": [10.0, 30.0], "weights": [1, 1]}
    network = {"slots": 100, "reach_table": [FORMATS["long"]], "k_paths": 1, "grooming": {"max_parts": 3}}
    setting = make_setting([("a", "b", 100.0)], network, {"bandwidth": bandwidth})
    requests = Requests(
        arrival=frozen(np.arange(3.0)),
        holding=frozen(np.array([3.5, 3.5, 1000.0])),
        pair=frozen(np.zeros(3, np.int32)),
        bandwidth_class=frozen(np.array([0, 0, 1], np.int32)),
        key=1,
        number=0,
    )
    server = LaneServer(setting.world, heuristic_of("ksp-ff"), 1.0)
    server.state = lane_state.empty(setting.world, 1, 1)
    server.serve(requests)
    lane = lane_state.view(server.state, 0)
    orchestrator.handle_release(setting.world, lane, 10.0)
    assert_adds_up(setting, server.state)
    assert (lane.live[0], lane.lightpaths.marks[LIT_NOW]) == (1, 2)
    assert lane.lightpaths.order.size >= 3 * lane.unused.size, "any service may be the last on all its parts"


def test_kernels_that_are_compiled_decide_as_plain_python_does() -> None:
    """The same requests in a process without compilation, whose digest is compared."""
    script = "from tests.domains.optical.test_lightpaths import digest_of_some; print(digest_of_some())"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split()[-1] == digest_of_some()


def digest_of_some() -> str:
    """A digest of what is done with some requests in a network with nearly all of the rules."""
    setting = make_setting(
        [("a", "b", 100.0), ("b", "c", 450.0), ("a", "c", 700.0)],
        network={
            "slots": 20,
            "reach_table": list(FORMATS.values()),
            "format_choice": "by-snr",
            "transmission": {"launch_power_dbm_per_slot": 1.0},
            "grooming": {"max_parts": 2},
            "slicing": {"max_segments": 3},
        },
        scenario={
            "load_erlang": 10.0,
            "bandwidth": {"kind": "uniform-integers", "low_gbps": 10, "high_gbps": 150},
            "failures": {"kind": "random", "mean_time_between": 40.0, "mean_time_to_repair": 8.0},
        },
    )
    done = served(setting, "random", 5, 80, 40)
    assert {"groomed", "sliced", "hit"} <= set(done[-1])
    return hashlib.sha256(repr(done).encode()).hexdigest()
