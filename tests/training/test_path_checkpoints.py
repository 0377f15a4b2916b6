"""Agents whose networks are made from the topology can be read from their checkpoints, too."""

from pathlib import Path

import pytest
from stable_baselines3.common.logger import configure

from fusion_rl.agents.catalog import make_agent
from fusion_rl.config.load import load
from fusion_rl.envs.make import domain_of
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.training import checkpoints, resume
from tests.tuning.worlds import EXPERIMENT


@pytest.mark.parametrize(("features", "observation"), [("paths", "unified"), ("graph", "graph")])
def test_a_checkpoint_of_a_network_of_paths_or_links_is_read_as_a_policy(
    features: str, observation: str, tmp_path: Path
) -> None:
    changes = {"algorithm.features": features, "algorithm.observation": observation}
    config = load(EXPERIMENT, overrides=changes).config
    domain = domain_of(config)
    env = OpticalVecEnv(domain.make_simulator(config, domain.prepare(config), config.execution.lanes, 1))
    agent = make_agent(config.algorithm, env, seed=1, device="cpu")
    agent.set_logger(configure(format_strings=[]))
    state = resume.capture(agent, env, domain, [], replay_buffer=False)
    path = checkpoints.Folder(tmp_path).save(checkpoints.Kind.FINAL, agent, config, state)
    assert checkpoints.weights_sha256(checkpoints.read(path).agent) == checkpoints.weights_sha256(agent)
