"""The space that a study searches: its settings with their ranges, checked, and trials as configurations."""

import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.layers import mark
from fusion_rl.config.load import load
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.schema import expand
from fusion_rl.config.search import Range
from fusion_rl.errors import ConfigError
from fusion_rl.tuning.definition import StudyDefinition

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import BaseTrial

_CHECKED = 128  # combinations of ends and choices that are tried before a study begins
_PARTS = 10  # evaluations and checkpoints of a training: with a worker, at most the tenth part of one is lost
_OWN = {  # settings that a study says itself, and where it says them
    "execution.timesteps": "budget.timesteps",
    "execution.seed": "seeds (training seeds count upwards from execution.seed in the experiment)",
    "execution.tracking_dir": "--tracking-dir",
    "execution.experiment_name": "the study's name",
    "execution.run_name": "the study's name and the trial's number",
    "execution.model_name": "nothing: trials are not registered",
    "execution.register_model": "nothing: trials are not registered",
}


@dataclass(frozen=True)
class Dimension:
    """A setting that is searched.

    Attributes:
        path: dotted, as overrides take it.
        range: in which.
        whole: its values are whole numbers.
        default: the experiment's own value; None where it has none that can be searched.
    """

    path: str
    range: Range
    whole: bool
    default: Any = None

    @property
    def distribution(self) -> "BaseDistribution":
        """As Optuna takes it."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        if self.range.choices is not None:
            return CategoricalDistribution([_label(choice) for choice in self.range.choices])
        low, high = self.range.low, self.range.high
        assert low is not None and high is not None  # noqa: PT018  # the range's own check
        if self.whole:
            return IntDistribution(int(low), int(high), log=self.range.log)
        return FloatDistribution(float(low), float(high), log=self.range.log)

    def value(self, told: Any) -> Any:
        """The setting's value of what Optuna tells."""
        if self.range.choices is None:
            return told
        return next(choice for choice in self.range.choices if _label(choice) == told)

    def told(self, value: Any) -> Any:
        """What Optuna is told of a value; None where the range does not hold it."""
        if self.range.choices is not None:
            return _label(value) if any(_label(value) == _label(choice) for choice in self.range.choices) else None
        low, high = self.range.low, self.range.high
        assert low is not None and high is not None  # noqa: PT018
        fits = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return value if fits else None


@dataclass(frozen=True)
class Space:
    """All settings that a study searches, and the experiment that they are settings of.

    Attributes:
        base: the experiment as it stands, as the study's trials carry it out.
        dimensions: what is searched.
    """

    definition: StudyDefinition
    tracking_dir: str
    base: ExperimentConfig
    dimensions: tuple[Dimension, ...]

    def suggest(self, trial: "BaseTrial") -> dict[str, Any]:
        """A trial's values of all settings: proposed now, or those that it has."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        values: dict[str, Any] = {}
        for dimension in self.dimensions:
            match dimension.distribution:
                case CategoricalDistribution(choices=choices):
                    told: Any = trial.suggest_categorical(dimension.path, choices)
                case IntDistribution(low=least, high=most, log=log):
                    told = trial.suggest_int(dimension.path, least, most, log=log)
                case FloatDistribution(low=low, high=high, log=log):
                    told = trial.suggest_float(dimension.path, low, high, log=log)
            values[dimension.path] = dimension.value(told)
        return values

    def values(self, told: Mapping[str, Any]) -> dict[str, Any]:
        """The settings' values of a trial that is over."""
        known = {dimension.path: dimension for dimension in self.dimensions}
        return {path: known[path].value(one) for path, one in told.items()}

    def defaults(self) -> dict[str, Any]:
        """What Optuna is told of the experiment as it stands, as far as the ranges hold it."""
        told = {dimension.path: dimension.told(dimension.default) for dimension in self.dimensions}
        return {path: value for path, value in told.items() if value is not None}

    def configuration(self, values: Mapping[str, Any], seed: int = 0, run_name: str | None = None) -> ExperimentConfig:
        """The experiment with a trial's values.

        Args:
            values: setting -> value.
            seed: which of the trial's trainings, from 0.
            run_name: of the training.

        Raises:
            ConfigError: the values are not allowed.
        """
        own = {"execution.seed": self.base.execution.seed + seed, "execution.run_name": run_name}
        return _load(self.definition, self.tracking_dir, {**values, **own})


