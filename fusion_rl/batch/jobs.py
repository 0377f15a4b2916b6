"""From a plan to its jobs: every run with its own name and its resolved settings, before any of them starts."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from fusion_rl.batch.plan import Plan, Step
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.config.sources import CONCERNS, existing_file
from fusion_rl.errors import ConfigError, NotebookError
from fusion_rl.tuning.definition import PREFIX

_OURS = ("execution.tracking_dir", "execution.experiment_name", "execution.run_name")
_SETTINGS = "settings"  # a notebook's parameter that takes what the command line's --set takes


@dataclass(frozen=True)
class Job:
    """One run to carry out.

    Attributes:
        name: unique in its batch; also of the run, and of its files.
        at: setting or parameter -> its value at this point of the grid, with those of the steps before.
        after: job whose best checkpoint it goes on from.
        resume_from: run, checkpoint or stored model that it goes on from.
        config: of a training.
        notebook: its file.
        parameters: of the notebook.
    """

    name: str
    step: str
    at: dict[str, Any]
    after: str | None = None
    resume_from: str | None = None
    config: ExperimentConfig | None = None
    notebook: str | None = None
    parameters: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """The job as JSON types."""
        config = None if self.config is None else self.config.model_dump(mode="json")
        return {**vars(self), "config": config}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> "Job":
        """The job that `as_dict` told."""
        config = None if told["config"] is None else ExperimentConfig.model_validate(told["config"])
        return cls(**{**told, "config": config})


def jobs_of(plan: Plan, folder: Path) -> list[Job]:
    """All jobs of a plan, each behind the one that it goes on from.

    Args:
        plan: the plan.
        folder: where the files that it names are looked for first; then in the working directory.

    Raises:
        FusionRLError: a preset, file, setting, notebook, parameter or model is unknown, or a step cannot go on from
            the one before; names the step.
    """
    found: dict[str, list[Job]] = {}
    for name in plan.in_order():
        step = plan.steps[name]
        origin = f"step {name}"
        made = _notebook_jobs(plan, name, step, folder, origin) if step.notebooks else _trainings(
            plan, name, step, found[step.after] if step.after is not None else [None], folder, origin
        )  # fmt: skip
        found[name] = list(made)
    return _named_apart([job for jobs in found.values() for job in jobs])


def _trainings(plan: Plan, name: str, step: Step, before: list[Any], folder: Path, origin: str) -> Iterator[Job]:
    """The runs of a step: one for each point of its grid, and for each job that it goes on from."""
    model = _model(step)
    base = _base(plan, step, model, folder, origin)
    for parent in before:
        for point in _points(step):
            chosen = {key: _located(key, value, folder, origin) for key, value in {**step.settings, **point}.items()}
            for key in _OURS:
                if key in chosen:
                    raise ConfigError(f"{origin}: {key} is decided by the batch: leave it out")
            experiment = parent.config.model_dump(mode="json") if parent is not None and base is None else base
            at = {**(parent.at if parent is not None else {}), **point}
            config = load(
                experiment,
                **{concern: chosen.pop(concern) for concern in CONCERNS if concern in chosen},
                overrides=chosen,
                overrides_from=origin,
            ).config
            job_name = _job_name(name, at)
            ours = {"tracking_dir": str(Path(plan.tracking_dir).absolute()), "experiment_name": plan.name}
            execution = config.execution.model_copy(update={**ours, "run_name": job_name})
            config = config.model_copy(update={"execution": execution})
            if parent is not None:
                _check_goes_on(parent, config, origin)
            after = parent.name if parent is not None else None
            yield Job(job_name, name, at, after=after, resume_from=model, config=config)


def _model(step: Step) -> str | None:
    """The stored model that a step goes on from, of `study:NAME` the checkpoint that is best now."""
    if step.resume_from is None or not step.resume_from.startswith(PREFIX):
        return step.resume_from
    from fusion_rl.tuning.results import best_of

    return str(best_of(step.resume_from).checkpoint)


def _base(plan: Plan, step: Step, model: str | None, folder: Path, origin: str) -> str | dict[str, Any] | None:
    """The experiment that a step begins with; None: that of each job it goes on from."""
    if model is not None:
        from fusion_rl.training.ancestry import find_parent

        parent = find_parent(model, plan.tracking_dir)  # now, so that a wrong name does not come out later
        return parent.experiment() if step.experiment is None else _experiment(step.experiment, folder, origin)
    return None if step.experiment is None else _experiment(step.experiment, folder, origin)


def _experiment(given: str | dict[str, Any], folder: Path, origin: str) -> str | dict[str, Any]:
    return _located("experiment", given, folder, origin)  # type: ignore[no-any-return]


def _check_goes_on(parent: Job, config: ExperimentConfig, origin: str) -> None:
    """Refuse what a model cannot go on with, as far as settings tell.

    Raises:
        ConfigError: the algorithm, the observation or the action is another one.
    """
    assert parent.config is not None
    old, here = parent.config.algorithm, config.algorithm
    differ = [
        f"algorithm.{key}: it has {getattr(old, key)}, here {getattr(here, key)}"
        for key in ("name", "observation", "action")
        if getattr(old, key) != getattr(here, key)
    ]
    if differ:
        raise ConfigError(f"{origin}: the model of step {parent.step} cannot go on here: {'; '.join(differ)}")


def _notebook_jobs(plan: Plan, name: str, step: Step, folder: Path, origin: str) -> Iterator[Job]:
    from fusion_rl.batch.notebooks import check_parameters, find_notebook, notebook_parameters

    for given in step.notebooks:
        beside = folder / given
        notebook = find_notebook(beside if beside.is_file() else given)
        declared = notebook_parameters(notebook)
        for point in _points(step):
            chosen = {key: _located(key, value, folder, origin) for key, value in {**step.settings, **point}.items()}
            parameters = {key: value for key, value in chosen.items() if key in declared}
            others = {key: value for key, value in chosen.items() if key not in declared}
            at = {"notebook": notebook.stem, **point} if len(step.notebooks) > 1 else point
            job_name = _job_name(name, at)
            if _SETTINGS in declared and all("." in key or key in CONCERNS for key in others):
                said = [f"{key}={_as_yaml(value)}" for key, value in others.items()]
                said += [f"execution.experiment_name={plan.name}", f"execution.run_name={job_name}"]
                parameters[_SETTINGS] = [*parameters.get(_SETTINGS, []), *said]
                others = {}
            if "tracking_dir" in declared:
                parameters["tracking_dir"] = str(Path(plan.tracking_dir).absolute())
            try:
                check_parameters(notebook, declared, {**parameters, **others})
            except NotebookError as error:
                raise NotebookError(f"{origin}: {error}") from error
            _check_settings(parameters, {key: one.default for key, one in declared.items()}, origin)
            yield Job(job_name, name, at, notebook=str(notebook), parameters=parameters)


def _check_settings(parameters: Mapping[str, Any], defaults: Mapping[str, str], origin: str) -> None:
    """Resolve the experiment that a notebook's parameters name, if it has such, to find what is wrong with them."""
    if _SETTINGS not in parameters:
        return
    from fusion_rl.config import yaml_text

    named = {
        key: parameters.get(key, yaml_text.parse(defaults[key], f"{origin}: {key}"))
        for key in ("experiment", *CONCERNS)
        if key in defaults
    }
    load(**named, overrides=parameters[_SETTINGS], overrides_from=origin)


