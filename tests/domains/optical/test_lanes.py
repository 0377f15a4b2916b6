"""A lane's history depends on the setting, its seeds and what is decided: on nothing that runs beside it."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.arrays import Ints64
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.pipelines.orchestrator import VERDICT_NAMES
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, is_free
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.domains.optical.simulator import WINDOW, OpticalSimulator
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import SimulationError
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import each, same
from fusion_rl.testing.simulator_contract import rows_of
from tests.domains.optical.worlds import few_examples, small_settings


def simulator(setting: Setting, lanes: int, seed: int, **settings: Any) -> OpticalSimulator:
    settings = {"observation": "deeprmsa", "warmup_requests": 0, **settings}
    return OpticalSimulator(setting, num_lanes=lanes, action="path", reward=RewardConfig(), seed=seed, **settings)


def first_feasible(simulated: OpticalSimulator) -> Ints64:
    """KSP-FF as actions."""
    return np.asarray(simulated.masks().argmax(axis=1), np.int64)


@few_examples
@given(small_settings(), st.integers(0, 1000), st.sampled_from(HEURISTICS.names()))
def test_a_lane_alone_serves_as_among_others_on_any_number_of_threads(
    setting: Setting, seed: int, heuristic: str
) -> None:
    policy = HEURISTICS[heuristic]
    among = [
        rollout.run(setting, policy, requests=400, lanes=4, seed=seed, warmup_requests=10, threads=threads)
        for threads in (1, 2, 4)
    ]
    for other in among[1:]:
        assert (other.tally.blocked == among[0].tally.blocked).all()
        assert (other.tally.blocked_gbps == among[0].tally.blocked_gbps).all()
        assert (other.tally.verdicts == among[0].tally.verdicts).all()
        assert (other.gauge.link_utilisation == among[0].gauge.link_utilisation).all()
    alone = rollout.run(setting, policy, requests=100, lanes=1, seed=seed, warmup_requests=10)
    assert (alone.tally.blocked[0] == among[0].tally.blocked[0]).all()
    assert alone.tally.blocking_by_lane()[0] == among[0].tally.blocking_by_lane()[0]


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_what_one_lane_does_changes_nothing_in_another(setting: Setting, seed: int) -> None:
    few, many = simulator(setting, 2, seed), simulator(setting, 5, seed)
    few.reset([0, 1])
    many.reset(range(5))
    chooser = np.random.default_rng(seed)
    for t in range(80):
        assert (rows_of(few.observations()) == rows_of(many.observations())[:2]).all()
        assert (few.masks() == many.masks()[:2]).all()
        own = chooser.integers(setting.world.max_paths, size=2)
        one, other = few.step(own), many.step(np.r_[own, chooser.integers(setting.world.max_paths, size=3)])
        assert same(one.outcome, each(other.outcome, lambda array: array[:2]))
        assert (one.reward == other.reward[:2]).all()
        if t == 40:
            many.reset([3, 4], seeds=[seed + 1, None])


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_recorded_decisions_replayed_come_out_the_same(setting: Setting, seed: int) -> None:
    requests = setting.models[0].stream(seed).take(200)
    played = LaneServer(setting.world, HEURISTICS["random"], setting.typical_erlang)
    record = each(played.serve(requests), np.copy)
    replayed = LaneServer(setting.world, Heuristic(rollout.recorded, lambda _: record), setting.typical_erlang)
    repeated = replayed.serve(requests)
    assert same(repeated, record)
    assert (replayed.state.occupied == played.state.occupied).all()


@few_examples
@given(small_settings(), st.integers(0, 1000))
def test_the_simulator_stepped_as_ksp_ff_equals_the_rollout_of_ksp_ff(setting: Setting, seed: int) -> None:
    count, lanes = 100, 3
    stepped = simulator(setting, lanes, seed, episode_requests=count)
    stepped.reset(range(lanes))
    verdicts = np.array([stepped.step(first_feasible(stepped)).outcome.verdict for _ in range(count)])
    rolled = rollout.run(
        setting, HEURISTICS["ksp-ff"], requests=count * lanes, lanes=lanes, seed=seed, warmup_requests=0
    )
    by_verdict = [np.bincount(verdicts[:, lane], minlength=len(VERDICT_NAMES)) for lane in range(lanes)]
    assert (np.array(by_verdict) == rolled.tally.verdicts).all()
    for lane in range(lanes):
        server = LaneServer(setting.world, HEURISTICS["ksp-ff"], setting.typical_erlang)
        decided = server.serve(setting.models[0].stream(seed, lane, 0).take(count))
        assert (decided.verdict == verdicts[:, lane]).all()


def test_an_episode_longer_than_the_window_of_requests_meets_the_same_traffic() -> None:
    setting = tiny.setting()
    count = 2 * WINDOW + 100
    stepped = simulator(setting, 3, 5, episode_requests=count)
    stepped.reset([0, 1, 2])
    # a lane begun later reaches the end of its window at another time than the rest
    for _ in range(50):
        stepped.step(first_feasible(stepped))
    stepped.reset([1], seeds=[9])
    outcomes = [stepped.step(first_feasible(stepped)).outcome for _ in range(count - 50)]
    for lane, seed, skipped in ((0, 5, 50), (1, 9, 0), (2, 5, 50)):
        server = LaneServer(setting.world, HEURISTICS["ksp-ff"], setting.typical_erlang)
        decided = server.serve(setting.models[0].stream(seed, lane, 0).take(count))
        expected = np.stack([decided.verdict, decided.path, decided.start], axis=1)[skipped : skipped + len(outcomes)]
        found = np.array([(o.verdict[lane], o.path[lane], o.start[lane]) for o in outcomes])
        assert (found == expected).all()
        asked, at_hand = setting.models[0].stream(seed, lane, 0).take(count + 1), stepped.request(lane)
        assert at_hand.number == skipped + len(outcomes)
        assert at_hand.key == asked.key
        assert same(at_hand[:4], (of_all[[at_hand.number]] for of_all in asked[:4]))


def test_warm_up_is_served_by_ksp_ff_and_is_not_part_of_the_episode() -> None:
    setting = tiny.setting()
    warm = simulator(setting, 1, 4, warmup_requests=30, episode_requests=40)
    warm.reset([0])
    verdicts = []
    ended = False
    while not ended:
        step = warm.step(first_feasible(warm))
        verdicts.append(step.outcome.verdict[0])
        ended = bool(step.ended[0])
    decided = LaneServer(setting.world, HEURISTICS["ksp-ff"], 20.0).serve(setting.models[0].stream(4, 0, 0).take(70))
    assert verdicts == decided.verdict[30:].tolist()


def test_lanes_take_turns_at_the_scenarios() -> None:
    busy = tiny.SCENARIO.model_copy(update={"name": "busy", "load_erlang": 200.0})
    setting = prepare(tiny.NETWORK, [tiny.SCENARIO, busy])
    stepped = simulator(setting, 4, 2)
    stepped.reset(range(4))
    verdicts = np.array([stepped.step(first_feasible(stepped)).outcome.verdict for _ in range(100)])
    for lane in range(4):
        server = LaneServer(setting.world, HEURISTICS["ksp-ff"], 20.0)
        decided = server.serve(setting.models[lane % 2].stream(2, lane, 0).take(100))
        assert (decided.verdict == verdicts[:, lane]).all()


@pytest.mark.parametrize("actions", [np.zeros(2, np.int64), np.zeros(4, np.int64), np.zeros((3, 1), np.int64)])
def test_actions_for_another_number_of_lanes_are_refused(actions: Ints64) -> None:
    stepped = simulator(tiny.setting(), 3, 1)
    stepped.reset(range(3))
    with pytest.raises(SimulationError, match="3"):
        stepped.step(actions)


def ksp_ff_in_python(world: World, lane: Lane, request: Request, options: Any) -> tuple[int, int]:
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = world.path_width[path, request.bandwidth_class]
        for start in range(world.slots - width + 1):
            if is_free(world, lane, path, start, width):
                return path, start
    return NOWHERE, NOWHERE


def test_a_policy_in_plain_python_serves_as_its_kernel_does() -> None:
    setting = tiny.setting()
    one, other = (
        rollout.run(setting, policy, requests=400, lanes=2, threads=1)
        for policy in (ksp_ff_in_python, HEURISTICS["ksp-ff"])
    )
    assert (one.tally.blocked == other.tally.blocked).all()
    assert 0 < one.tally.blocked_requests < 400


def test_a_policy_that_takes_spectrum_in_use_is_an_error() -> None:
    def always_slot_0(world: World, lane: Lane, request: Request, options: Any) -> tuple[int, int]:
        return int(world.path_first[request.pair]), 0

    with pytest.raises(SimulationError, match="spectrum that is in use"):
        rollout.run(tiny.setting(), always_slot_0, requests=100, lanes=1)


SERVE_THE_TINY_WORLD = """
import json, sys
import numpy as np
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import each, same
from fusion_rl.testing.simulator_contract import rows_of

