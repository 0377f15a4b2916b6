"""Networks that score candidate decisions: the same for each, and for any number of them."""

from typing import Any

import numpy as np
import pytest
import torch

from fusion_rl.config.algorithm import AlgorithmConfig
from fusion_rl.errors import ConfigError
from fusion_rl.testing.algorithm_contract import AlgorithmContract
from tests.agents.test_contracts import quick
from tests.agents.test_path_networks import extractor_of, features_of, outputs, permuted
from tests.agents.worlds import agent_of

OF_CANDIDATES = {"features": "candidates", "observation": "candidates"}


def agent_for(action: str, name: str = "maskable-ppo", **values: Any) -> tuple[Any, Any]:
    return agent_of(name, **OF_CANDIDATES, action=action, **values)


def spread_out(agent: Any) -> None:
    """Give the network weights that are large enough for differences to show."""
    torch.manual_seed(1)
    for weights in agent.policy.parameters():
        torch.nn.init.normal_(weights, std=0.5)


@pytest.mark.parametrize("name", ["maskable-ppo", "masked-qr-dqn"])
def test_permuted_candidates_have_permuted_logits_and_the_same_value(name: str) -> None:
    agent, env = agent_for("candidates:10", name)
    spread_out(agent)
    features, extractor = features_of(agent, env), extractor_of(agent)
    with torch.no_grad():
        plain, value = outputs(agent, features)
        plain = plain.reshape(len(plain), -1, 10)
        assert (plain.std(dim=2) > 0).all(), "candidates differ"
        for seed in range(5):
            order = tuple(np.random.default_rng(seed).permutation(10).tolist())
            moved, same_value = outputs(agent, permuted(features, extractor, order))
            torch.testing.assert_close(moved.reshape_as(plain), plain[:, :, order])
            if value is not None:
                torch.testing.assert_close(same_value, value)


def test_room_for_more_candidates_changes_neither_their_logits_nor_the_value() -> None:
    """The weights do not depend on the number of candidates, and rows without one have no part in the mean."""
    few, env = agent_for("candidates:10")
    many, wide_env = agent_for("candidates:24")
    spread_out(few)
    many.policy.load_state_dict(few.policy.state_dict())
    features, wide = features_of(few, env), features_of(many, wide_env)
    shown = wide[:, : 24 * extractor_of(many).path_size].reshape(len(wide), 24, -1)
    whole = (shown[:, 10:, extractor_of(many).presence] == 0).all(dim=1)  # lanes whose candidates fit into ten rows
    assert whole.any()
    with torch.no_grad():
        logits, value = outputs(few, features)
        wide_logits, wide_value = outputs(many, wide)
    torch.testing.assert_close(wide_logits[whole, :10], logits[whole])
    assert value is not None
    assert wide_value is not None
    torch.testing.assert_close(wide_value[whole], value[whole])


@pytest.mark.parametrize(
    ("observation", "action"), [("unified", "candidates:8"), ("candidates", "path"), ("deeprmsa", "path")]
)
def test_observation_and_actions_must_be_of_candidates(observation: str, action: str) -> None:
    with pytest.raises(ConfigError, match=r"choose algorithm\.observation from candidates.*candidates:M"):
        agent_of("maskable-ppo", features="candidates", observation=observation, action=action)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["maskable-ppo"])
class TestCandidateScorer(AlgorithmContract):
    steps = 8_000

    def settings(self, name: str) -> AlgorithmConfig:
        return quick(name, **OF_CANDIDATES, action="candidates:8")
