"""Scores: legal and repeatable as any heuristic, as mscl where they begin, and as their slow twin where they go."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical import trials
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.scores import SCORES, heuristic_of
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import each, same
from fusion_rl.testing.simulator_contract import random_actions
from tests.domains.optical.test_candidates import simulator_of
from tests.domains.optical.worlds import few_examples, make_setting, slow_network, slow_requests, small_settings
from tests.oracles.slow_scores import SlowScore

REQUESTS = 150


def policy_of(name: str, setting: Setting, seed: int | None = None) -> Heuristic:
    """A score with the parameters that it begins with, or with random ones near them."""
    score = SCORES[name]
    given = score.parameters(setting.world)
    if seed is not None:
        chooser = np.random.default_rng(seed)
        given = {parameter: value + chooser.normal() for parameter, value in given.items()}
    return heuristic_of(score, given, setting.scenarios[0].mean_holding_time)


def decisions(setting: Setting, policy: Heuristic, count: int = REQUESTS) -> tuple[np.ndarray, ...]:
    server = LaneServer(setting.world, policy, setting.typical_erlang)
    return tuple(each(server.serve(setting.models[0].stream(1, 0, 0).take(count)), np.copy))


@pytest.mark.parametrize("name", SCORES.names())
def test_a_score_carries_what_can_be_carried_and_decides_alike_every_time(name: str) -> None:
    setting = tiny.setting()
    once, again = (decisions(setting, policy_of(name, setting, seed=3)) for _ in range(2))
    assert same(once, again)
    verdict = once[0]
    assert set(verdict.tolist()) == {0, 1}, "served, or blocked for want of spectrum; nothing else"
    for seed in range(3):  # where it blocks, no path has room
        refused = _refusals_with_room(setting, policy_of(name, setting, seed))
        assert refused == 0


def _refusals_with_room(setting: Setting, policy: Heuristic) -> int:
    simulator = simulator_of(setting, "path-start", seed=2, observation="unified")
    options, world, count = policy.prepare(setting.world), setting.world, 0
    chooser = np.random.default_rng(1)
    for _ in range(10):
        lane, request = lane_state.view(simulator.state, 0), request_at(simulator.request(0), 0)
        _, start = policy.decide(world, lane, request, options)
        possible = simulator.plan(0, int(simulator.masks()[0].argmax()))[1] >= 0
        assert (start >= 0) == possible
        count += start < 0 and possible
        simulator.step(random_actions(simulator, chooser))
    return count


@few_examples
@given(small_settings(most_nodes=5, most_slots=70), st.integers(0, 100))
def test_learned_slot_capacity_begins_as_mscl(setting: Setting, seed: int) -> None:
    """On candidate sets that it sees whole: at most ten paths a pair, and here there are at most six."""
    learned = decisions(setting, policy_of("slot-capacity", setting), 60)
    assert same(learned, decisions(setting, HEURISTICS["mscl"], 60))


@pytest.mark.parametrize("name", ["slot-capacity", "slot-capacity-known-holding"])
def test_learned_slot_capacity_takes_what_its_slow_twin_scores_lowest(name: str) -> None:
    @few_examples
    @given(small_settings(most_nodes=4, most_slots=30), st.integers(0, 10_000))
    def compare(setting: Setting, seed: int) -> None:
        assert_lowest(setting, name, seed)

    compare()
    assert_lowest(tiny.setting(slots=70), name, seed=3)  # across words
    meshed = [(one, other, 100.0) for one, other in combinations("12345", 2)]
    assert_lowest(make_setting(meshed, {"k_paths": 12, "slots": 8}, {"load_erlang": 60.0}), name, seed=3)  # K > 10


def test_weights_that_cancel_out_on_a_run_add_up_over_many_of_them() -> None:
    """Slots less pairs of them: 1 on a run of any length, so that the idle link's is no bound on V."""
    meshed = [(one, other, 100.0) for one, other in combinations("1234", 2)]
    setting = make_setting(meshed, {"k_paths": 3, "slots": 40}, {"load_erlang": 60.0})
    assert_lowest(setting, "slot-capacity", seed=3, count=120, **{"link_width/1": 1.0, "link_width/2": -1.0})