setting = tiny.setting()
found = {}
for name in HEURISTICS:
    server = LaneServer(setting.world, HEURISTICS[name], setting.typical_erlang)
    found[name] = [array.tolist() for array in server.serve(setting.models[0].stream(7).take(200))]
for name in ("deeprmsa", "unified"):
    simulator = OpticalSimulator(
        setting, num_lanes=2, observation=name, action="path", reward=RewardConfig(), seed=7, warmup_requests=5
    )
    simulator.reset([0, 1])
    found[name] = []
    for t in range(60):
        seen = simulator.observations()
        parts = seen.values() if isinstance(seen, dict) else [seen]
        found[name] += [np.round(np.concatenate([part.ravel() for part in parts]), 5).tolist()]
        found[name] += [simulator.masks().tolist()]
        found[name] += [simulator.step(np.array([t % 2, 1])).outcome.verdict.tolist()]
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def compiled() -> Any:
    return served_in_a_process(NUMBA_DISABLE_JIT="0")


def served_in_a_process(**variables: str) -> Any:
    command = [sys.executable, "-W", "ignore", "-c", SERVE_THE_TINY_WORLD]
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kernels_run_as_plain_python_decide_and_show_the_same(compiled: Any) -> None:
    assert served_in_a_process(NUMBA_DISABLE_JIT="1") == compiled


def test_another_process_decides_the_same(compiled: Any) -> None:
    setting = tiny.setting()
    for name in HEURISTICS:
        server = LaneServer(setting.world, HEURISTICS[name], setting.typical_erlang)
        decided = server.serve(setting.models[0].stream(7).take(200))
        assert compiled[name] == [array.tolist() for array in decided]
        assert len(set(decided.verdict.tolist())) == 2, "some are served and some are blocked"
