"""The reward concern: what the agent is paid for serving or blocking a request."""

from typing import ClassVar, Self

from pydantic import Field, model_validator

from fusion_rl.config.search import Range, Searchable, among, span


class RewardConfig(Searchable):
    """A reward function by name, and its parameters."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "block": span(-10.0, 0.0),
        "bandwidth_weighted": among(False, True),
        "efficiency_weight": span(0.0, 1.0),
        "grooming_bonus": span(0.0, 1.0),
        "slicing_penalty": span(0.0, 1.0),
    }

    name: str = Field(default="service", min_length=1, description="reward function, as registered")
    success: float = Field(default=1.0, description="paid for a request that is served")
    block: float = Field(default=-1.0, description="paid for a request that is blocked")
    bandwidth_weighted: bool = Field(
        default=False, description="multiply by the request's share of the largest bandwidth"
    )
    efficiency_weight: float = Field(
        default=0.0, ge=0, description="weight of the term that favours allocations with few slot-hops"
    )
    grooming_bonus: float = Field(
        default=0.0, ge=0, description="paid for a request that rides on running lightpaths whole, in part for a part"
    )
    slicing_penalty: float = Field(
        default=0.0, ge=0, description="taken for each lightpath beyond the first that a sliced request needs"
    )
    parameters: dict[str, float | int | bool | str] = Field(
        default={}, description="parameters of a user's own function"
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.success <= self.block:
            raise ValueError(f"success ({self.success:g}) must be above block ({self.block:g}): it pays for blocking")
        return self
