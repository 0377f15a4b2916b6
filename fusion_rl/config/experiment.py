"""An experiment: one of each of the five concerns, checked against each other."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from fusion_rl.config.algorithm import AlgorithmConfig
from fusion_rl.config.base import Settings
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.policy_gradient import PPOFamily, TRPOConfig
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.config.value_based import DQNFamily


class ExperimentConfig(Settings):
    """All that a run needs to know. Frozen: every reader sees what was asked for."""

    name: str = Field(min_length=1, description="name of the experiment")
    description: str = Field(default="", description="one line for people")
    network: NetworkConfig
    scenarios: ScenariosConfig
    algorithm: Annotated[AlgorithmConfig, Field(discriminator="name")]
    reward: RewardConfig = RewardConfig()
    execution: ExecutionConfig = ExecutionConfig()

    @model_validator(mode="after")
    def _check_widths_have_a_meaning(self) -> Self:
        for scenario in self.scenarios:
            kind = scenario.bandwidth.kind
            if self.network.reach_table is None and kind != "slots":
                raise ValueError(
                    f"network.reach_table is null (no formats), so scenario '{scenario.name}' must give"
                    f" widths in slots (bandwidth.kind: slots), not Gb/s (bandwidth.kind: {kind})"
                )
        return self

    @model_validator(mode="after")
    def _check_batches(self) -> Self:
        algorithm, lanes = self.algorithm, self.execution.lanes
        if isinstance(algorithm, PPOFamily | TRPOConfig) and (algorithm.n_steps * lanes) % algorithm.batch_size:
            collected = f"{algorithm.n_steps} x {lanes} = {algorithm.n_steps * lanes}"
            raise ValueError(
                f"algorithm.batch_size ({algorithm.batch_size}) must divide algorithm.n_steps x"
                f" execution.lanes ({collected}): change one of the three"
            )
        if isinstance(algorithm, DQNFamily) and algorithm.buffer_size < max(algorithm.batch_size, lanes):
            raise ValueError(
                f"algorithm.buffer_size ({algorithm.buffer_size}) must hold at least one batch"
                f" (algorithm.batch_size {algorithm.batch_size}) and one step of all {lanes} lanes"
            )
        return self
