"""What a lane holds is what its services take: nothing is lost, nothing is shared, nothing stays behind."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fusion_rl.arrays import Bools
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.actions import CODECS
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines import orchestrator
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.state import Lane
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import each, same
from tests.domains.optical.worlds import few_examples, readable, small_settings


def spectrum_of_live_services(setting: Setting, lane: Lane) -> Bools:
    """Slots that the running services take, [L, S], once it is sure that no slot serves two."""
    world = setting.world
    taken = np.zeros((world.link_length_km.size, world.slots), np.int64)
    for service in lane.departing[: lane.live[0]]:
        path = lane.service_path[service]
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
        taken[links, lane.service_start[service] : lane.service_start[service] + lane.service_width[service]] += 1
    assert taken.max() <= 1
    return np.equal(taken, 1)


def assert_conserved(setting: Setting, state: lane_state.State) -> None:
    world, lane = setting.world, lane_state.view(state, 0)
    in_use = spectrum_of_live_services(setting, lane)
    assert (lane_state.occupancy(state, world) == in_use).all()
    assert (lane.occupied & world.beyond == world.beyond).all(), "slots above the last one stay out of use"
    assert np.allclose(lane_state.utilisation(state, world)[0], in_use.mean(axis=1))
    live, capacity = int(lane.live[0]), lane.unused.size
    numbers = [*lane.departing[:live], *lane.unused[: capacity - live]]
    assert sorted(numbers) == list(range(capacity)), "every service number is either running or unused"


@few_examples
@given(small_settings(), st.integers(0, 1000), st.sampled_from(HEURISTICS.names()))
def test_slots_in_use_are_those_of_the_live_services(setting: Setting, seed: int, heuristic: str) -> None:
    server = LaneServer(setting.world, HEURISTICS[heuristic], setting.typical_erlang)
    stream = setting.models[0].stream(seed)
    for _ in range(12):
        server.serve(stream.take(10))
        assert_conserved(setting, server.state)


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_a_network_whose_services_have_all_left_is_empty(setting: Setting, seed: int) -> None:
    server = LaneServer(setting.world, HEURISTICS["ksp-ff"], setting.typical_erlang)
    server.serve(setting.models[0].stream(seed).take(120))
    lane = lane_state.view(server.state, 0)
    assume(lane.live[0] > 0)
    orchestrator.handle_release(setting.world, lane, np.inf)
    assert lane.live[0] == 0
    assert (lane.occupied == setting.world.beyond).all()
    assert_conserved(setting, server.state)


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_a_lane_that_has_to_grow_decides_as_one_that_had_room(setting: Setting, seed: int) -> None:
    requests = setting.models[0].stream(seed).take(200)
    roomy = LaneServer(setting.world, HEURISTICS["ff-ksp"], 10_000.0)
    expected = readable(setting, roomy.serve(requests))
    cramped = LaneServer(setting.world, HEURISTICS["ff-ksp"], 0.0)
    cramped.state = lane_state.empty(setting.world, lanes=1, capacity=1)
    assert readable(setting, cramped.serve(requests)) == expected
    assert cramped.state.unused.shape[1] > 1
    assert_conserved(setting, cramped.state)


@pytest.mark.parametrize("warmup_requests", [0, 1, 2, 3, 20])
def test_a_simulator_that_has_to_grow_decides_as_one_that_had_room(warmup_requests: int) -> None:
    cramped, roomy = (growing_simulator(capacity, warmup_requests) for capacity in (1, 1000))
    for _ in range(60):
        assert (cramped.masks() == roomy.masks()).all()
        actions = roomy.masks().argmax(axis=1)
        one, other = cramped.step(actions).outcome, roomy.step(actions).outcome
        assert same(one, other)
        assert_conserved(cramped.setting, cramped.state)


def growing_simulator(capacity: int, warmup_requests: int) -> OpticalSimulator:
    """A simulator of the tiny world with room for so many services at first."""
    simulator = OpticalSimulator(
        tiny.setting(),
        num_lanes=2,
        observation="deeprmsa",
        action="path",
        reward=RewardConfig(),
        seed=3,
        warmup_requests=warmup_requests,
    )
    simulator._state = lane_state.empty(simulator.setting.world, 2, capacity)
    simulator.reset([0, 1])
    return simulator


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_the_mask_tells_exactly_what_can_be_served(setting: Setting, seed: int) -> None:
    """Every action of every request is tried on a copy of the lane: served if and only if its mask is true."""
    world, codec = setting.world, CODECS["path"]
    simulator = OpticalSimulator(
        setting, num_lanes=1, observation="deeprmsa", action="path", reward=RewardConfig(), seed=seed, warmup_requests=0
    )
    simulator.reset([0])
    chooser = np.random.default_rng(seed)
    for _ in range(60):
        mask = simulator.masks()[0]
        request = request_at(simulator.request(0), 0)
        verdicts = []
        for action in range(codec.count(world, 0)):
            copy = each(lane_state.view(simulator.state, 0), np.copy)
            path, start = codec.decode(world, copy, request, action, 0)
            verdicts.append(orchestrator.handle_arrival(world, copy, request, path, start))
        served = [verdict == orchestrator.ACCEPTED for verdict in verdicts]
        assert orchestrator.REFUSED_DECISION not in verdicts
        if any(served):
            assert mask.tolist() == served
        else:
            assert mask.tolist() == [True] + [False] * (mask.size - 1), "one action is left where none can be served"
        action = int(chooser.integers(mask.size))
        verdict = simulator.step(np.array([action])).outcome.verdict[0]
        assert verdict == verdicts[action], "stepping does what was tried"


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_a_blocked_request_has_the_reason_that_blocked_it(setting: Setting, seed: int) -> None:
    requests = setting.models[0].stream(seed).take(120)
    decisions = LaneServer(setting.world, HEURISTICS["ksp-ff"], 50.0).serve(requests)
    for t in np.flatnonzero(decisions.verdict):
        pair = requests.pair[t]
        candidates = slice(*setting.world.path_first[pair : pair + 2])
        reachable = setting.world.path_width[candidates, requests.bandwidth_class[t]].any()
        expected = orchestrator.BLOCKED_NO_SPECTRUM if reachable else orchestrator.BLOCKED_NO_REACH
        assert decisions.verdict[t] == expected


def test_spectrum_in_use_and_paths_of_other_pairs_are_refused() -> None:
    setting = tiny.setting()
    world = setting.world
    request = request_at(setting.models[0].stream(0).take(1), 0)
    lane = lane_state.view(lane_state.empty(world, 1, 4), 0)
    own = int(world.path_first[request.pair])
    other = int(world.path_first[request.pair + 1]) % int(world.path_first[-1])
    width = int(world.path_width[own, request.bandwidth_class])
    assert orchestrator.handle_arrival(world, lane, request, other, 0) == orchestrator.REFUSED_DECISION
    for start in (-2, world.slots - width + 1, world.slots):
        assert orchestrator.handle_arrival(world, lane, request, own, start) == orchestrator.REFUSED_DECISION
    assert not (lane.occupied & ~world.beyond).any()
    assert orchestrator.handle_arrival(world, lane, request, own, 1) == orchestrator.ACCEPTED
    assert orchestrator.handle_arrival(world, lane, request, own, width) == orchestrator.REFUSED_DECISION
    assert orchestrator.handle_arrival(world, lane, request, own, 1 + width) == (
        orchestrator.ACCEPTED if 1 + 2 * width <= world.slots else orchestrator.REFUSED_DECISION
    )