def assert_lowest(setting: Setting, name: str, seed: int, count: int = 30, **weights: float) -> None:
    score, chooser = SCORES[name], np.random.default_rng(seed)
    first = score.parameters(setting.world)
    parameters = {key: value + 0.7 * chooser.normal() for key, value in first.items()}
    if weights:
        parameters = first | {key: -20.0 for key in first if key.startswith("width/")} | weights
    mean = setting.scenarios[0].mean_holding_time
    policy = heuristic_of(score, parameters, mean)
    slow = slow_network(setting)
    twin, names = SlowScore(slow, parameters, mean), setting.topology.nodes
    asked = setting.models[0].stream(seed, 0, 0).take(count)
    decided = LaneServer(setting.world, policy, setting.typical_erlang).serve(asked)
    for request, path, start in zip(slow_requests(setting, asked), decided.path, decided.start, strict=True):
        slow.release(request.arrival)
        scores = twin.scores(request, score.known_holding)
        if path < 0:
            assert not scores
            continue
        choice = (tuple(names[node] for node in setting.candidates.nodes[path]), int(start))
        lowest = min(scores.values())
        assert scores[choice] == pytest.approx(lowest, rel=1e-4, abs=1e-3)
        slow.serve(request, lambda *_, choice=choice: choice)


@pytest.mark.parametrize("observation", ["spectrum", "spectrum-known-holding"])
def test_a_score_decides_from_what_it_is_shown_as_it_does_in_rollouts(observation: str) -> None:
    setting = tiny.setting(slots=70)
    name = "slot-capacity-known-holding" if observation == "spectrum-known-holding" else "slot-capacity"
    policy = policy_of(name, setting, seed=4)
    simulator = simulator_of(setting, "path-start", seed=5, observation=observation)
    world, chooser = setting.world, np.random.default_rng(2)
    here, there = policy.prepare(world), policy.prepare(world)
    for _ in range(12):
        shown = simulator.observations()
        assert isinstance(shown, dict)
        lane, request = lane_state.view(simulator.state, 0), request_at(simulator.request(0), 0)
        by_slot = (1, world.link_length_km.size, world.slots)
        told = (shown["holding_time"][:, 0], shown["time_left"].reshape(by_slot)) if "time_left" in shown else ()
        in_use = shown["spectrum"].reshape(by_slot) > 0
        if told:
            assert ((told[1] > 0) == in_use).all()
        rank, start = trials.decide(
            setting, policy, there, np.array([request.pair]), np.array([request.bandwidth_class]), in_use, *told
        )
        path, expected = policy.decide(world, lane, request, here)
        assert (rank[0] + world.path_first[request.pair], start[0]) == (path, expected)
        simulator.step(random_actions(simulator, chooser))


def test_without_a_weight_for_the_future_known_holding_times_change_nothing() -> None:
    setting = tiny.setting(slots=16)
    score = SCORES["slot-capacity-known-holding"]
    given = score.parameters(setting.world) | {"rank": 0.3, "load": 0.5, "link_width/2": 0.2}
    blind = heuristic_of(score, given | {"future": 0.0}, 10.0)
    seeing = heuristic_of(score, given | {"future": 1.0}, 10.0)
    plain = heuristic_of(SCORES["slot-capacity"], given, 10.0)
    assert same(decisions(setting, blind), decisions(setting, plain))
    assert not same(decisions(setting, seeing), decisions(setting, plain))


def test_members_of_a_trial_meet_the_same_requests() -> None:
    setting = tiny.setting()
    policies = [policy_of("linear", setting), policy_of("linear", setting), HEURISTICS["random"]]
    size = {"warmer": policies[0], "scenario": 0, "lanes": 3, "warmup_requests": 20, "requests": 200}
    one = trials.blocked(setting, policies, entropy=(1, 2), threads=1, **size)
    assert one[0] == one[1]
    assert one.tolist() == trials.blocked(setting, policies, entropy=(1, 2), threads=2, **size).tolist()
    assert one.tolist() != trials.blocked(setting, policies, entropy=(1, 3), threads=2, **size).tolist()
