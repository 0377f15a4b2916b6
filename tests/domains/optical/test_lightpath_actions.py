"""Masks and decisions of every codec in networks with lightpaths, through the simulator that environments step."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.actions import codec_of
from fusion_rl.domains.optical.pipelines.orchestrator import (
    ACCEPTED,
    REFUSED_DECISION,
    VERDICT_NAMES,
    after_grooming,
    handle_arrival,
)
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.state import Lane
from fusion_rl.testing.contracts import each
from tests.domains.optical.ruled_worlds import (
    FAMILIES,
    Options,
    counters_of,
    lightpaths_of,
    ruled_settings,
    slow_candidates,
    slow_lightpaths_of,
    slow_twin,
)
from tests.domains.optical.worlds import few_examples, slow_requests
from tests.oracles.slow_lightpaths import Choice

CODECS = ("path", "path-block:2", "path-start", "path-modulation")
WITHOUT_TRANSMISSION: dict[str, Options] = {
    "grooming": (None, *FAMILIES["grooming"]["grooming"]),
    "slicing": (None, *FAMILIES["slicing"]["slicing"]),
    "failures": ("scheduled", "random"),
    "format_choice": ("by-reach", "by-action"),
}
WITH_TRANSMISSION = WITHOUT_TRANSMISSION | {
    "transmission": (True,),
    "format_choice": ("by-reach", "by-snr", "by-action"),
}
PROTECTED: dict[str, Options] = FAMILIES["protection"]
WORLDS = {"sharing": WITHOUT_TRANSMISSION, "protection": PROTECTED, "transmission": WITH_TRANSMISSION}

# Each codec is compiled anew for networks with transmission and without.
COMPILED_LONG = [("path-block:2", "transmission"), ("path-start", "transmission")]
CASES = [
    pytest.param(*case, marks=pytest.mark.slow if case in COMPILED_LONG else ()) for case in product(CODECS, WORLDS)
]


def simulator(setting: Setting, action: str, seed: int, warmup_requests: int = 5) -> OpticalSimulator:
    made = OpticalSimulator(
        setting,
        num_lanes=1,
        observation="deeprmsa",
        action=action,
        reward=RewardConfig(),
        seed=seed,
        warmup_requests=warmup_requests,
        episode_requests=1000,
    )
    made.reset([0])
    return made


def copy_of(lane: Lane) -> Lane:
    return each(lane._replace(lightpaths=None), lambda array: array if array is None else array.copy())._replace(
        lightpaths=each(lane.lightpaths, np.copy)
    )


def verdict_of_each_action(stepped: OpticalSimulator, action: str) -> tuple[list[int], list[bool]]:
    """What serving does with every action, each tried on a copy of the lane; and whether it lights what it says."""
    world, codec = stepped.setting.world, codec_of(action)
    verdicts, meant = [], []
    for number in range(codec.count(world, codec.parameter)):
        lane = copy_of(lane_state.view(stepped.state, 0))
        request = after_grooming(world, lane, request_at(stepped.request(0), 0))
        path, start = codec.decode(world, lane, request, number, codec.parameter)
        verdicts.append(int(handle_arrival(world, lane, request, path, start)))
        meant.append(start >= 0 or request.mbps == 0)
    return verdicts, meant


@pytest.mark.parametrize(("action", "worlds"), CASES)
def test_an_action_that_is_allowed_is_served_and_one_that_is_not_never(action: str, worlds: str) -> None:
    allowed, refused = 0, 0

    @few_examples
    @given(ruled_settings(WORLDS[worlds], most_slots=16), st.integers(0, 100))
    def check(setting: Setting, seed: int) -> None:
        nonlocal allowed, refused
        stepped, chooser = simulator(setting, action, seed), np.random.default_rng(seed)
        for _ in range(12):
            mask = stepped.masks()[0]
            verdicts, meant = verdict_of_each_action(stepped, action)
            assert REFUSED_DECISION not in verdicts
            assert stepped.servable()[0] == any(meant)
            if any(meant):
                assert mask.tolist() == [verdict == ACCEPTED for verdict in verdicts] == meant
                allowed, refused = allowed + mask.sum(), refused + (~mask).sum()
            else:
                assert mask.tolist() == [True] + [False] * (mask.size - 1), "an agent must choose something"
                assert len(set(verdicts)) == 1, "none is wanted, so all are alike"
            number = int(chooser.integers(mask.size))
            assert stepped.step(np.array([number])).outcome.verdict[0] == verdicts[number]

    check()
    assert allowed > 0
    assert refused > 0


@pytest.mark.parametrize("worlds", WORLDS)
def test_what_actions_decide_is_served_as_the_slow_simulator_serves_it(worlds: str) -> None:
    """Any actions, allowed or not: in networks whose actions name the format, and say whether to ride."""
    by_action = WORLDS[worlds] | {"format_choice": ("by-action",)}

    @few_examples
    @given(ruled_settings(by_action, most_slots=16), st.integers(0, 100))
    def compare(setting: Setting, seed: int) -> None:
        stepped = simulator(setting, "path-modulation", seed, warmup_requests=0)
        chooser = np.random.default_rng(seed)
        requests = setting.models[0].stream(seed, 0, 0).take(41)
        twin, candidates = slow_twin(setting, requests), slow_candidates(setting)
        *served, last = slow_requests(setting, requests)
        for asked in served:
            mask = stepped.masks()[0]
            action = int(chooser.choice(np.flatnonzero(mask) if chooser.random() < 0.8 else mask.size))
            path, start = stepped.plan(0, action)
            choice: Choice = (candidates[path], start) if start >= 0 else None
            verdict = VERDICT_NAMES[stepped.step(np.array([action])).outcome.verdict[0]]
            assert verdict == twin.serve(asked, lambda *_, made=choice: made)
        twin.pass_time(last.arrival)  # so far the simulator has looked
        assert lightpaths_of(setting, stepped.state) == slow_lightpaths_of(twin)
        assert counters_of(stepped.state) == {name: count for name, count in twin.counts.items() if count}
        seen.update(counters_of(stepped.state))

    seen: set[str] = set()
    compare()
    assert {"served", "failures", "hit"} <= seen
