"""Candidate decisions and their features, against their slow twin and by hand on the tiny world."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.candidates import COUNT, FEATURES
from fusion_rl.domains.optical.observations import OBSERVATIONS, observation_of
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.testing import tiny
from fusion_rl.testing.simulator_contract import random_actions
from tests.domains.optical.worlds import few_examples, slow_network, slow_requests, small_settings
from tests.oracles.slow_candidates import SlowFeatures

STEPS = 12
MOST = 10


def simulator_of(setting: Setting, action: str, seed: int, observation: str = "candidates") -> OpticalSimulator:
    """One idle lane at its first request."""
    simulator = OpticalSimulator(
        setting,
        num_lanes=1,
        observation=observation,
        action=action,
        reward=RewardConfig(),
        seed=seed,
        warmup_requests=0,
        episode_requests=STEPS,
    )
    simulator.reset([0])
    return simulator


@pytest.mark.parametrize("every_start", [False, True])
def test_rows_are_what_their_slow_twin_works_out_in_the_order_of_the_actions(every_start: bool) -> None:
    @few_examples
    @given(small_settings(most_nodes=4, most_slots=30), st.integers(0, 10_000))
    def compare(setting: Setting, seed: int) -> None:
        assert_rows_agree(setting, every_start, seed)

    compare()
    assert_rows_agree(tiny.setting(slots=70), every_start, seed=3)  # across words


def assert_rows_agree(setting: Setting, every_start: bool, seed: int) -> None:
    action = f"candidates-all:{MOST}" if every_start else f"candidates:{MOST}"
    simulator, slow = simulator_of(setting, action, seed), slow_network(setting)
    names, links = setting.topology.nodes, setting.world.link_length_km.size
    features, chooser = SlowFeatures.of(slow, links), np.random.default_rng(seed)
    for _ in range(STEPS):
        (request,) = slow_requests(setting, simulator.request(0))
        slow.release(request.arrival)
        expected = list(islice(features.rows(request, links, every_start), MOST))
        shown = simulator.observations()
        assert isinstance(shown, dict)
        rows = shown["candidates"][0].reshape(MOST, COUNT)
        assert not rows[len(expected) :].any()
        for number, ((path, start), values) in enumerate(expected):
            planned, planned_start = simulator.plan(0, number)
            assert tuple(names[node] for node in setting.candidates.nodes[planned]) == path
            assert planned_start == start
            assert tuple(values) == tuple(FEATURES)
            np.testing.assert_allclose(rows[number], list(values.values()), rtol=1e-5, atol=1e-5)
        outcome = simulator.step(random_actions(simulator, chooser)).outcome
        nodes = tuple(names[node] for node in setting.candidates.nodes[outcome.path[0]])
        choice = (nodes, int(outcome.start[0])) if outcome.path[0] >= 0 else None
        slow.serve(request, lambda *_, choice=choice: choice)


def test_the_features_of_the_first_request_can_be_worked_out_by_hand() -> None:
    """50 Gb/s on two hops of an idle network: 3 slots, at either end of the 8 there are.

    The best paths give the widths 2 and 3 alone, so a link loses (7 + 6) / 2 - (4 + 3) / 2 starts.
    """
    shown = simulator_of(tiny.setting(), "candidates:4", seed=1).observations()
    assert isinstance(shown, dict)
    first, second = (
        dict(zip(FEATURES, row.tolist(), strict=True)) for row in shown["candidates"][0].reshape(4, COUNT)[:2]
    )
    expected = dict.fromkeys(FEATURES, 0.0) | {
        "spectrum_used": 2 * 3 / 20,
        "hops": 2 / 5,
        "width": 3 / 8,
        "link_loss": 2 * 3 / 10,
        "max_link_loss": 3 / 3,
        "path_loss": 3 / 10,
        "gaps": 2 * 5 / (2 * 10),
        "path_free": 1.0,
        "bandwidth": 1.0,
        "route_loss": first["route_loss"],
    }
    assert first == pytest.approx(expected)
    assert second == pytest.approx(expected | {"start": 5 / 8, "start_hops": 5 / 8 * 2 / 5})
    assert first["route_loss"] > 0


def test_candidates_are_those_of_the_codec() -> None:
    world = tiny.setting().world
    assert observation_of("candidates", "candidates:7").layout(world)["candidates"] == 7 * COUNT
    assert observation_of("candidates", "candidates-all").layout(world)["candidates"] == 512 * COUNT
    assert observation_of("candidates", "path").layout(world)["candidates"] == 64 * COUNT
    assert observation_of("unified", "candidates:7") is OBSERVATIONS["unified"]


def test_the_holding_time_is_told_under_another_name_alone() -> None:
    plain, told = (
        simulator_of(tiny.setting(), "candidates:4", 1, name).observations()
        for name in ("candidates", "candidates-known-holding")
    )
    assert isinstance(plain, dict)
    assert isinstance(told, dict)
    assert set(told) - set(plain) == {"holding_time"}
    for part, values in plain.items():
        np.testing.assert_array_equal(values, told[part])
