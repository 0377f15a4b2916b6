"""Decisions one by one: those of the simulator, and what rivals would do in the same network."""

from pathlib import Path

import numpy as np
import pytest

from fusion_rl.agents.catalog import make_agent
from fusion_rl.analysis.decisions import agreement, differing, follow
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.training.policies import as_policy
from tests.analysis.tiny_experiment import experiment, trace_of

# six requests of which the last one cannot be served: 1-2-3 and 1-3 have 8 slots each, 50 Gb/s take 3, 25 Gb/s 2
FILLING = [(float(t), 100.0, "1", "3", gbps) for t, gbps in enumerate([50.0, 50.0, 50.0, 25.0, 50.0, 50.0])]


def test_every_decision_is_noted_and_so_is_what_rivals_would_have_done(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "ksp-ff", ["sp-ff", "last-fit"], requests=6)
    assert decided.made.verdict.tolist() == [0, 0, 0, 0, 0, 1]
    assert decided.rank("ksp-ff").tolist() == [0, 0, 1, 0, 1, -1]
    assert decided.made.start.tolist() == [0, 3, 0, 6, 3, -1]
    # the first path has room for 50 Gb/s twice and then for 25 Gb/s; the other policies see ksp-ff's network
    assert decided.rank("sp-ff").tolist() == [0, 0, -1, 0, -1, -1]
    assert decided.choice_of("last-fit").start.tolist() == [5, 5, 5, 6, 5, -1]
    assert decided.differs("sp-ff").tolist() == [False, False, True, False, True, False]
    assert list(decided.found_blocked) == [5]
    told = agreement(decided)
    assert told.loc["sp-ff"].tolist() == pytest.approx([4 / 6, 4 / 6, 0.0, 2 / 6])
    assert told.loc["last-fit"].tolist() == pytest.approx([2 / 6, 1.0, 0.0, 0.0])


def test_examples_say_who_asked_and_what_each_would_do(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "sp-ff", ["ksp-ff"], requests=6)
    examples = differing(decided, "ksp-ff")
    assert examples.index.tolist() == [2, 4, 5]
    assert examples.loc[2].tolist() == ["1", "3", 50.0, "blocked (spectrum)", "1-3 from slot 0"]
    assert differing(decided, "ksp-ff", count=2).index.tolist() == [2, 5]
    assert agreement(decided).loc["ksp-ff", "rival_serves"] == 0.5
    with pytest.raises(UnknownNameError, match="unknown policy 'ksp-f': did you mean 'ksp-ff'"):
        differing(decided, "ksp-f")


@pytest.mark.parametrize("heuristic", ["ksp-ff", "mscl", "random"])
def test_a_heuristic_decides_as_in_a_rollout(heuristic: str) -> None:
    config = experiment()
    setting = prepare(config)
    decided = follow(config, heuristic, ["ksp-bf", "most-used"], requests=150, warmup_requests=20, seed=3)
    server = LaneServer(setting.world, HEURISTICS[heuristic], setting.typical_erlang)
    served = server.serve(setting.models[0].stream(3, 0, 0).take(170))
    for ours, theirs in zip(decided.made, served, strict=True):
        np.testing.assert_array_equal(ours, theirs[20:])


@pytest.mark.parametrize(
    ("observation", "action"), [("deeprmsa", "path"), ("unified", "path-block:2"), ("deeprmsa", "path-start:1")]
)
def test_an_agent_decides_as_in_its_environment(observation: str, action: str) -> None:
    config = experiment()
    algorithm = config.algorithm.model_copy(update={"observation": observation, "action": action})
    config = config.model_copy(update={"algorithm": algorithm})
    setting = prepare(config)
    simulator = make_simulator(config, setting, 1, 5, warmup_requests=0, episode_requests=150)
    agent = make_agent(algorithm, OpticalVecEnv(simulator), seed=1, device="cpu")
    policy = as_policy("mine", agent, config)
    decided = follow(config, policy, requests=150, warmup_requests=0, seed=5)
    act = policy.begin()
    simulator.reset([0], [5])
    for t in range(150):
        done = simulator.step(act(simulator.observations(), simulator.masks())).outcome
        assert done.verdict[0] == decided.made.verdict[t]
        if done.verdict[0] == ACCEPTED:
            assert (done.path[0], done.start[0]) == (decided.made.path[t], decided.made.start[t])


def test_rivals_need_names_of_their_own() -> None:
    with pytest.raises(ConfigError, match="one of them is given twice"):
        follow(experiment(), "ksp-ff", ["sp-ff", "ksp-ff"], requests=5)
    with pytest.raises(UnknownNameError, match="did you mean 'ksp-ff'"):
        follow(experiment(), "ksp-f", requests=5)
