"""A plan of many runs: what is written in a YAML file, checked as far as it can be without looking anything up.

A plan has steps; a step is one training or one notebook, times its grid. A step `after` another goes on from the best
checkpoint of the other's run at the same point of the grid, so that steps make chains::

    name: two-loads
    processes: 2
    steps:
      first:
        experiment: deeprmsa-nsfnet            # as `fusion-rl train --experiment`
        settings: {execution: production}      # as --execution, --scenarios, --set ...
        grid: {algorithm: [maskable-ppo, ppo], execution.seed: [1, 2, 3]}
      heavier:
        after: first
        settings: {scenarios: heavy.yaml}      # all that it does not say is as in the step before
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.errors import ConfigError, UnknownNameError

Executor = Literal["local", "slurm"]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class SlurmSettings(Settings):
    """What one job asks SLURM for. A job that is out of time saves, and goes back into the queue."""

    minutes: int = Field(default=1440, ge=1, description="time limit of a job, before it is put back into the queue")
    warning_s: int = Field(default=120, ge=1, description="seconds before the limit at which a job begins to save")
    cpus: int = Field(default=2, ge=1, description="CPUs of a job")
    memory_gb: float | None = Field(default=4.0, gt=0, description="memory of a job, GB; null: as the cluster has it")
    gpus: int = Field(default=0, ge=0, description="GPUs of a job")
    partition: str | None = Field(default=None, min_length=1, description="partition; null: the cluster's default")
    account: str | None = Field(default=None, min_length=1, description="who pays; null: as the cluster has it")


class Step(Settings):
    """One training or one notebook, times a grid.

    `settings` and `grid` speak of a training as `fusion-rl train` does: `network`, `scenarios`, `algorithm`, `reward`
    and `execution` choose a preset or a file, and dotted keys are single values. For a notebook they are its
    parameters; what else they name goes to its parameter `settings`, if it has one.
    """

    experiment: str | dict[str, Any] | None = Field(
        default=None, description="training: experiment preset, YAML file or values; null: that of the step before"
    )
    notebook: str | tuple[str, ...] | None = Field(
        default=None, description="notebooks by name or path, in place of it"
    )
    after: str | None = Field(
        default=None, min_length=1, description="step whose best checkpoints this one goes on from"
    )
    resume_from: str | None = Field(
        default=None, min_length=1, description="run, checkpoint, models:/NAME@ALIAS or study:NAME to go on from"
    )
    settings: dict[str, Any] = Field(default={}, description="what all runs of this step have in common")
    grid: dict[str, tuple[Any, ...]] = Field(default={}, description="setting or parameter -> the values it takes")

    @model_validator(mode="after")
    def _check_is_one_thing(self) -> Self:
        if self.notebook is not None:
            others = [key for key in ("experiment", "after", "resume_from") if getattr(self, key) is not None]
            if others:
                raise ValueError(f"a notebook goes without {', '.join(others)}: these are for trainings")
            if not self.notebook:
                raise ValueError("notebook: name at least one")
        elif self.experiment is None and self.after is None and self.resume_from is None:
            raise ValueError("give an experiment or a notebook, or a step or model to go on from (after, resume_from)")
        if self.after is not None and self.resume_from is not None:
            raise ValueError("after and resume_from both name what it goes on from: give one")
        return self

    @model_validator(mode="after")
    def _check_grid(self) -> Self:
        for key, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{key} is empty: give at least one value")
            twice = [value for position, value in enumerate(values) if value in values[:position]]
            if twice:
                raise ValueError(f"grid.{key} lists {twice[0]!r} twice")
            if key in self.settings:
                raise ValueError(f"{key} is in settings and in grid: leave out one")
        return self

    @property
    def notebooks(self) -> tuple[str, ...]:
        """The notebooks it runs; none: it is a training."""
        return (self.notebook,) if isinstance(self.notebook, str) else self.notebook or ()


class Plan(Settings):
    """Steps, and how their runs are carried out."""

    name: str = Field(
        pattern=_NAME, description="of the batch: letters, digits, . - _; also of its experiment in MLflow"
    )
    description: str = Field(default="", description="what it is for, in Markdown")
    tracking_dir: str = Field(default="mlruns", min_length=1, description="folder of the run store")
    executor: Executor = Field(
        default="local", description="local: processes of this machine; slurm: jobs of a cluster"
    )
    processes: int | None = Field(
        default=None, ge=1, description="runs at a time; null: one here, in a cluster as many as it lets run"
    )
    slurm: SlurmSettings = SlurmSettings()
    steps: dict[str, Step] = Field(min_length=1, description="name -> step")

    @model_validator(mode="after")
    def _check_chains(self) -> Self:
        for name, step in self.steps.items():
            if step.after is not None and step.after not in self.steps:
                raise UnknownNameError("step", step.after, self.steps, f"step {name}: after")
            if step.after is not None and self.steps[step.after].notebooks:
                raise ValueError(
                    f"step {name}: after names {step.after}, a notebook: only a training can be gone on from"
                )
            chain = [name]
            while (before := self.steps[chain[-1]].after) is not None and before in self.steps:
                if before in chain:
                    circle = chain[chain.index(before) :]
                    raise ValueError(f"steps go on from each other in a circle: {' after '.join([*circle, before])}")
                chain.append(before)
        return self

    def in_order(self) -> list[str]:
        """The names of the steps, each behind the one that it goes on from."""
        ordered: list[str] = []
        for name in self.steps:
            chain = [name]
            while (before := self.steps[chain[-1]].after) is not None:
                chain.append(before)
            ordered += [step for step in reversed(chain) if step not in ordered]
        return ordered


def read_plan(given: str | Path | Mapping[str, Any], **changes: Any) -> tuple[Plan, Path]:
    """A plan, and the folder from which the files that it names are looked for.

    Args:
        given: YAML file, or the values themselves. One that says no name has that of its file; of its folder, if
            the file is called plan.yaml.
        changes: what replaces the plan's own values.

    Raises:
        ConfigError: the file is missing or malformed, or says something that a plan cannot.
    """
    folder, name, values = Path.cwd(), "batch", given
    if not isinstance(given, Mapping):
        path = Path(given).expanduser().absolute()
        values, folder = yaml_text.read(path), path.parent
        name = folder.name if path.stem == "plan" else path.stem
        if not isinstance(values, Mapping):
            raise ConfigError(f"plan {given}: expected `steps:` and what goes with them, got {str(values)[:60]!r}")
    try:
        return Plan.model_validate({"name": name, **dict(values), **changes}), folder  # type: ignore[arg-type]
    except ValidationError as error:
        raise _explained(error, "plan" if isinstance(given, Mapping) else f"plan {given}") from error


def _explained(error: ValidationError, origin: str) -> ConfigError:
    """A validation error as one line: where in the plan, and what is allowed."""
    first = error.errors(include_url=False)[0]
    kinds = ("str", "dict[str,any]", "tuple[str, ...]")
    where = ".".join(str(part) for part in first["loc"] if str(part) not in kinds)
    message = first["msg"].removeprefix("Value error, ")
    if message.startswith("Input "):
        message = f"{first['input']!r:.60} {message.removeprefix('Input ').replace('valid tuple', 'list')}"
    elif first["type"] == "missing":
        message = "is missing"
    return ConfigError(f"{origin}: {where}: {message}" if where else f"{origin}: {message}")
