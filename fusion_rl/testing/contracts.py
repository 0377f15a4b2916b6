"""What every entry of the optical catalogs must keep to.

A contract is a class of tests. Derive from it in a test module and say for which names::

    @pytest.mark.parametrize("name", ["my-heuristic"])
    class TestMyHeuristic(HeuristicContract): ...
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from fusion_rl.arrays import AnyArray
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.observations import observation_of
from fusion_rl.domains.optical.pipelines.batch import Outcome
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, BLOCKED_NO_SPECTRUM, Decisions
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rewards import REWARDS
from fusion_rl.domains.optical.rollout import LaneServer, recorded
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.testing import tiny
from fusion_rl.testing.simulator_contract import lanes_of, random_actions, rows_of

REQUESTS = 300
WIDE_SLOTS = 768  # the C and L bands in slots of 12.5 GHz

Record = TypeVar("Record", bound=tuple[Any, ...])  # a NamedTuple of arrays


def each(record: Record, change: Callable[[AnyArray], AnyArray]) -> Record:
    """The same kind of record with every array changed."""
    return type(record)(*map(change, record))


def same(one: Iterable[AnyArray], other: Iterable[AnyArray]) -> bool:
    """Whether two records hold equal arrays."""
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def tiny_simulator(
    lanes: int, observation: str = "deeprmsa", action: str = "path", seed: int = 1, **network: Any
) -> OpticalSimulator:
    """Lanes of the tiny world at the beginning of a long episode without warm-up."""
    simulator = OpticalSimulator(
        tiny.setting(**network),
        num_lanes=lanes,
        observation=observation,
        action=action,
        reward=RewardConfig(),
        seed=seed,
        warmup_requests=0,
        episode_requests=2 * REQUESTS,
    )
    simulator.reset(range(lanes))
    return simulator


class HeuristicContract:
    """A heuristic is legal and repeatable, leaves the lane alone, and decides alike wherever it is asked."""

    @staticmethod
    def decide(name: str, setting: Setting) -> Decisions:
        server = LaneServer(setting.world, HEURISTICS[name], setting.typical_erlang)
        served = server.serve(setting.models[0].stream(1, 0, 0).take(REQUESTS))
        return each(served, np.copy)

    def test_it_serves_what_it_can_and_never_takes_what_is_in_use(self, name: str) -> None:
        verdicts = self.decide(name, tiny.setting()).verdict
        assert set(verdicts.tolist()) == {ACCEPTED, BLOCKED_NO_SPECTRUM}, f"verdicts are {np.unique(verdicts)}"

    def test_it_decides_alike_every_time(self, name: str) -> None:
        assert same(self.decide(name, tiny.setting()), self.decide(name, tiny.setting()))

    def test_what_it_decided_can_be_replayed(self, name: str) -> None:
        setting = tiny.setting()
        decided = self.decide(name, setting)
        server = LaneServer(setting.world, Heuristic(recorded, lambda _: decided), setting.typical_erlang)
        replayed = server.serve(setting.models[0].stream(1, 0, 0).take(REQUESTS))
        assert same(replayed, decided)

    def test_it_changes_nothing_by_deciding(self, name: str) -> None:
        simulator = tiny_simulator(1)
        heuristic = HEURISTICS[name]
        options = heuristic.prepare(simulator.setting.world)
        chooser = np.random.default_rng(1)
        for _ in range(50):
            simulator.step(random_actions(simulator, chooser))
            lane = lane_state.view(simulator.state, 0)
            before = [array.copy() for array in lane if array is not None]
            heuristic.decide(simulator.setting.world, lane, request_at(simulator.request(0), 0), options)
            for field, old, new in zip(lane._fields, before, lane, strict=False):
                assert field == "free" or (old == new).all(), f"it wrote the lane's {field}"

    def test_it_decides_alike_in_a_rollout_and_in_the_simulator(self, name: str) -> None:
        simulator = tiny_simulator(1, action="path-start")
        world = simulator.setting.world
        heuristic = HEURISTICS[name]
        options = heuristic.prepare(world)
        decided = self.decide(name, simulator.setting)
        for t in range(REQUESTS):
            request = request_at(simulator.request(0), 0)
            path, start = heuristic.decide(world, lane_state.view(simulator.state, 0), request, options)
            assert (path, start) == (decided.path[t], decided.start[t]), f"request {t}"
            # An action that starts at the last slot is a refusal: with its guard a service takes more than one.
            rank = path - world.path_first[request.pair]
            action = world.slots - 1 if start == NOWHERE else rank * world.slots + start
            outcome = simulator.step(np.array([action])).outcome
            assert (outcome.verdict[0], outcome.start[0]) == (decided.verdict[t], start), f"request {t}"


class ObservationContract:
    """An observation lies in its space, says something in every entry, and belongs to one lane alone."""

    action = "path"  # the codec that it is shown with

    def test_it_lies_inside_its_space_on_narrow_and_wide_bands(self, name: str) -> None:
        for slots in (tiny.NETWORK.slots, 12, WIDE_SLOTS):
            simulator = tiny_simulator(3, name, self.action, slots=slots)
            chooser = np.random.default_rng(1)
            for _ in range(100):
                shown = simulator.observations()
                assert np.isfinite(rows_of(shown)).all()
                for own in lanes_of(shown, 3):
                    assert simulator.observation_space.contains(own), f"{own} with {slots} slots"
                simulator.step(random_actions(simulator, chooser))

    def test_no_entry_is_constant(self, name: str) -> None:
        simulator = tiny_simulator(8, name, self.action)
        chooser = np.random.default_rng(1)
        rows = []
        for _ in range(REQUESTS):
            rows.append(rows_of(simulator.observations()))
            simulator.step(random_actions(simulator, chooser))
        constant = np.flatnonzero(np.ptp(np.concatenate(rows), axis=0) == 0)
        assert constant.size == 0, f"entries {constant.tolist()} never change"

    def test_a_lane_shows_the_same_alone_and_among_others(self, name: str) -> None:
        alone, among = tiny_simulator(1, name, self.action), tiny_simulator(4, name, self.action)
        chooser = np.random.default_rng(1)
        for _ in range(100):
            assert (rows_of(alone.observations())[0] == rows_of(among.observations())[0]).all()
            actions = random_actions(among, chooser)
            alone.step(actions[:1])
            among.step(actions)

    def test_it_changes_nothing_by_looking(self, name: str) -> None:
        simulator = tiny_simulator(1, name, self.action)
        chooser = np.random.default_rng(1)
        for _ in range(50):
            simulator.step(random_actions(simulator, chooser))
            lane = lane_state.view(simulator.state, 0)
            before = [array.copy() for array in lane if array is not None]
            row = np.empty(rows_of(simulator.observations()).shape[1], np.float32)
            world, request = simulator.setting.world, request_at(simulator.request(0), 0)
            observation = observation_of(name, self.action)
            memory = observation.prepare(world)
            observation.write(world, lane, request, *([] if memory is None else [memory]), row)
            assert (row == rows_of(simulator.observations())[0]).all(), "every entry is written, the same each time"
            for field, old, new in zip(lane._fields, before, lane, strict=False):
                assert field == "free" or (old == new).all(), f"it wrote the lane's {field}"


class RewardContract:
    """A reward is one finite float32 a lane, from that lane's outcome alone, and never pays for blocking."""

    def config(self, name: str) -> RewardConfig:
        """The settings to test with; replace it for a reward that needs parameters."""
        return RewardConfig(name=name)

    @staticmethod
    def outcomes() -> Outcome:
        """Outcomes of a busy tiny world, of 8 lanes by 50 requests as if all were lanes."""
        simulator = tiny_simulator(8)
        chooser = np.random.default_rng(1)
        steps = [simulator.step(random_actions(simulator, chooser)).outcome for _ in range(50)]
        arrays: Any = (np.concatenate(of_all_steps) for of_all_steps in zip(*steps, strict=True))
        return Outcome(*arrays)

    def test_it_is_one_finite_number_a_lane(self, name: str) -> None:
        outcome = self.outcomes()
        paid = REWARDS[name](self.config(name), tiny.setting().world)(outcome)
        assert paid.dtype == np.float32
        assert paid.shape == outcome.verdict.shape
        assert np.isfinite(paid).all()

    def test_a_request_pays_more_served_than_blocked(self, name: str) -> None:
        reward = REWARDS[name](self.config(name), tiny.setting().world)
        everything = self.outcomes()
        served = each(everything, lambda array: array[everything.verdict == ACCEPTED])
        nothing, nowhere = np.zeros_like(served.width), np.full_like(served.path, NOWHERE)
        blocked = served._replace(
            verdict=np.full_like(served.verdict, BLOCKED_NO_SPECTRUM),
            path=nowhere,
            start=nowhere,
            width=nothing,
            hops=nothing,
        )
        assert (reward(served) > reward(blocked)).all()

    def test_each_lane_is_paid_for_its_own_outcome(self, name: str) -> None:
        reward = REWARDS[name](self.config(name), tiny.setting().world)
        outcome = self.outcomes()
        before = each(outcome, np.copy)
        together = reward(outcome)
        for b in range(0, together.size, 7):
            alone = each(outcome, operator.itemgetter(slice(b, b + 1)))
            assert reward(alone)[0] == together[b]
        assert same(outcome, before), "it changed the outcome"
