"""What an agent that learns the worth of actions holds them to be worth."""

from typing import TYPE_CHECKING, Any

import numpy as np

from fusion_rl.agents.masking import masks_of
from fusion_rl.arrays import Floats

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


def action_values(agent: "BaseAlgorithm", observations: Any) -> Floats | None:
    """Value of each action, [B, A]; None for an agent that does not learn them.

    Args:
        agent: deep Q-learning, quantiles of returns (their mean counts), or a table.
        observations: of all lanes.
    """
    import torch

    if hasattr(agent.policy, "value_table"):
        table: Any = agent.policy
        return np.asarray(table.of_actions(table.cells.of(observations)))
    network = getattr(agent, "q_net", None) or getattr(agent, "quantile_net", None)
    if network is None:
        return None
    tensor, _ = agent.policy.obs_to_tensor(observations)
    with torch.no_grad():
        found = network(tensor)
    return np.asarray((found.mean(dim=1) if found.ndim == 3 else found).cpu().numpy(), np.float64)


def log_action_values(agent: "BaseAlgorithm") -> None:
    """Record what the requests at hand are worth, mean over lanes: the best allowed action, and all allowed ones."""
    values = action_values(agent, agent._last_obs)
    if values is None:
        return
    allowed = np.where(masks_of(agent.env), values, np.nan)
    agent.logger.record("train/action_value_best", float(np.nanmax(allowed, axis=1).mean()))
    agent.logger.record("train/action_value_mean", float(np.nanmean(allowed, axis=1).mean()))
