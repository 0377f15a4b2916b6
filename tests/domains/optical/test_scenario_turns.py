"""Scenarios on lanes: shared out evenly, or taken in turns; and counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.domains.optical.simulator import OpticalSimulator, scenario_at
from fusion_rl.testing import tiny

LOADS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0)


def setting(scenarios: int) -> Setting:
    """The tiny world at several loads, each with episodes of its own length."""
    changes = [{"name": f"load{i}", "load_erlang": LOADS[i], "requests_per_episode": 10 + i} for i in range(scenarios)]
    return prepare(tiny.NETWORK, [tiny.SCENARIO.model_copy(update=change) for change in changes])


def simulator(scenarios: int, lanes: int) -> OpticalSimulator:
    made = OpticalSimulator(
        setting(scenarios), num_lanes=lanes, observation="deeprmsa", action="path", reward=RewardConfig(), seed=3
    )
    made.reset(range(lanes))
    return made


@given(st.integers(1, 40), st.integers(1, 40))
def test_scenarios_are_shared_out_evenly_over_lanes_or_over_their_episodes(lanes: int, scenarios: int) -> None:
    rounds = 1 if lanes >= scenarios else scenarios  # after so many, every scenario was begun as often
    begun = [scenario_at(b, e, lanes, scenarios) for b in range(lanes) for e in range(rounds)]
    counts = np.bincount(begun, minlength=scenarios)
    assert counts.max() - counts.min() <= (1 if lanes >= scenarios else 0)
    first_rounds = range(-(-scenarios // lanes))
    assert {scenario_at(b, e, lanes, scenarios) for b in range(lanes) for e in first_rounds} == set(range(scenarios))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 50))
def test_a_lane_with_enough_beside_it_keeps_its_scenario(scenarios: int, more: int, episode: int) -> None:
    lanes = scenarios + more
    assert all(scenario_at(b, episode, lanes, scenarios) == b % scenarios for b in range(lanes))


@pytest.mark.parametrize(("scenarios", "lanes"), [(1, 2), (2, 5), (5, 2), (6, 4), (3, 1)])
def test_requests_are_counted_for_the_scenario_that_they_are_of(scenarios: int, lanes: int) -> None:
    simulated = simulator(scenarios, lanes)
    counted = np.zeros(scenarios, np.int64)
    met = set()
    for _ in range(150):
        now = [simulated.scenario_of(b) for b in range(lanes)]
        met |= set(now)
        np.add.at(counted, now, 1)
        ended = simulated.step(np.zeros(lanes, np.int64)).ended
        assert simulated.requests_by_scenario().tolist() == counted.tolist()
        simulated.reset(np.flatnonzero(ended).tolist())
    assert met == set(range(scenarios))


def test_a_lane_that_goes_on_to_another_scenario_meets_its_traffic_and_its_length() -> None:
    simulated = simulator(3, 2)
    assert [simulated.scenario_of(b) for b in range(2)] == [0, 1]
    ended_at: list[list[int]] = [[], []]
    requests = []
    for t in range(40):
        if t in (10, 11):
            requests.append(simulated.request(t - 10).arrival[0])
        ended = simulated.step(np.zeros(2, np.int64)).ended
        for b in np.flatnonzero(ended):
            ended_at[b].append(t + 1)
        simulated.reset(np.flatnonzero(ended).tolist())
    assert ended_at == [[10, 22, 33], [11, 21, 33]]  # lane 0: scenarios 0, 2, 1; lane 1: 1, 0, 2
    models, warmup = setting(3).models, tiny.SCENARIO.warmup_requests
    expected = [models[(2, 0)[b]].stream(3, b, 1).take(warmup + 1).arrival[-1] for b in range(2)]
    assert requests == expected


def test_what_follows_depends_on_lane_and_episode_alone() -> None:
    one, other = simulator(5, 2), simulator(5, 2)
    for _ in range(3):
        one.reset([0])
    other.reset([0])
    other.reset([1])
    other.reset([0])
    other.reset([0])
    assert one.scenario_of(0) == other.scenario_of(0) == scenario_at(0, 3, 2, 5)
    assert one.request(0).arrival == other.request(0).arrival
