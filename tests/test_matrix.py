"""Every preset with every heuristic and every action codec: the parts fit together, whichever are taken."""

from collections.abc import Callable
from functools import cache
from itertools import cycle, product

import numpy as np
import pytest
import yaml

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.config.sources import PRESETS, preset_names
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical import topology
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, REFUSED_DECISION, after_grooming
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rollout import run
from fusion_rl.domains.optical.setting import Setting

EXPERIMENTS = preset_names("experiment")
STEPS = 200
FOLLOWS, WANDERS = 0, 1  # lanes: one goes where the heuristic goes, the other takes any action that it may

# the action that a decision (rank of the path, start slot) is in each codec; of a path's blocks the lowest
ACTION_OF: dict[str, Callable[[int, int, int], int]] = {
    "path": lambda rank, start, slots: rank,
    "path-block:3": lambda rank, start, slots: 3 * rank,
    "path-start": lambda rank, start, slots: rank * slots + start,
    "path-modulation": lambda rank, start, slots: rank,
}


@cache
def experiment(name: str, codec: str = "path") -> ExperimentConfig:
    return load(name, overrides={"algorithm.action": codec, "scenarios.*.warmup_requests": 2000}).config


@cache
def setting(name: str) -> Setting:
    return prepare(experiment(name))


def some_cells() -> list[tuple[str, str, str]]:
    """One cell for each codec and each experiment on a network that is quick to make, all heuristics among them.

    Networks with rules take the heuristic that warms lanes up: another would be compiled for them and for nothing else.
    """
    small = [name for name in EXPERIMENTS if len(topology.read(experiment(name).network.topology, "shared").nodes) < 60]
    heuristics = HEURISTICS.names()
    pairs = [(name, codec) for name in small for codec in codecs(name)]
    plain = cycle(heuristics)
    cells = [(name, "ksp-ff" if follows_rules(name) else next(plain), codec) for name, codec in pairs]
    assert {heuristic for _, heuristic, _ in cells} == set(heuristics)
    return cells


def follows_rules(name: str) -> bool:
    """Whether requests of the experiment share, split or protect lightpaths, or transmission is modelled."""
    network = experiment(name).network
    return bool(network.grooming or network.slicing or network.transmission or network.protection != "none")


def codecs(name: str) -> list[str]:
    """The codecs whose actions say all that a heuristic decides; where formats are chosen, only one names them."""
    chosen = experiment(name).network.format_choice != "by-reach"
    return ["path-modulation"] if chosen else list(ACTION_OF)


def all_cells() -> list[tuple[str, str, str]]:
    """Every experiment with every heuristic and every codec that can follow it."""
    return [(name, heuristic, codec) for name in EXPERIMENTS for heuristic in HEURISTICS for codec in codecs(name)]


def assert_codec_and_heuristic_get_along(name: str, heuristic: str, codec: str) -> None:
    """Masks leave an action; what they allow is served; where the heuristic goes, an agent may go as well."""
    policy, world = HEURISTICS[heuristic], setting(name).world
    simulator = make_simulator(experiment(name, codec), setting(name), 2, seed=3, episode_requests=STEPS)
    simulator.reset([FOLLOWS, WANDERS])
    options, chooser = policy.prepare(world), np.random.default_rng(1)
    for _ in range(STEPS):
        masks = simulator.masks()
        assert masks.any(axis=1).all()
        lane = lane_state.view(simulator.state, FOLLOWS)
        request = after_grooming(world, lane, request_at(simulator.request(FOLLOWS), 0))
        path, start = policy.decide(world, lane, request, options)
        followed = int(masks[FOLLOWS].argmax())
        if start != NOWHERE:
            followed = ACTION_OF[codec](path - world.path_first[request.pair], start, world.slots)
            assert masks[FOLLOWS, followed], f"{heuristic} goes where the mask says that an agent cannot"
        wandered = int(chooser.choice(np.flatnonzero(masks[WANDERS])))
        can_be_served = simulator.plan(WANDERS, wandered)[1] != NOWHERE
        assert can_be_served or np.flatnonzero(masks[WANDERS]).tolist() == [0]
        outcome = simulator.step(np.array([followed, wandered])).outcome
        assert (outcome.verdict[WANDERS] == ACCEPTED) == can_be_served
        if start != NOWHERE:
            assert (outcome.verdict[FOLLOWS], outcome.path[FOLLOWS]) == (ACCEPTED, path)
            assert codec != "path-start" or outcome.start[FOLLOWS] == start


def assert_blocks_alike_twice(name: str, heuristic: str) -> None:
    tallies = [run(setting(name), HEURISTICS[heuristic], requests=400, lanes=2, seed=3).tally for _ in range(2)]
    np.testing.assert_array_equal(tallies[0].verdicts, tallies[1].verdicts)
    np.testing.assert_array_equal(tallies[0].blocked_gbps, tallies[1].blocked_gbps)
    assert tallies[0].verdicts.sum() == 400
    assert tallies[0].verdicts[:, REFUSED_DECISION].sum() == 0


def test_every_network_preset_is_part_of_an_experiment() -> None:
    named = {yaml.safe_load((PRESETS / "experiment" / f"{name}.yaml").read_text())["network"] for name in EXPERIMENTS}
    assert named == set(preset_names("network"))


@pytest.mark.parametrize(
    ("name", "heuristic", "codec"),
    # its codec takes two minutes to compile for transmission, which `test_lightpath_actions.py` does for small networks
    [pytest.param(*cell, marks=pytest.mark.slow if cell[0] == "nsfnet-qot" else ()) for cell in some_cells()],
)
def test_some_presets_heuristics_and_codecs_get_along(name: str, heuristic: str, codec: str) -> None:
    assert_codec_and_heuristic_get_along(name, heuristic, codec)
    assert_blocks_alike_twice(name, heuristic)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "heuristic", "codec"), all_cells())
def test_every_preset_heuristic_and_codec_get_along(name: str, heuristic: str, codec: str) -> None:
    assert_codec_and_heuristic_get_along(name, heuristic, codec)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "heuristic"), list(product(EXPERIMENTS, HEURISTICS.names())))
def test_every_heuristic_blocks_alike_twice_on_every_preset(name: str, heuristic: str) -> None:
    assert_blocks_alike_twice(name, heuristic)
