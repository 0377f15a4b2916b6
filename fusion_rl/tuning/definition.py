"""What a study is: `studies/<name>/study.yaml`, read and checked."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.config.search import Range
from fusion_rl.errors import ConfigError, UnknownNameError, nearest_hint

FOLDER = "studies"
FILE_NAME = "study.yaml"
STORAGE_VARIABLE = "FUSION_RL_STUDIES"  # environment variable: URL of the database that studies are in
PREFIX = "study:"  # what a study's best trial is called by: study:NAME
SAMPLERS = ("tpe", "gp", "cmaes", "nsga2", "random")
PRUNERS = ("asha", "hyperband", "median", "none")
OBJECTIVES = ("blocking", "time")


class Budget(Settings):
    """How much a study may try."""

    trials: int = Field(ge=1, description="trials, pruned and failed ones included")
    timesteps: int = Field(ge=1, description="requests decided in the training of each seed of a trial")
    hours: float | None = Field(
        default=None,
        gt=0,
        description="no trial begins later than this after the command, by the clock; null: no limit",
    )


class StudyDefinition(Settings):
    """One question, the settings that may answer it, and how they are searched."""

    name: str = Field(min_length=1, pattern=r"^[\w.-]+$", description="name of the study: its folder's")
    question: str = Field(min_length=1, description="what the study is to answer, one sentence")
    experiment: str | dict[str, Any] = Field(
        default="deeprmsa-nsfnet", description="experiment: preset, YAML file, or the values themselves"
    )
    overrides: dict[str, Any] = Field(default={}, description="setting -> value that is another than the experiment's")
    search: dict[str, Range | None] = Field(
        min_length=1,
        description="settings that are searched: a list of them takes the range that stands beside each setting; a "
        "mapping names a range (low, high and log, or choices), or null for that one",
    )
    sampler: Literal["tpe", "gp", "cmaes", "nsga2", "random"] = Field(
        default="tpe", description="how settings are proposed"
    )
    pruner: Literal["asha", "hyperband", "median", "none"] = Field(
        default="median", description="how trials are ended that fall behind"
    )
    objectives: tuple[Literal["blocking", "time"], ...] = Field(
        default=("blocking",),
        min_length=1,
        description="what is to be small: the share of requests blocked; seconds of training",
    )
    seeds: int = Field(default=1, ge=1, description="trainings of each trial; its value is the mean over them")
    sampler_seed: int = Field(default=0, ge=0, description="seed of the proposals")
    try_defaults: bool = Field(default=True, description="the first trial is the experiment as it stands")
    budget: Budget
    start_from: str | None = Field(
        default=None,
        min_length=1,
        description="model whose weights every trial begins with: run, checkpoint or models:/NAME@ALIAS; null: none",
    )

    @field_validator("search", mode="before")
    @classmethod
    def _from_list(cls, given: Any) -> Any:
        """A list of settings as a mapping; an entry with a range of its own is a mapping of one."""
        if not isinstance(given, list | tuple):
            return given
        found: dict[str, Any] = {}
        for entry in given:
            pairs = entry if isinstance(entry, Mapping) else {entry: None}
            for path, one in pairs.items():
                if path in found:
                    raise ValueError(f"{path} is given twice")
                found[path] = one
        return found

    @model_validator(mode="after")
    def _check_they_fit(self) -> Self:
        if len(set(self.objectives)) < len(self.objectives):
            raise ValueError(f"objectives names one twice: {', '.join(self.objectives)}")
        if len(self.objectives) > 1 and self.pruner != "none":
            raise ValueError(f"pruner {self.pruner} needs a single objective: with several it is none")
        if "blocking" not in self.objectives and self.pruner != "none":
            raise ValueError(f"pruner {self.pruner} compares blocking, which is no objective here: take none")
        if len(self.objectives) > 1 and self.sampler == "cmaes":
            raise ValueError("sampler cmaes takes a single objective: tpe, gp, nsga2 and random take several")
        if self.sampler == "cmaes" and all(one is not None and one.choices is not None for one in self.search.values()):
            raise ValueError("sampler cmaes searches between numbers, and all settings here have choices: take tpe")
        return self

    def fixed(self) -> dict[str, Any]:
        """What may not change while a study goes on: all but how long it goes on, and its words."""
        return self.model_dump(mode="json", exclude={"question": True, "budget": {"trials", "hours"}})


def root() -> Path:
    """The nearest folder, from the working directory upwards, that has a folder of studies; else the working one."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if any(folder.glob(f"{FOLDER}/*/{FILE_NAME}"))), here)


def study_names() -> list[str]:
    """The studies that are defined here."""
    return sorted(path.parent.name for path in root().glob(f"{FOLDER}/*/{FILE_NAME}"))


def find_definition(name_or_path: str | Path) -> Path:
    """The file of a study: by its name in the folder `studies`, by its folder, or the file itself.

    Raises:
        UnknownNameError: there is no such study.
    """
    path = Path(name_or_path).expanduser()
    for file in (path, path / FILE_NAME, root() / FOLDER / path / FILE_NAME):
        if file.is_file():
            return file.absolute()
    names = study_names()
    where = "" if names else f"no {FOLDER}/NAME/{FILE_NAME} in {Path.cwd()} or above it"
    raise UnknownNameError("study", str(name_or_path), names, where)


def read_definition(name_or_path: str | Path) -> StudyDefinition:
    """A study's definition; its experiment's file is looked for beside it, too.

    Raises:
        ConfigError: there is no such study, or its file says something that is not allowed.
    """
    file = find_definition(name_or_path)
    values = yaml_text.read(file)
    if not isinstance(values, dict):
        raise ConfigError(f"study file {file}: expected its settings, got {str(values)[:60]!r}")
    values = {"name": file.parent.name, **values}
    experiment = values.get("experiment")
    if isinstance(experiment, str) and (file.parent / experiment).is_file():
        values["experiment"] = str(file.parent / experiment)
    return make_definition(values, f"study file {name_or_path}")


def make_definition(values: Mapping[str, Any], origin: str = "study") -> StudyDefinition:
    """A definition from plain values.

    Raises:
        ConfigError: something is missing, unknown or not allowed; names what and its nearest match.
    """
    try:
        return StudyDefinition.model_validate(dict(values))
    except ValidationError as error:
        raise _explained(error, origin) from error


def _explained(error: ValidationError, origin: str) -> ConfigError:
    first = error.errors(include_url=False)[0]
    steps = [str(step) for step in first["loc"]]
    setting = f"search: {'.'.join(steps[1:])}" if steps[:1] == ["search"] and steps[1:] else ".".join(steps)
    where = ": ".join(part for part in (origin, setting) if part)
    if first["type"] == "missing":
        return ConfigError(f"{where} is missing")
    if first["type"] == "literal_error":
        known = {"sampler": SAMPLERS, "pruner": PRUNERS, "objectives": OBJECTIVES}[steps[0]]
        return ConfigError(f"{where}: unknown '{first['input']}': {nearest_hint(str(first['input']), known)}")
    message = first["msg"].removeprefix("Value error, ")
    if message.startswith("Input "):
        message = f"{str(first['input'])[:60]} {message.removeprefix('Input ')}"
    return ConfigError(f"{where}: {message}")
