"""Action codecs: every action means what its number says, and the mask is what serving would do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.actions import CODECS, codec_of
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.state import occupancy
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.testing import tiny
from tests.domains.optical.worlds import few_examples, small_settings

NAMES = ["path", "path-block:1", "path-block:3", "path-start", "path-start:7", "path-modulation"]
NAMES += ["candidates", "candidates:3", "candidates-all", "candidates-all:5"]


def simulator(setting: Setting, action: str, seed: int = 1) -> OpticalSimulator:
    made = OpticalSimulator(
        setting,
        num_lanes=2,
        observation="deeprmsa",
        action=action,
        reward=RewardConfig(),
        seed=seed,
        warmup_requests=0,
        episode_requests=1000,
    )
    made.reset(range(2))
    return made


def meant(stepped: OpticalSimulator, action: str) -> list[tuple[int, int]]:
    """(path, start) of every action of lane 0, start -1 where nothing fits, from the slots in use alone."""
    world, asked = stepped.setting.world, stepped.request(0)
    used = occupancy(stepped.state, world, 0)
    head, _, parameter = action.partition(":")
    found = []
    for path in range(world.path_first[asked.pair[0]], world.path_first[asked.pair[0]] + world.max_paths):
        starts: list[int] = []
        if path < world.path_first[asked.pair[0] + 1]:
            width = int(world.path_width[path, asked.bandwidth_class[0]])
            links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
            free = ~used[links].any(axis=0)
            starts = [s for s in range(world.slots - width + 1) if free[s : s + width].all()] if width else []
        blocks = [s for s in starts if s - 1 not in starts]
        edges = [s for s in starts if s - 1 not in starts or s + 1 not in starts]
        wanted = {
            "candidates": edges,
            "candidates-all": starts,
            "path": blocks[:1] or [-1],
            "path-modulation": blocks[:1] or [-1],  # one format, that which reaches
            "path-block": [*blocks, *[-1] * 9][: int(parameter or 1)],
            "path-start": [
                next((s for s in range(first, first + int(parameter or 1)) if s in starts), -1)
                for first in range(0, world.slots, int(parameter or 1))
            ],
        }[head]
        found += [(path, start) for start in wanted]
    if head.startswith("candidates"):
        most = int(stepped.action_space.n)
        found = [*found, *[(-1, -1)] * most][:most]
    return found


@pytest.mark.parametrize("action", NAMES)
def test_mask_and_meaning_of_every_action_agree_with_the_slots_in_use(action: str) -> None:
    @few_examples
    @given(small_settings(most_nodes=5, most_slots=70), st.integers(0, 100))
    def compare(setting: Setting, seed: int) -> None:
        stepped = simulator(setting, action, seed)
        chooser = np.random.default_rng(seed)
        for _ in range(25):
            expected = meant(stepped, action)
            planned = [stepped.plan(0, number) for number in range(len(expected))]
            assert [start for _, start in planned] == [start for _, start in expected]
            assert all(p == e for p, e in zip(planned, expected, strict=True) if e[1] >= 0)
            mask = stepped.masks()
            feasible = [start >= 0 for _, start in expected]
            assert mask[0].tolist() == (feasible if any(feasible) else [True, *feasible[1:]])
            assert stepped.servable()[0] == any(feasible)
            stepped.step(np.array([chooser.choice(np.flatnonzero(row)) for row in mask]))

    compare()


@pytest.mark.parametrize("action", NAMES)
def test_an_unmasked_action_is_served_and_a_masked_one_never(action: str) -> None:
    stepped = simulator(tiny.setting(), action)
    chooser = np.random.default_rng(1)
    seen = set()
    for _ in range(400):
        mask, number = stepped.masks()[0], int(chooser.integers(int(stepped.action_space.n)))
        none_fits = not stepped.servable()[0]
        served = stepped.step(np.array([number, 0])).outcome.verdict[0] == ACCEPTED
        assert served == (mask[number] and not none_fits)
        seen.add(bool(served))
    assert seen == {True, False}


def test_path_block_of_one_block_is_path() -> None:
    one, other = simulator(tiny.setting(), "path"), simulator(tiny.setting(), "path-block:1")
    for _ in range(100):
        np.testing.assert_array_equal(one.masks(), other.masks())
        actions = one.masks().argmax(axis=1)
        assert (one.step(actions).outcome.start == other.step(actions).outcome.start).all()


def test_every_codec_is_tested_here() -> None:
    assert {name.partition(":")[0] for name in NAMES} == set(CODECS)


@pytest.mark.parametrize("name", ["path-block:0", "path-block:x", "path-block:", "path:2"])
def test_a_parameter_that_makes_no_sense_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="path"):
        codec_of(name)


def test_an_unknown_codec_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'path-start'"):
        codec_of("path-strat")
