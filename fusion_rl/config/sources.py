"""Where settings come from: presets and files, a concern each, and the files that they name in turn."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fusion_rl.config import yaml_text
from fusion_rl.config.scenarios import scenario_list
from fusion_rl.errors import ConfigError, UnknownNameError

CONCERNS = ("network", "scenarios", "algorithm", "reward", "execution")
PRESETS = Path(__file__).with_name("presets")
# a preset of one concern may also advise values of another: what an algorithm wants of execution, and back
ADVISES = {"algorithm": "execution", "execution": "algorithm"}
_GRAPH_SUFFIXES = (".csv", ".json", ".graphml", ".xml")

# what chooses a concern: a preset's name, a YAML file, or the values themselves
Entry: TypeAlias = str | Path | Mapping[str, Any] | list[Any]


@dataclass(frozen=True)
class Source:
    """Plain values of one concern, with what it advises for another, and the words that name their origin."""

    concern: str
    values: dict[str, Any]
    origin: str


def preset_names(concern: str) -> tuple[str, ...]:
    """The presets of a concern, or of "experiment", sorted.

    Raises:
        UnknownNameError: there is no such concern.
    """
    if concern not in (*CONCERNS, "experiment"):
        raise UnknownNameError("concern", concern, (*CONCERNS, "experiment"))
    return tuple(sorted(path.stem for path in (PRESETS / concern).glob("*.yaml")))


def preset_summary(concern: str, name: str) -> str:
    """The first line of a preset's comment: what it is."""
    lines = locate(concern, name, Path()).read_text(encoding="utf-8").splitlines()
    return lines[0].lstrip("# ") if lines else ""


def locate(concern: str, name_or_path: str | Path, folder: Path) -> Path:
    """The YAML file of a preset, or the file itself, looked for in a folder, then in the working directory.

    Raises:
        UnknownNameError: no preset has this name.
        ConfigError: there is no such file.
    """
    if isinstance(name_or_path, str) and not _is_path(name_or_path, (".yaml", ".yml")):
        names = preset_names(concern)
        if name_or_path not in names:
            raise UnknownNameError(f"{concern} preset", name_or_path, names)
        return PRESETS / concern / f"{name_or_path}.yaml"
    return existing_file(str(name_or_path), folder, f"{concern} file")


def existing_file(given: str, folder: Path, what: str) -> Path:
    """A file's absolute path, looked for in a folder and then in the working directory.

    Raises:
        ConfigError: it is in neither.
    """
    places = list(dict.fromkeys(base.resolve() for base in (folder, Path())))
    for base in places:
        path = base / Path(given).expanduser()
        if path.is_file():
            return path.resolve()
    raise ConfigError(f"{what}: no such file: {given} (looked in {' and in '.join(map(str, places))})")


def read_concern(concern: str, name_or_path: str | Path, folder: Path) -> Source:
    """A preset or a file of one concern, with what it advises for another.

    Raises:
        ConfigError: unknown, missing, malformed, or not a mapping of settings.
    """
    path = locate(concern, name_or_path, folder)
    origin = f"{concern} file {path.stem if path.parent == PRESETS / concern else name_or_path}"
    return own_values(concern, yaml_text.read(path), path.parent, origin, may_advise=True)


def own_values(concern: str, given: Any, folder: Path, origin: str, may_advise: bool = False) -> Source:
    """Values of one concern as they were given, brought to one form; files that they name made absolute.

    Raises:
        ConfigError: not settings (scenarios: a list of mappings, or one), or a named file is missing.
    """
    if concern == "scenarios":
        try:
            given = scenario_list(given)
        except ValueError as error:
            raise ConfigError(f"scenarios ({origin}): {error}") from error
    if not isinstance(given, list if concern == "scenarios" else Mapping):
        raise ConfigError(f"{origin}: expected settings of {concern}, got {str(given)[:60]!r}")
    values = {concern: plain_copy(given)}
    other = ADVISES.get(concern, "")
    if may_advise and other in given:
        values[other] = values[concern].pop(other)
        if not isinstance(values[other], dict) or "name" in values[other]:
            raise ConfigError(f"{origin}: `{other}` here can only advise values, as a mapping without a name")
    make_files_absolute(values, folder, origin)
    return Source(concern, values, origin)


def make_files_absolute(values: dict[str, Any], folder: Path, origin: str) -> None:
    """Replace every file that settings name by its absolute path, in place.

    Raises:
        ConfigError: a named file is missing.
    """
    for setting, holder, key in named_files(values):
        holder[key] = str(existing_file(holder[key], folder, f"{setting} ({origin})"))


def named_files(values: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(dotted key, mapping, key in it) of every setting that names a file, in plain values."""
    network = values.get("network")
    if isinstance(network, dict):
        if _is_path(network.get("topology"), _GRAPH_SUFFIXES):
            yield "network.topology", network, "topology"
        if isinstance(network.get("paths_file"), str):
            yield "network.paths_file", network, "paths_file"
    scenarios = values.get("scenarios")
    numbered = enumerate(scenarios) if isinstance(scenarios, list) else ()
    for key, scenario in scenarios.items() if isinstance(scenarios, dict) else numbered:
        if not isinstance(scenario, dict):
            continue
        if isinstance(scenario.get("trace"), str):
            yield f"scenarios.{key}.trace", scenario, "trace"
        pairs = scenario.get("pairs")
        if isinstance(pairs, dict) and isinstance(pairs.get("file"), str):
            yield f"scenarios.{key}.pairs.file", pairs, "file"


def _is_path(text: Any, suffixes: tuple[str, ...]) -> bool:
    """Whether a text is meant as a path: it has a known ending or a separator."""
    return isinstance(text, str) and (text.lower().endswith(suffixes) or "/" in text or "\\" in text)


def plain_copy(value: Any) -> Any:
    """A copy of nested mappings and lists, as plain dicts with text keys and lists."""
    if isinstance(value, Mapping):
        return {str(key): plain_copy(entry) for key, entry in value.items()}
    return [plain_copy(entry) for entry in value] if isinstance(value, list | tuple) else value
