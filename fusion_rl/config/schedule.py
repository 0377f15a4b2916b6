"""Schedules: a setting that changes while an agent trains.

Such a setting is a number, or a law of the share of training that is done, from 0 to 1:

| kind | value |
| --- | --- |
| constant | `value` |
| linear | from `start` to `end` in a straight line |
| exponential | `start` x exp(-`decay_rate` x share), never below `floor` |
| cosine | from `start` to `end` along half a cosine (I. Loshchilov and F. Hutter, SGDR, 2017, without restarts) |
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag

from fusion_rl.config.base import Settings
from fusion_rl.errors import nearest_hint

NotNegative = Annotated[float, Field(ge=0)]


class ConstantLaw(Settings):
    """The same value all the time; a number alone says the same."""

    kind: Literal["constant"] = "constant"
    value: NotNegative = Field(description="the value")


class LinearLaw(Settings):
    """A straight line."""

    kind: Literal["linear"] = "linear"
    start: NotNegative = Field(description="value when training begins")
    end: NotNegative = Field(description="value when it ends")


class ExponentialLaw(Settings):
    """Exponential decay to a floor."""

    kind: Literal["exponential"] = "exponential"
    start: float = Field(gt=0, description="value when training begins")
    decay_rate: float = Field(gt=0, description="the whole of training multiplies the value by exp(-decay_rate)")
    floor: NotNegative = Field(default=0.0, description="the value does not fall below this")


class CosineLaw(Settings):
    """Half a cosine: slow, fast, slow."""

    kind: Literal["cosine"] = "cosine"
    start: NotNegative = Field(description="value when training begins")
    end: NotNegative = Field(default=0.0, description="value when it ends")


Law: TypeAlias = ConstantLaw | LinearLaw | ExponentialLaw | CosineLaw
LAWS: tuple[type[Law], ...] = (ConstantLaw, LinearLaw, ExponentialLaw, CosineLaw)
_KINDS = tuple(str(law.model_fields["kind"].default) for law in LAWS)


def _check_kind(given: Any) -> Any:
    if isinstance(given, dict):
        if "kind" not in given:
            raise ValueError(f"a schedule needs its kind: choose from {', '.join(_KINDS)}")
        if given["kind"] not in _KINDS:
            raise ValueError(f"unknown kind of schedule '{given['kind']}': {nearest_hint(str(given['kind']), _KINDS)}")
    return given


def _tag(given: Any) -> str:
    return str(given["kind"]) if isinstance(given, dict) else str(getattr(given, "kind", "number"))


def _check_share(given: float | Law) -> float | Law:
    values = [given] if isinstance(given, int | float) else [v for k, v in given if k not in ("kind", "decay_rate")]
    if max(values) > 1:
        raise ValueError(f"{max(values):g} is above 1: this is a share")
    return given


_Laws: TypeAlias = (
    Annotated[ConstantLaw, Tag("constant")]
    | Annotated[LinearLaw, Tag("linear")]
    | Annotated[ExponentialLaw, Tag("exponential")]
    | Annotated[CosineLaw, Tag("cosine")]
)
_Above0: TypeAlias = Annotated[float, Field(gt=0), Tag("number")]
_From0: TypeAlias = Annotated[float, Field(ge=0), Tag("number")]

# a positive number or a law; a number from 0 or a law; the same, at most 1
Rate: TypeAlias = Annotated[_Above0 | _Laws, Discriminator(_tag), BeforeValidator(_check_kind)]
Weight: TypeAlias = Annotated[_From0 | _Laws, Discriminator(_tag), BeforeValidator(_check_kind)]
Share: TypeAlias = Annotated[
    _From0 | _Laws, Discriminator(_tag), BeforeValidator(_check_kind), AfterValidator(_check_share)
]
