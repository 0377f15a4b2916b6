"""Ranges that a study may search a setting in; each setting's default range stands beside the setting."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from fusion_rl.config.base import Settings


class Range(Settings):
    """Where the values of a setting are looked for: between two numbers, or among choices."""

    low: int | float | None = Field(default=None, description="least value")
    high: int | float | None = Field(default=None, description="greatest value")
    log: bool = Field(default=False, description="spread values evenly over orders of magnitude")
    choices: tuple[Any, ...] | None = Field(default=None, description="the values themselves, instead of low and high")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("a range has low and high (and log), or choices; not both")
            if not self.choices:
                raise ValueError("the range is empty: there are no choices")
            if any(choice in self.choices[:i] for i, choice in enumerate(self.choices)):
                raise ValueError("a choice is given twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a range needs low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"the range is empty: low ({self.low:g}) must be below high ({self.high:g})")
        if self.log and self.low <= 0:
            raise ValueError(f"low ({self.low:g}) must be above 0 where log is true")
        return self

    def corners(self) -> tuple[Any, ...]:
        """The values that show whether all are allowed: the ends, or every choice."""
        return self.choices if self.choices is not None else (self.low, self.high)


class Searchable(Settings):
    """Settings of which some say in which range a study searches them unless it names another."""

    SEARCH: ClassVar[Mapping[str, Range]] = {}

    @classmethod
    def search_ranges(cls) -> dict[str, Range]:
        """Setting -> its default range, those of the families that it belongs to included."""
        found: dict[str, Range] = {}
        for model in reversed(cls.__mro__):
            found |= vars(model).get("SEARCH", {})
        return {name: entry for name, entry in found.items() if name in cls.model_fields}


def span(low: float, high: float, log: bool = False) -> Range:
    """Values between two numbers."""
    return Range(low=low, high=high, log=log)


def among(*choices: Any) -> Range:
    """Values among these."""
    return Range(choices=choices)
