"""Many scenarios, one agent: how its training is shared out over them."""

import warnings

from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import BatchSimulator


def warn_of_few_lanes(config: ExperimentConfig) -> None:
    """Say so where scenarios have to take turns, because there are fewer lanes than scenarios."""
    lanes, scenarios = config.execution.lanes, len(config.scenarios)
    if lanes < scenarios:
        warnings.warn(
            f"{scenarios} scenarios take turns on {lanes} lane{'s' * (lanes > 1)}: a lane goes on to its next one when "
            f"an episode ends, and all have had a turn after {-(-scenarios // lanes)} episodes of each lane; "
            f"execution.lanes={scenarios} or more runs all of them all the time",
            stacklevel=2,
        )


class ScenarioProgress(BaseCallback):
    """Logs for each of several scenarios how many of its requests were decided, and what its episodes blocked.

    Args:
        simulator: the lanes that the agent is trained on.
    """

    def __init__(self, simulator: BatchSimulator) -> None:
        super().__init__()
        self._simulator = simulator

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            for info in self.locals["infos"]:
                if "scenario" in info:
                    name = f"rollout/{info['scenario']}/service_blocking"
                    self.logger.record_mean(name, info["service_blocking"])
        return True

    def _on_rollout_end(self) -> None:
        counts = self._simulator.requests_by_scenario().tolist()
        for name, count in zip(self._simulator.scenario_names, counts, strict=True):
            self.logger.record(f"rollout/{name}/requests", count)
