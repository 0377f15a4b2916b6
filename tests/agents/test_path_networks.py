"""Networks that treat paths alike: permuted paths have permuted logits, and the value does not mind."""

import warnings
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch

from fusion_rl.agents.graph_features import incidence, links_of_pairs
from fusion_rl.agents.path_features import as_row, columns_of
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.errors import ConfigError
from fusion_rl.testing import tiny
from fusion_rl.tracking.sb3_classes import load_zip
from tests.agents.worlds import agent_of, seen_after, settings_of

NETWORKED = [n for n, m in ALGORITHM_MODELS.items() if "features" in m.model_fields and n != "recurrent-ppo"]
SEEN = ["deeprmsa", "unified", "obs_8"]
NOT_OF_PATHS = ("source", "destination", "request_bandwidth")


def outputs(agent: Any, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Logits or values of the actions from extracted features, [B, A or quantiles x A], and the state's value."""
    policy = agent.policy
    if hasattr(policy, "action_net"):
        latent, latent_value = policy.mlp_extractor(features)
        return policy.action_net(latent), policy.value_net(latent_value)
    network = policy.q_net.q_net if hasattr(policy, "q_net") else policy.quantile_net.quantile_net
    return network(features), None


def extractor_of(agent: Any) -> Any:
    policy = agent.policy
    if hasattr(policy, "action_net"):
        return policy.features_extractor
    return (policy.q_net if hasattr(policy, "q_net") else policy.quantile_net).features_extractor


def permuted(features: torch.Tensor, extractor: Any, order: tuple[int, ...]) -> torch.Tensor:
    paths, size = extractor.paths, extractor.path_size
    own = features[:, : paths * size].reshape(-1, paths, size)[:, order]
    return torch.cat([own.flatten(1), features[:, paths * size :]], dim=1)


def features_of(agent: Any, env: Any) -> torch.Tensor:
    tensor, _ = agent.policy.obs_to_tensor(seen_after(env, 25))
    features: torch.Tensor = extractor_of(agent)(tensor)
    return features


@pytest.mark.parametrize("action", ["path", "path-block:3"])
@pytest.mark.parametrize("name", NETWORKED)
def test_permuted_paths_have_permuted_logits_and_the_same_value(name: str, action: str) -> None:
    agent, env = agent_of(name, features="paths", observation="unified", action=action)
    for weights in agent.policy.parameters():  # large enough for differences to show
        torch.nn.init.normal_(weights, std=0.5)
    features, extractor = features_of(agent, env), extractor_of(agent)
    each = int(env.action_space.n) // extractor.paths
    with torch.no_grad():
        plain, value = outputs(agent, features)
        by_path = plain.reshape(len(plain), -1, extractor.paths, each)
        assert (by_path[:, :, 0] != by_path[:, :, 1]).any(), "paths differ"
        for order in permutations(range(extractor.paths)):
            moved, same_value = outputs(agent, permuted(features, extractor, order))
            torch.testing.assert_close(moved.reshape_as(by_path), by_path[:, :, order])
            if value is not None and same_value is not None:
                torch.testing.assert_close(same_value, value)


@pytest.mark.parametrize("observation", SEEN)
def test_each_path_is_described_by_its_own_entries(observation: str) -> None:
    """Swapping the paths in the environment's row swaps them in the sorted features."""
    agent, env = agent_of("ppo", features="paths", observation=observation)
    world, extractor = env.simulator.setting.world, extractor_of(agent)
    layout = OBSERVATIONS[observation].layout(world)
    (first, second), context = columns_of(layout, world.max_paths)
    assert sorted([*first, *second, *context]) == list(range(agent.policy.features_dim))
    tensor, _ = agent.policy.obs_to_tensor(seen_after(env, 25))
    row = as_row(tensor, list(layout))
    swapped = row.clone()
    swapped[:, first], swapped[:, second] = row[:, second], row[:, first]
    assert (swapped != row).any()
    torch.testing.assert_close(permuted(extractor(row), extractor, (1, 0)), extractor(swapped))
    own = [name for name, size in layout.items() if size % world.max_paths == 0 and name not in NOT_OF_PATHS]
    assert len(first) == sum(layout[name] for name in own) // world.max_paths


@pytest.mark.parametrize("name", NETWORKED)
@pytest.mark.parametrize("features", ["paths", "graph"])
def test_every_algorithm_learns_with_it_and_every_weight_moves(name: str, features: str) -> None:
    observation = "graph" if features == "graph" else "deeprmsa"
    agent, _ = agent_of(name, features=features, observation=observation, net_arch=[8], graph_units=4)
    before = {key: tensor.clone() for key, tensor in agent.policy.state_dict().items()}
    agent.learn(1_024)
    still = [key for key, tensor in agent.policy.state_dict().items() if (tensor == before[key]).all()]
    # a target network waits; a bias that all paths share moves no probability where a path has one action
    assert [key for key in still if "target" not in key and key != "action_net.linear.bias"] == []


def test_a_path_is_told_by_the_links_that_it_uses_and_their_neighbours() -> None:
    """On 4 nodes with one round of messages, a link far from the path's says nothing about it."""
    setting = tiny.setting()
    agent, env = agent_of("ppo", features="graph", observation="graph", graph_rounds=1, graph_units=4)
    extractor, shown = extractor_of(agent), seen_after(env, 10)
    seen, _ = agent.policy.obs_to_tensor(shown)
    pairs = list(zip(setting.world.pair_source.tolist(), setting.world.pair_target.tolist(), strict=True))
    pair = (seen["source"][0].argmax().item(), seen["destination"][0].argmax().item())
    first = setting.world.path_first[pairs.index(pair)]
    hops = setting.world.path_links[setting.world.link_first[first] : setting.world.link_first[first + 1]]
    at = pair[0] * 4 + pair[1]
    assert links_of_pairs(setting)[at, 0, : hops.size].tolist() == hops.tolist()
    links = setting.topology.links
    nodes = {end for hop in hops for end in (links[hop].source, links[hop].target)}
    learned = slice(extractor.path_size - 4, extractor.path_size)
    for link in range(len(links)):
        changed = {name: part.clone() for name, part in seen.items()}
        changed["link_utilisation"][0, link] += 0.5
        moved = bool((extractor(changed)[0, learned] != extractor(seen)[0, learned]).any())
        assert moved == bool({links[link].source, links[link].target} & nodes), f"link {links[link]}"


def test_links_leave_and_enter_their_ends_and_shared_ones_do_both() -> None:
    leaving, entering = incidence(tiny.setting())
    assert leaving.sum(axis=0).tolist() == entering.sum(axis=0).tolist() == [1.0] * 10
    assert not (leaving * entering).any()
    both, same = incidence(tiny.setting(links="shared"))
    assert (both == same).all()
    assert both.sum(axis=0).tolist() == [2.0] * 5


@pytest.mark.parametrize(
    ("features", "observation", "message"),
    [
        ("paths", "obs_4", "describes each candidate path.*choose algorithm.observation from deeprmsa"),
        ("graph", "unified", "shows every link.*choose algorithm.observation graph"),
        ("graph", "deeprmsa", "shows every link"),
    ],
)
def test_an_observation_that_lacks_what_is_read_is_refused(features: str, observation: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        agent_of("maskable-ppo", features=features, observation=observation)


def test_returns_of_several_steps_without_masks_need_a_flat_observation() -> None:
    assert agent_of("dqn", n_steps=3)[0].n_steps == 3
    assert agent_of("masked-dqn", n_steps=3, observation="unified")[0].replay_buffer.n_steps == 3
    with pytest.raises(ConfigError, match=r"algorithm\.n_steps of dqn must be 1"):
        agent_of("dqn", n_steps=3, observation="unified")


def test_an_agent_of_several_steps_is_loaded_without_a_warning_that_they_are_ignored(tmp_path: Any) -> None:
    for name in ("dqn", "masked-qr-dqn"):
        agent_of(name, n_steps=3)[0].save(tmp_path / "agent.zip")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded: Any = load_zip(name, tmp_path / "agent.zip")
        assert loaded.replay_buffer.n_steps == loaded.n_steps == 3


def test_a_saved_path_network_decides_as_before(tmp_path: Any) -> None:
    for name, features in (("maskable-ppo", "graph"), ("masked-qr-dqn", "paths")):
        agent, env = agent_of(name, features=features, observation="graph")
        agent.save(tmp_path / "agent.zip")
        loaded = type(agent).load(tmp_path / "agent.zip", device="cpu")
        shown = seen_after(env, 5)
        assert np.array_equal(agent.predict(shown, deterministic=True)[0], loaded.predict(shown, deterministic=True)[0])
    assert settings_of("ppo").features == "mlp"
