"""What training relies on in a simulator of any domain."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Floats, Ints64
from fusion_rl.domains.base import BatchSimulator
from fusion_rl.errors import FusionRLError


def random_actions(simulator: BatchSimulator, chooser: np.random.Generator) -> Ints64:
    """An action of each lane that its mask allows, [B]."""
    return np.array([chooser.choice(np.flatnonzero(mask)) for mask in simulator.masks()], np.int64)


def rows_of(observations: AnyArray | dict[str, AnyArray]) -> Floats:
    """Observations of any space as rows of numbers, [B, D]."""
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).astype(np.float64)


def lanes_of(observations: AnyArray | dict[str, AnyArray], lanes: int) -> Iterator[Any]:
    """Each lane's observation by itself."""
    for b in range(lanes):
        yield {k: part[b] for k, part in observations.items()} if isinstance(observations, dict) else observations[b]


class BatchSimulatorContract:
    """A simulator of any domain as training relies on it. Say how to make one whose episodes are short."""

    def make(self, num_lanes: int, seed: int) -> BatchSimulator:
        """Lanes that have not been reset yet."""
        raise NotImplementedError

    def begun(self, num_lanes: int, seed: int = 1) -> BatchSimulator:
        simulator = self.make(num_lanes, seed)
        simulator.reset(range(num_lanes))
        return simulator

    @staticmethod
    def play(simulator: BatchSimulator, steps: int, chooser_seed: int = 0) -> list[list[float]]:
        """What lane 0 shows and is paid, with actions that depend on its own mask alone."""
        seen = []
        for t in range(steps):
            mask = simulator.masks()
            choosers = [np.random.default_rng((chooser_seed, t, b)) for b in range(simulator.num_lanes)]
            actions = [chooser.choice(np.flatnonzero(mask[b])) for b, chooser in enumerate(choosers)]
            shown = rows_of(simulator.observations())[0]
            step = simulator.step(np.array(actions, np.int64))
            seen.append([*shown.tolist(), *mask[0].tolist(), float(step.reward[0]), float(step.ended[0])])
        return seen

    def test_what_it_shows_fits_its_spaces(self) -> None:
        simulator = self.begun(3)
        assert isinstance(simulator.action_space, spaces.Discrete)
        chooser = np.random.default_rng(1)
        for _ in range(20):
            for own in lanes_of(simulator.observations(), 3):
                assert simulator.observation_space.contains(own), f"{own}"
            mask = simulator.masks()
            assert mask.shape == (3, simulator.action_space.n)
            assert mask.dtype == np.bool_
            assert mask.any(axis=1).all(), "a lane is left without an action"
            servable = simulator.servable()
            assert servable.shape == (3,)
            assert servable.dtype == np.bool_
            assert (mask[~servable].sum(axis=1) == 1).all(), "where nothing can be served one action is left"
            step = simulator.step(random_actions(simulator, chooser))
            assert step.reward.shape == step.ended.shape == (3,)
            assert step.reward.dtype == np.float32
            assert np.isfinite(step.reward).all()
            assert step.ended.dtype == np.bool_

    def test_a_seed_repeats_its_episodes_exactly(self) -> None:
        one, other = self.begun(2, seed=5), self.begun(2, seed=6)
        first = self.play(one, 20)
        assert self.play(other, 20) != first, "another seed is another episode"
        one.reset([0, 1])
        second = self.play(one, 20)
        assert second != first, "without a seed an episode is new"
        for simulator in (one, other):
            simulator.reset([0, 1], seeds=[5, 5])
            assert self.play(simulator, 20) == first
            simulator.reset([0, 1])
            assert self.play(simulator, 20) == second, "and so are the ones after it"

    def test_a_lane_does_the_same_alone_and_among_others(self) -> None:
        assert self.play(self.begun(1), 20) == self.play(self.begun(5), 20)

    def test_resetting_one_lane_leaves_the_others_as_they_are(self) -> None:
        disturbed, left_alone = self.begun(3), self.begun(3)
        for simulator in (disturbed, left_alone):
            self.play(simulator, 5)
        before = rows_of(disturbed.observations())
        disturbed.reset([1, 2], seeds=[7, None])
        after = rows_of(disturbed.observations())
        assert (after[0] == before[0]).all()
        assert (after[1:] != before[1:]).any(axis=1).all()
        assert self.play(disturbed, 10, 1) == self.play(left_alone, 10, 1)

    def test_an_episode_ends_and_must_then_be_reset(self) -> None:
        simulator = self.begun(2)
        chooser = np.random.default_rng(1)
        for _ in range(100_000):
            if simulator.step(random_actions(simulator, chooser)).ended.any():
                break
        else:
            raise AssertionError("no episode ended in 100,000 steps")
        try:
            simulator.step(random_actions(simulator, chooser))
        except FusionRLError:
            pass
        else:
            raise AssertionError("a step after the end went unnoticed")
        simulator.reset([0, 1])
        assert not simulator.step(random_actions(simulator, chooser)).ended.any()

    def test_what_was_handed_out_stays_as_it_was(self) -> None:
        simulator = self.begun(2)
        chooser = np.random.default_rng(1)
        shown, mask, servable = simulator.observations(), simulator.masks(), simulator.servable()
        step = simulator.step(random_actions(simulator, chooser))
        kept = [rows_of(shown).copy(), mask.copy(), servable.copy(), step.reward.copy(), step.ended.copy()]
        for _ in range(10):
            simulator.step(random_actions(simulator, chooser))
        for old, new in zip(kept, [rows_of(shown), mask, servable, step.reward, step.ended], strict=True):
            assert (old == new).all()
        simulator.close()
