"""Experiments that extend others: each says what is different from the one below."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_rl.config import yaml_text
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.sources import Source, locate, own_values, read_concern
from fusion_rl.errors import ConfigError, nearest_hint

EXTENDS = "extends"


@dataclass(frozen=True)
class Link:
    """One experiment of a chain: what it says itself, where its files lie, and the words that name it."""

    values: dict[str, Any]
    folder: Path
    origin: str


def read_chain(experiment: str | Path | Mapping[str, Any]) -> list[Link]:
    """An experiment and all that it extends, the lowest first.

    The name is that of the experiment itself (its own, or its file's); a description may come from below.

    Raises:
        ConfigError: an experiment is unknown, malformed, or extends itself.
    """
    chain: list[Link] = []
    files: list[Path] = []
    given, folder = experiment, Path()
    while True:
        if isinstance(given, Mapping):
            values, origin, name = dict(given), "experiment argument", "custom"
        else:
            path = locate("experiment", given, folder)
            if path in files:
                names = " -> ".join(file.name for file in (*files, path))
                raise ConfigError(f"experiment file {given} extends itself: {names}")
            files.append(path)
            values, folder, name = yaml_text.read(path), path.parent, path.stem
            origin = f"experiment file {given}"
            if not isinstance(values, dict):
                raise ConfigError(f"{origin}: expected the concerns of an experiment, got {str(values)[:60]!r}")
        _check_keys(values, origin)
        below = values.pop(EXTENDS, None)
        if not chain:
            values = {"name": name, **values}
        chain.insert(0, Link(values, folder, origin))
        if below is None:
            return chain
        if not isinstance(below, str | Path):
            raise ConfigError(f"{origin}: extends names one experiment, a preset or a file; got {str(below)[:60]!r}")
        given = below


def _check_keys(values: dict[str, Any], origin: str) -> None:
    allowed = (*ExperimentConfig.model_fields, EXTENDS)
    for key in values:
        if key not in allowed:
            raise ConfigError(f"{origin}: unknown key '{key}': {nearest_hint(str(key), allowed)}")


def read_entries(concern: str, entries: list[tuple[Any, Path, str]]) -> tuple[Source | None, list[Source]]:
    """What a chain says of one concern.

    Args:
        concern: which.
        entries: (entry, folder, origin) of each link that mentions it, the lowest first. One that names a preset or a
            file replaces all below it; values are laid over it. Of scenarios, a list replaces the ones below, and
            values change every one of them.

    Returns:
        The file that is named last, and the values laid over it, the lowest first.
    """
    file: Source | None = None
    values: list[Source] = []
    for entry, folder, origin in entries:
        if isinstance(entry, str | Path):
            file, values = read_concern(concern, entry, folder), []
            continue
        changed = entry
        if isinstance(entry, Mapping) and "preset" in entry:
            file, values = read_concern(concern, entry["preset"], folder), []
            changed = {key: value for key, value in entry.items() if key != "preset"}
        if changed or changed is entry:
            own = own_values(concern, changed, folder, origin)
            several = concern == "scenarios" and isinstance(changed, Mapping) and "scenarios" not in changed
            if several and (file is not None or values):
                own = Source(concern, {concern: {"*": own.values[concern][0]}}, origin)
            values.append(own)
    return file, values
