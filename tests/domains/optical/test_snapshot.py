"""Lanes that are put away and set up again elsewhere go on as if nothing had happened."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import trace_files
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.domains.optical.simulator import WINDOW, OpticalSimulator
from fusion_rl.domains.optical.snapshot import restore, snapshot
from fusion_rl.errors import SimulationError
from fusion_rl.testing import tiny
from fusion_rl.training import bundle


def variant(**changes: Any) -> ScenarioConfig:
    return ScenarioConfig.model_validate(tiny.SCENARIO.model_dump() | changes)


SETTING = prepare(
    tiny.NETWORK,
    [
        tiny.SCENARIO,
        variant(name="bursts", arrivals={"kind": "on-off", "mean_on_time": 3.0, "mean_off_time": 5.0}),
        variant(name="long", load_erlang=60.0, requests_per_episode=3 * WINDOW),
    ],
)


def lanes(setting: Setting = SETTING, count: int = 5, seed: int = 1) -> OpticalSimulator:
    return OpticalSimulator(
        setting, num_lanes=count, observation="deeprmsa", action="path", reward=RewardConfig(), seed=seed
    )


def go_on(simulator: OpticalSimulator, steps: int, choices: np.random.Generator) -> list[np.ndarray]:
    """Step with actions by chance; everything that came of it."""
    seen = []
    for _ in range(steps):
        step = simulator.step(choices.integers(2, size=simulator.num_lanes))
        seen += [step.reward, step.ended, *step.outcome]
        if step.ended.any():
            simulator.reset(np.flatnonzero(step.ended))
        seen += [simulator.observations(), simulator.masks()]
    return seen


@settings(max_examples=15)
@given(before=st.integers(0, 300), after=st.integers(1, 250), seed=st.integers(0, 5))
def test_lanes_that_are_restored_go_on_alike(before: int, after: int, seed: int) -> None:
    simulator = lanes(seed=seed)
    simulator.reset(range(5))
    choices = np.random.default_rng(seed)
    go_on(simulator, before, choices)
    kept = snapshot(simulator)
    state = choices.bit_generator.state
    expected = go_on(simulator, after, choices)
    other = lanes(seed=99)
    restore(other, kept)
    choices.bit_generator.state = state
    for mine, its in zip(go_on(other, after, choices), expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_a_window_that_is_refilled_after_restoring_holds_the_same_requests(tmp_path: Path) -> None:
    """Also through a file, and with room for services that grew while the lanes ran."""
    simulator = lanes()
    simulator.reset(range(5))
    go_on(simulator, WINDOW - 3, np.random.default_rng(2))
    simulator._make_room(10**6)
    path = bundle.write(tmp_path / "lanes.bundle", snapshot(simulator), {})
    expected = go_on(simulator, 40, np.random.default_rng(3))
    other = lanes(seed=4)
    restore(other, bundle.read(path)[0])
    for mine, its in zip(go_on(other, 40, np.random.default_rng(3)), expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_a_snapshot_does_not_change_with_what_it_was_taken_of() -> None:
    simulator = lanes()
    simulator.reset(range(5))
    kept = snapshot(simulator)
    first = go_on(simulator, 30, np.random.default_rng(1))
    for _ in range(2):
        restore(simulator, kept)
        for mine, its in zip(go_on(simulator, 30, np.random.default_rng(1)), first, strict=True):
            np.testing.assert_array_equal(mine, its)


def test_a_trace_goes_on_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "trace.csv"
    served = [SETTING.models[0].stream(1, lane, 0).take(200) for lane in range(2)]
    trace_files.write(str(file), served, SETTING.topology, SETTING.classes)
    setting = prepare(tiny.NETWORK, [variant(name="replayed", trace=str(file))])
    simulator = lanes(setting, 2)
    simulator.reset(range(2))
    go_on(simulator, 50, np.random.default_rng(1))
    kept = snapshot(simulator)
    expected = go_on(simulator, 70, np.random.default_rng(2))
    other = lanes(setting, 2)
    restore(other, kept)
    for mine, its in zip(go_on(other, 70, np.random.default_rng(2)), expected, strict=True):
        np.testing.assert_array_equal(mine, its)


def test_another_number_of_lanes_is_refused() -> None:
    simulator = lanes()
    simulator.reset(range(5))
    with pytest.raises(SimulationError, match="the state of 5 lanes cannot be restored to 3"):
        restore(lanes(count=3), snapshot(simulator))
