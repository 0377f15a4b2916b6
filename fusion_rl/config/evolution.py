"""Settings of the agent whose score of candidate decisions is found by evolution."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from fusion_rl.config.agent import AlgorithmCommon, PositiveInt
from fusion_rl.config.search import Range, among, span


class EvolutionConfig(AlgorithmCommon):
    """CMA-ES over the parameters of a score; every member of a generation meets the same requests."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "population": among(12, 16, 24, 32),
        "step_size": span(0.05, 0.5, log=True),
        "requests": among(10_000, 20_000, 40_000),
    }

    name: Literal["evolution"] = "evolution"
    observation: Literal["spectrum", "spectrum-known-holding"] = Field(
        default="spectrum", description="all slots, since a score looks at the network; and when they will be free"
    )
    action: Literal["path-start"] = Field(default="path-start", description="a path, and the slot to start from")
    score: Literal["slot-capacity", "slot-capacity-known-holding", "linear", "mlp"] = Field(
        default="slot-capacity",
        description="what is learned: weights of slot-capacity losses, without or with knowing when services end; of "
        "cheap features; of a small network of these",
    )
    population: int = Field(default=24, ge=4, description="members of a generation")
    step_size: float = Field(default=0.2, gt=0, description="standard deviation of the first generation's parameters")
    requests: PositiveInt = Field(
        default=20_000, description="requests of each scenario that a member serves, over all lanes"
    )
    warmup_requests: int = Field(
        default=2_000, ge=0, description="requests of each lane, served by the mean of the generation, before these"
    )

    @model_validator(mode="after")
    def _score_is_shown_what_it_reads(self) -> Self:
        needed = "spectrum-known-holding" if self.score == "slot-capacity-known-holding" else "spectrum"
        if self.observation != needed:
            raise ValueError(f"score {self.score} needs observation {needed}, not {self.observation}")
        return self
