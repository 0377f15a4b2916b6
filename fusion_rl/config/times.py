"""When requests come and how long they stay: the arrival and holding-time laws of a scenario.

Arrival laws shape a load in time and leave its mean over time as it is. Times are in the scenario's own units.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from fusion_rl.config.base import Settings


class PoissonArrivals(Settings):
    """The same rate at all times."""

    kind: Literal["poisson"] = "poisson"


class PiecewiseArrivals(Settings):
    """Poisson arrivals at a rate that changes in steps, over and over again."""

    kind: Literal["piecewise"] = "piecewise"
    period: float = Field(gt=0, description="time after which the steps begin again")
    steps: tuple[tuple[float, float], ...] = Field(
        min_length=1,
        description="[from time, load factor] of each step; factors are relative: their mean over the period "
        "stands for load_erlang",
    )

    @model_validator(mode="after")
    def _check_steps(self) -> Self:
        times, factors = zip(*self.steps, strict=True)
        if times[0] != 0:
            raise ValueError(f"the first step begins at {times[0]:g}: it must begin at 0")
        for earlier, later in zip(times, (*times[1:], self.period), strict=True):
            if not earlier < later:
                raise ValueError(f"times must rise and stay below the period: {later:g} follows {earlier:g}")
        if min(factors) < 0:
            raise ValueError(f"load factor {min(factors):g} is below 0")
        if max(factors) == 0:
            raise ValueError("all load factors are 0")
        return self


class SinusoidalArrivals(Settings):
    """Poisson arrivals at a rate that swings like a day: load_erlang x (1 + amplitude x sin(2 pi t / period))."""

    kind: Literal["sinusoidal"] = "sinusoidal"
    amplitude: float = Field(ge=0, le=1, description="largest deviation from the mean, as a share of it")
    period: float = Field(gt=0, description="length of a day, time units")


class OnOffArrivals(Settings):
    """Poisson arrivals in bursts: exponential times with arrivals, and exponential times without any.

    This is the interrupted Poisson process (A. Kuczura, Bell Syst. Tech. J. 52, 437 (1973)). The rate within a
    burst is as much higher as bursts are rare, so that the mean load is load_erlang.
    """

    kind: Literal["on-off"] = "on-off"
    mean_on_time: float = Field(gt=0, description="mean duration of a burst, time units")
    mean_off_time: float = Field(gt=0, description="mean time between two bursts, time units")


class ExponentialHolding(Settings):
    """Exponential holding times; `holding_truncation` may cut them."""

    kind: Literal["exponential"] = "exponential"


class DeterministicHolding(Settings):
    """Every request stays for mean_holding_time."""

    kind: Literal["deterministic"] = "deterministic"


class LogNormalHolding(Settings):
    """Log-normal holding times of mean mean_holding_time."""

    kind: Literal["log-normal"] = "log-normal"
    sigma: float = Field(gt=0, le=5, description="standard deviation of the logarithm of the holding time")


def _kind_alone(given: Any) -> Any:
    """A law that needs no values may be given by its kind: `arrivals: poisson`."""
    return {"kind": given} if isinstance(given, str) else given


Arrivals = Annotated[
    Annotated[
        PoissonArrivals | PiecewiseArrivals | SinusoidalArrivals | OnOffArrivals,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_kind_alone),
]
Holding = Annotated[
    Annotated[ExponentialHolding | DeterministicHolding | LogNormalHolding, Field(discriminator="kind")],
    BeforeValidator(_kind_alone),
]