def _points(step: Step) -> Iterator[dict[str, Any]]:
    """The points of a step's grid, the last setting running fastest."""
    for values in product(*step.grid.values()):
        yield dict(zip(step.grid, values, strict=True))


def _located(key: str, value: Any, folder: Path, origin: str) -> Any:
    """A value; a YAML file of a concern by its absolute path."""
    is_file = key in ("experiment", *CONCERNS) and isinstance(value, str) and value.endswith((".yaml", ".yml"))
    return str(existing_file(value, folder, f"{origin}: {key}")) if is_file else value


def _as_yaml(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _job_name(step: str, at: Mapping[str, Any]) -> str:
    """The step and the point of the grid, as a name of files and runs: train-ppo-seed2."""
    return "-".join([_plain(step), *(_label(key, value) for key, value in at.items())])


def _label(key: str, value: Any) -> str:
    if isinstance(value, str):
        return _plain(Path(value).stem if "/" in value or value.endswith((".yaml", ".yml")) else value)
    if isinstance(value, Mapping):
        value = value.get("name", value.get("preset", "_".join(map(str, value.values()))))
    return _plain(f"{key.rpartition('.')[2]}{value}")


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_-") or "x"


def _named_apart(jobs: list[Job]) -> list[Job]:
    """The same jobs.

    Raises:
        ConfigError: two have one name, because the values of a grid read alike.
    """
    names = [job.name for job in jobs]
    for job in jobs:
        if names.count(job.name) > 1:
            raise ConfigError(f"step {job.step}: two runs would be called {job.name}: values of its grid read alike")
    return jobs
