"""A resolved configuration as a folder that rebuilds the run by itself."""

import filecmp
import os
import shutil
from pathlib import Path

from fusion_rl.config import yaml_text
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.sources import named_files
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
