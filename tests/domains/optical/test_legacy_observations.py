"""FUSION's observation sets against their slow twins, and by hand on the tiny world."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.arrays import AnyArray
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.observations.legacy import PARTS
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, handle_arrival
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.testing import tiny
from fusion_rl.testing.simulator_contract import random_actions
from tests.domains.optical.worlds import few_examples, slow_network, slow_requests, small_settings
from tests.oracles import slow_observations

STEPS = 40


def simulator_of(setting: Setting, observation: str, seed: int) -> OpticalSimulator:
    """One idle lane at its first request."""
    simulator = OpticalSimulator(
        setting,
        num_lanes=1,
        observation=observation,
        action="path",
        reward=RewardConfig(),
        seed=seed,
        warmup_requests=0,
        episode_requests=STEPS,
    )
    simulator.reset([0])
    return simulator


def shown_by(simulator: OpticalSimulator) -> dict[str, AnyArray]:
    observations = simulator.observations()
    assert isinstance(observations, dict)
    return {name: part[0] for name, part in observations.items()}


def test_every_set_has_the_parts_that_fusion_gives_it() -> None:
    names = {f"obs_{number}": tuple(text.split()) for number, text in slow_observations.NAMES_OF_SET.items()}
    assert names == PARTS
    assert set(PARTS) <= set(OBSERVATIONS)
    for name, parts in PARTS.items():
        assert tuple(shown_by(simulator_of(tiny.setting(), name, seed=1))) == parts


@few_examples
@given(small_settings(), st.integers(0, 10_000))
def test_every_part_is_what_its_slow_twin_works_out(setting: Setting, seed: int) -> None:
    simulator, slow = simulator_of(setting, "obs_8", seed), slow_network(setting)
    most, chooser = slow_observations.largest(slow), np.random.default_rng(seed)
    for _ in range(STEPS):
        (request,) = slow_requests(setting, simulator.request(0))
        slow.release(request.arrival)
        expected = slow_observations.parts(slow, most, setting.topology.nodes, request)
        for name, part in shown_by(simulator).items():
            np.testing.assert_allclose(part, expected[name], rtol=0, atol=1e-6, err_msg=name)
        outcome = simulator.step(random_actions(simulator, chooser)).outcome
        names = tuple(setting.topology.nodes[node] for node in setting.candidates.nodes[outcome.path[0]])
        choice = (names, int(outcome.start[0])) if outcome.path[0] >= 0 else None
        slow.serve(request, lambda *_, choice=choice: choice)


@pytest.mark.parametrize("name", PARTS)
def test_the_smaller_sets_show_what_the_largest_one_shows(name: str) -> None:
    largest, own = (simulator_of(tiny.setting(), observation, seed=4) for observation in ("obs_8", name))
    for _ in range(STEPS):
        everything = shown_by(largest)
        for part, values in shown_by(own).items():
            np.testing.assert_array_equal(values, everything[part], err_msg=part)
        actions = largest.masks().argmax(axis=1)
        largest.step(actions)
        own.step(actions)


def test_the_parts_of_a_request_can_be_worked_out_by_hand() -> None:
    """1 to 3 for 50 Gb/s, where two services of 2 slots on 1-2 leave it the slots 0, 1, 4 and 5.

    So 1-2-3 (300 km) has no 3 slots in a row, and 1-3 (500 km) is idle; the longest path has 700 km, and the widest
    service takes 5 slots. The request stays for e - 1, whose logarithm is 1.
    """
    setting = tiny.setting()
    world, names = setting.world, setting.topology.nodes
    ends = [(names[a], names[b]) for a, b in zip(world.pair_source, world.pair_target, strict=True)]
    lane = lane_state.view(lane_state.empty(world, 1, 8), 0)
    one_to_two = ends.index(("1", "2"))
    for start in (2, 6):
        asked = Request(0.0, 9.0, one_to_two, 0, 0, 0)
        assert handle_arrival(world, lane, asked, world.path_first[one_to_two], start) == ACCEPTED
    layout = OBSERVATIONS["obs_8"].layout(world)
    row = np.full(sum(layout.values()), np.nan, np.float32)
    OBSERVATIONS["obs_8"].write(world, lane, Request(1.0, np.e - 1.0, ends.index(("1", "3")), 1, 0, 0), row)
    shown = dict(zip(layout, np.split(row, np.cumsum(list(layout.values()))[:-1]), strict=True))
    assert {name: part.tolist() for name, part in shown.items()} == {
        "source": [1, 0, 0, 0],
        "destination": [0, 0, 1, 0],
        "request_bandwidth": [0, 1],
        "holding_time": [pytest.approx(1 / 2)],
        "slots_needed": [pytest.approx(3 / 5)] * 2,
        "path_lengths": [pytest.approx(3 / 7), pytest.approx(5 / 7)],
        "paths_cong": [pytest.approx(1 / 4), 0],
        "available_slots": [pytest.approx(1 / 2), 1],
        "is_feasible": [0, 1],
    }