def make_space(definition: StudyDefinition, tracking_dir: str) -> Space:
    """The space of a study: every setting is there, and has a range.

    Raises:
        ConfigError: the experiment cannot be used, a path is unknown (with the nearest), or it has no range.
    """
    for path in (*definition.overrides, *definition.search):
        if path in _OWN:
            raise ConfigError(f"study {definition.name}: {path} is said by {_OWN[path]}: leave it out")
    base = _load(definition, tracking_dir, {})
    dimensions = tuple(_dimension(definition, base, path, given) for path, given in definition.search.items())
    return Space(definition, tracking_dir, base, dimensions)


def check_values(space: Space) -> None:
    """Fail before a study begins rather than in its trials: no range holds values that are not allowed.

    Raises:
        ConfigError: a value is not allowed, or several together; names them.
    """
    for values in _combinations(space.dimensions):
        try:
            space.configuration(values)
        except ConfigError as error:
            for path, value in values.items():  # one of them by itself?
                if len(values) > 1:
                    space.configuration({path: value})
            told = ", ".join(f"{path}={_label(value)}" for path, value in values.items())
            raise ConfigError(f"study {space.definition.name}: search allows {told}: {error}") from error


def _load(definition: StudyDefinition, tracking_dir: str, values: Mapping[str, Any]) -> ExperimentConfig:
    steps = definition.budget.timesteps
    part = max(1, steps // _PARTS)
    overrides = {
        "execution.progress": False,
        "execution.eval_every": part,
        "execution.checkpoint_every": part,
        **definition.overrides,
        "execution.timesteps": steps,
        "execution.tracking_dir": tracking_dir,
        "execution.experiment_name": f"study {definition.name}",
        "execution.register_model": False,
        **values,
    }
    return load(definition.experiment, overrides=overrides, overrides_from=f"study {definition.name}").config


def _dimension(definition: StudyDefinition, base: ExperimentConfig, path: str, given: Range | None) -> Dimension:
    where = f"study {definition.name}: search"
    settings = base.model_dump(mode="json")
    default: Any = settings
    for step in expand(path, mark(settings, ""), where)[0]:
        default = default[int(step)] if isinstance(default, list) else (default or {}).get(step)
    if path.startswith("execution.") and path != "execution.lanes":
        raise ConfigError(f"{where}: {path} says how trials are measured, which must be the same for all of them")
    found = given if given is not None else _default_range(base, path, where)
    whole = isinstance(found.low, int) and isinstance(found.high, int)
    if isinstance(default, int | float):
        if isinstance(default, int) and not whole and found.choices is None:
            raise ConfigError(f"{where}: {path} takes whole numbers: low and high cannot be {found.low}, {found.high}")
        whole = isinstance(default, int)
    return Dimension(path, found, whole, default)


def _default_range(base: ExperimentConfig, path: str, where: str) -> Range:
    """The range that stands beside a setting."""
    algorithm = type(base.algorithm)
    concern, _, key = path.partition(".")
    if concern == "algorithm" and key not in algorithm.model_fields:
        raise ConfigError(f"{where}: {algorithm.explain_unknown_key(key)}")
    known = {f"algorithm.{name}": entry for name, entry in algorithm.search_ranges().items()}
    known |= {f"reward.{name}": entry for name, entry in RewardConfig.search_ranges().items()}
    if path not in known:
        raise ConfigError(
            f"{where}: {path} has no range of its own: give low and high, or choices; "
            f"settings that have one: {', '.join(known)}"
        )
    return known[path]


def _combinations(dimensions: tuple[Dimension, ...]) -> Iterator[dict[str, Any]]:
    """Combinations of the ends of ranges and of choices: all of them, or so many, each end and choice among them."""
    corners = {dimension.path: dimension.range.corners() for dimension in dimensions}
    if math.prod(map(len, corners.values())) <= _CHECKED:
        yield from (dict(zip(corners, values, strict=True)) for values in itertools.product(*corners.values()))
        return
    draw = random.Random(0)
    for path, ends in corners.items():
        yield from ({**{other: draw.choice(these) for other, these in corners.items()}, path: end} for end in ends)
    for _ in range(_CHECKED):
        yield {path: draw.choice(ends) for path, ends in corners.items()}


def _label(choice: Any) -> Any:
    """A choice as Optuna stores it: lists and mappings as JSON text."""
    return json.dumps(choice, sort_keys=True) if isinstance(choice, list | tuple | dict) else choice
