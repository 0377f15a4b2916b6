"""A resolved configuration as a folder that rebuilds the run by itself."""

import filecmp
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusion_rl.config import yaml_text
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.sources import CONCERNS, named_files
from fusion_rl.errors import ConfigError

FILE_NAME = "resolved_config.yaml"
_COMMENT = "Every setting of a run. To repeat it: fusion-rl train --experiment resolved_config.yaml"


def dump(config: ExperimentConfig) -> str:
    """The configuration as YAML; files stay where they are and are named absolutely."""
    return yaml_text.text(config.model_dump(mode="json"))


def save_resolved(config: ExperimentConfig, folder: str | Path) -> Path:
    """Write `resolved_config.yaml` into a folder, with copies of the files it names under `inputs/`.

    `load(experiment=the returned path)` gives an equal configuration, but for the paths of these copies. The
    YAML file is written last and replaced whole, so where it stands everything that it names stands too.

    Raises:
        ConfigError: a named file has gone, or the folder cannot be written.
    """
    folder = Path(folder)
    values = config.model_dump(mode="json")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for _, holder, key in named_files(values):
            holder[key] = _copy_input(Path(holder[key]), folder / "inputs").relative_to(folder).as_posix()
    except OSError as error:
        raise ConfigError(f"cannot save the configuration in {folder}: {error}") from error
    path = folder / FILE_NAME
    yaml_text.write(path, values, _COMMENT)
    return path


def write_experiment(experiment: Mapping[str, Any], path: Path) -> Path:
    """Write an experiment, as `load` takes it, to one YAML file.

    Raises:
        ConfigError: the file cannot be written.
    """
    _make_folder(path.parent)
    yaml_text.write(path, dict(experiment))
    return path


def write_concerns(config: ExperimentConfig, folder: Path) -> Path:
    """Write a file for each of the five concerns, and `experiment.yaml` that names them; returns that one.

    Raises:
        ConfigError: a file cannot be written.
    """
    _make_folder(folder)
    values = config.model_dump(mode="json")
    for concern in CONCERNS:
        content = {"scenarios": values[concern]} if concern == "scenarios" else values[concern]
        yaml_text.write(folder / f"{concern}.yaml", content)
    names = {concern: f"{concern}.yaml" for concern in CONCERNS}
    top = {"name": config.name, "description": config.description, **names}
    yaml_text.write(folder / "experiment.yaml", top)
    return folder / "experiment.yaml"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from error


def _copy_input(source: Path, inputs: Path) -> Path:
    """Copy a file to the folder of inputs, under a numbered name where another file has its own."""
    inputs.mkdir(exist_ok=True)
    target, number = inputs / source.name, 1
    while target.exists() and not filecmp.cmp(source, target, shallow=False):
        number += 1
        target = inputs / f"{source.stem}-{number}{source.suffix}"
    if not target.exists():
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.copyfile(source, unfinished)
        os.replace(unfinished, target)
    return target
