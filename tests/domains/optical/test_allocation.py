"""What a step says of itself where networks groom, split, protect and model transmission: by hand, on the tiny world.

A slot carries 25 Gb/s up to 500 km, and each lightpath has a guard slot: 25 Gb/s take 2 slots, 50 take 3, 100 take 5
of the 8. From 1 to 3 lead 1-2-3 (100 + 200 km) and 1-3 (500 km).
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.config.transmission import TransmissionConfig
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.views import AllocationResult, allocation
from fusion_rl.domains.optical.world import World
from fusion_rl.testing import tiny
from tests.domains.optical.worlds import slow_fibre
from tests.oracles import slow_qot

FORMATS = [
    {"bits_per_s_per_hz": 2.0, "reach_km": 500.0, "required_snr_db": 12.0},
    {"bits_per_s_per_hz": 1.0, "required_snr_db": 9.0},
]


def world_of(folder: Path, asked: list[tuple[str, str, float]], **network: Any) -> Setting:
    """The tiny world with other rules, and requests (source, destination, Gb/s) that come one by one and stay."""
    rows = [f"{t},1000,{source},{target},{gbps}" for t, (source, target, gbps) in enumerate(asked)]
    file = folder / "asked.csv"
    file.write_text("\n".join(["arrival_time,holding_time,source,destination,bandwidth_gbps", *rows]))
    given = tiny.NETWORK.model_dump() | {"reach_table": FORMATS} | network
    scenario = tiny.SCENARIO.model_dump() | {"trace": str(file), "warmup_requests": 0}
    return prepare(NetworkConfig.model_validate(given), [ScenarioConfig.model_validate(scenario)])


def results(setting: Setting, count: int, action: str = "path") -> list[AllocationResult]:
    """What becomes of the requests, each decided by the first action that is allowed."""
    stepped = OpticalSimulator(
        setting,
        num_lanes=1,
        observation="deeprmsa",
        action=action,
        reward=RewardConfig(),
        seed=1,
        episode_requests=count,
    )
    stepped.reset([0])
    return [allocation(stepped, stepped.step(stepped.masks().argmax(axis=1)).outcome) for _ in range(count)]


def test_a_request_rides_on_what_others_left(tmp_path: Path) -> None:
    asked = [("1", "3", 40.0), ("1", "3", 10.0), ("1", "3", 10.0)]
    lit, rides, lit_too = results(world_of(tmp_path, asked, grooming={"max_parts": 1}), 3)
    assert lit == AllocationResult(True, None, ("1", "2", "3"), 0, 3, 40.0, lightpaths_created=1)
    assert rides == AllocationResult(True, None, (), None, 0, 10.0, groomed_gbps=10.0)
    assert rides.groomed
    assert not lit.groomed
    assert lit_too == AllocationResult(True, None, ("1", "2", "3"), 3, 2, 10.0, lightpaths_created=1)


def test_a_request_rides_in_part_and_lights_the_rest(tmp_path: Path) -> None:
    setting = world_of(tmp_path, [("1", "3", 40.0), ("1", "3", 30.0)], grooming={"max_parts": 2})
    _, shared = results(setting, 2)
    assert shared == AllocationResult(True, None, ("1", "2", "3"), 3, 2, 30.0, groomed_gbps=10.0, lightpaths_created=1)


def test_a_request_that_fits_nowhere_whole_is_split_or_blocked_as_a_whole(tmp_path: Path) -> None:
    setting = world_of(tmp_path, [("1", "3", 100.0)] * 4, slicing={"max_segments": 2})
    first, second, third, fourth = results(setting, 4)
    assert (first.nodes, first.slots, second.nodes, second.slots) == (("1", "2", "3"), 5, ("1", "3"), 5)
    assert third == AllocationResult(True, None, (), None, 0, 100.0, lightpaths_created=2, sliced=True)
    assert fourth == AllocationResult(False, "spectrum", (), None, 0, 0.0)


def test_a_protected_request_has_two_lightpaths_or_none(tmp_path: Path) -> None:
    """From 2 to 3 the second way is 2-1-3, 600 km: 3 slots, so that 125 Gb/s (6 slots) find room on 1-2-3 alone."""
    setting = world_of(tmp_path, [("2", "3", 25.0), ("1", "3", 125.0), ("1", "3", 100.0)], protection="1+1")
    first, second, third = results(setting, 3)
    assert first == AllocationResult(True, None, ("2", "3"), 0, 2, 25.0, lightpaths_created=2)
    assert second == AllocationResult(False, "protection", (), None, 0, 0.0)
    assert third == AllocationResult(True, None, ("1", "2", "3"), 2, 5, 100.0, lightpaths_created=2)


def test_the_snr_of_what_was_lit_is_told(tmp_path: Path) -> None:
    setting = world_of(tmp_path, [("1", "3", 25.0)], transmission={})
    (lit,) = results(setting, 1)
    fibre = slow_fibre(TransmissionConfig(), 12.5)
    noise = sum(slow_qot.link_inverse_snr(fibre, length_m, (0.0, 12.5e9), []) for length_m in (100e3, 200e3))
    assert lit.snr_db == pytest.approx(-10 * np.log10(noise), rel=1e-9)


def test_a_signal_that_does_not_arrive_is_blocked_for_its_quality(tmp_path: Path) -> None:
    demanding = [form | {"required_snr_db": 60.0} for form in FORMATS]
    setting = world_of(tmp_path, [("1", "3", 25.0)], transmission={}, reach_table=demanding)
    assert results(setting, 1) == [AllocationResult(False, "qot", (), None, 0, 0.0)]


def test_the_most_efficient_format_that_arrives_is_taken(tmp_path: Path) -> None:
    setting = world_of(
        tmp_path,
        [("1", "3", 50.0)],
        transmission={},
        format_choice="by-snr",
        reach_table=[FORMATS[0] | {"required_snr_db": 60.0}, FORMATS[1]],
    )
    (lit,) = results(setting, 1)
    assert (lit.slots, lit.nodes) == (4 + 1, ("1", "2", "3"))


def test_an_action_says_the_format_and_whether_to_ride(tmp_path: Path) -> None:
    """Actions of one path: 2 bits/s/Hz riding first or not, 1 bit/s/Hz riding first or not."""
    setting = world_of(
        tmp_path,
        [("1", "3", 40.0), ("1", "3", 10.0), ("1", "3", 10.0)],
        grooming={"max_parts": 1, "preference": "by-action"},
        format_choice="by-action",
    )
    for action, slots, groomed_gbps in ((0, 0, 10.0), (1, 2, 0.0), (2, 0, 10.0), (3, 2, 0.0)):
        stepped = OpticalSimulator(
            setting,
            num_lanes=1,
            observation="deeprmsa",
            action="path-modulation",
            reward=RewardConfig(),
            seed=1,
            episode_requests=3,
        )
        stepped.reset([0])
        stepped.step(np.array([0]))
        assert stepped.masks().all()
        result = allocation(stepped, stepped.step(np.array([action])).outcome)
        assert (result.slots, result.groomed_gbps) == (slots, groomed_gbps)


def test_a_heuristic_is_not_asked_about_a_request_that_rides_whole(tmp_path: Path) -> None:
    setting = world_of(tmp_path, [("1", "3", 40.0), ("1", "3", 10.0), ("1", "3", 10.0)], grooming={"max_parts": 1})
    asked_about: list[int] = []

    def watched(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
        asked_about.append(request.number)
        return ksp_ff(world, lane, request, options)

    decisions = LaneServer(setting.world, Heuristic(watched), 10.0).serve(setting.models[0].stream(1).take(3))
    assert asked_about == [0, 2]
    assert decisions.verdict.tolist() == [0, 0, 0]
    assert decisions.start.tolist() == [0, -1, 3]
