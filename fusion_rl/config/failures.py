"""Link failures: events that a scenario schedules or draws at random."""

from typing import Annotated, Literal

from pydantic import Field

from fusion_rl.config.base import Settings


class FailureEvent(Settings):
    """One edge fails, in both directions, and is repaired later."""

    source: str = Field(description="node at one end of the edge")
    target: str = Field(description="node at its other end")
    at: float = Field(ge=0, description="when it fails, time units since the first warm-up request's time 0")
    repair_after: float = Field(gt=0, description="how long it stays down, time units")


class ScheduledFailures(Settings):
    """Edges fail at given times."""

    kind: Literal["scheduled"] = "scheduled"
    events: tuple[FailureEvent, ...] = Field(min_length=1, description="the failures, in any order")


class RandomFailures(Settings):
    """Each edge fails and is repaired by itself; times up and times down are exponential."""

    kind: Literal["random"] = "random"
    mean_time_between: float = Field(gt=0, description="mean time that an edge stays up, time units")
    mean_time_to_repair: float = Field(gt=0, description="mean time that it stays down, time units")


Failures = Annotated[ScheduledFailures | RandomFailures, Field(discriminator="kind")]
