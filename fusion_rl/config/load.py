"""From names, files and overrides to one ExperimentConfig, every value of which knows where it came from.

Later wins: defaults of the models; files of network, scenarios and reward; file of the algorithm (its own
values and what it advises for execution); file of execution (its own, and what it advises for the algorithm);
values written in the experiment itself, those of what it extends first; the profile; overrides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from fusion_rl.config import yaml_text
from fusion_rl.config.algorithm import ALGORITHM_MODELS, AlgorithmConfig
from fusion_rl.config.chain import read_chain, read_entries
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.layers import Scalar, Tree, leaves, mark, merge, plain, scalars, variant_key
from fusion_rl.config.profiles import PROFILES
from fusion_rl.config.save import dump, save_resolved
from fusion_rl.config.schema import expand, explain
from fusion_rl.config.sources import (
    CONCERNS,
    Entry,
    Source,
    make_files_absolute,
    plain_copy,
    preset_names,
    preset_summary,
    read_concern,
)
from fusion_rl.errors import ConfigError

__all__ = ["Resolved", "dump", "flatten", "load", "preset_names", "preset_summary", "save_resolved"]

DEFAULT_EXPERIMENT = "deeprmsa-nsfnet"
# what an experiment that says nothing of these concerns gets; network and scenarios it has to name
DEFAULT_PRESETS = {"algorithm": "maskable-ppo", "reward": "service", "execution": "default"}
Overrides: TypeAlias = Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Resolved:
    """A checked configuration, and where the value of each key of `flatten` came from."""

    config: ExperimentConfig
    origin: dict[str, str]


def load(
    experiment: str | Path | Mapping[str, Any] | None = None,
    network: Entry | None = None,
    scenarios: Entry | None = None,
    algorithm: Entry | None = None,
    reward: Entry | None = None,
    execution: Entry | None = None,
    overrides: Overrides = (),
    overrides_from: str = "override",
    profile: str | None = None,
    all_scenarios: bool = False,
) -> Resolved:
    """Resolve an experiment.

    Args:
        experiment: preset name, YAML file or mapping, which may extend another (`extends: NAME or FILE`); None:
            `deeprmsa-nsfnet`.
        network, scenarios, algorithm, reward, execution: what replaces the experiment's own choice of that
            concern, all of it: preset name, YAML file, or values (with `preset: NAME`: changes to it).
        overrides: `["network.k_paths=50", "scenarios.*.load_erlang=210"]`, values as YAML; or a mapping from
            dotted key to value. List entries go by number, by name, or `*` for all. A part wins over a whole.
        overrides_from: what `origin` calls the overrides.
        profile: "local", "server" or None; see `profiles`. Its execution preset counts where `execution` is None.
        all_scenarios: keep all scenarios, also with a profile that takes the first alone.

    Raises:
        ConfigError: something given is unknown, malformed or not allowed; nothing has been started.
    """
    chain = read_chain(DEFAULT_EXPERIMENT if experiment is None else experiment)
    origin = chain[-1].origin
    given = dict(zip(CONCERNS, (network, scenarios, algorithm, reward, execution), strict=True))
    changes = _parse(overrides, overrides_from)
    for concern in CONCERNS:  # `network=maskrsa-nsfnet` chooses a preset
        if isinstance(changes.get(concern), str):
            given[concern] = changes.pop(concern)

    files: dict[str, Source] = {}
    inline: list[Source] = []
    for concern in CONCERNS:
        entries = [(link.values[concern], link.folder, link.origin) for link in chain if concern in link.values]
        if given[concern] is not None:
            entries = [(given[concern], Path(), f"{concern} argument")]
        elif not entries and concern in DEFAULT_PRESETS:
            entries = [(DEFAULT_PRESETS[concern], Path(), origin)]
        if not entries:
            raise ConfigError(f"{origin} names no {concern}: give a preset ({', '.join(preset_names(concern))})")
        file, values = read_entries(concern, entries)
        if file is not None:
            files[concern] = file
        inline += values

    top: dict[str, Any] = {
        key: link.values[key] for link in chain for key in ("name", "description") if key in link.values
    }
    sources = [*files.values(), Source("experiment", top, origin), *inline]
    if profile is not None:
        sources += _of_profile(profile, sources, all_scenarios, mode=given["execution"] is None)
    tree = _merge_all(sources, changes, overrides_from)
    try:
        config = ExperimentConfig.model_validate(plain(tree))
    except ValidationError as error:
        raise explain(error, tree) from error
    origins = {key: leaf.origin for key, leaf in leaves(tree)}
    return Resolved(config, {key: _origin_of(key, origins) for key in flatten(config)})


def _origin_of(key: str, origins: Mapping[str, str]) -> str:
    """Where a value came from; a setting given in short (`arrivals: poisson`) is that of all its parts."""
    while key not in origins and "." in key:
        key = key.rpartition(".")[0]
    return origins.get(key, "default")


def flatten(config: ExperimentConfig) -> dict[str, Scalar]:
    """The settings as dotted key -> scalar; lists of scalars as JSON text."""
    return scalars(config.model_dump(mode="json"))


def _of_profile(name: str, sources: list[Source], all_scenarios: bool, mode: bool) -> list[Source]:
    """What a profile lays over an experiment: its execution preset, if none was chosen, and its own values."""
    profile, origin = PROFILES[name], f"profile {name}"
    found = [read_concern("execution", profile.mode, Path())] if mode else []
    values = profile.values(plain(_merged([*sources, *found])), all_scenarios)
    return [*found, Source("profile", values, origin)]


def _merge_all(sources: list[Source], changes: dict[str, Any], overrides_from: str) -> Tree:
    """All layers, lowest first, and the overrides on top."""
    tree = _merged(sources)
    for path, value in sorted(changes.items(), key=_whole_first):
        for steps in expand(path, tree, overrides_from):
            nested: Any = reduce(lambda inner, step: {step: inner}, reversed(steps), plain_copy(value))
            make_files_absolute(nested, Path(), overrides_from)
            tree = merge(tree, mark(nested, overrides_from))
    return tree


def _merged(sources: list[Source]) -> Tree:
    """The layers one over the other, each less what the chosen algorithm does not know."""
    own = [source.values["algorithm"] for source in sources if source.concern == "algorithm"]
    names = [values["name"] for values in own if "name" in values]
    chosen = ALGORITHM_MODELS.get(str(names[-1])) if names else None
    layers = [mark(_fitting(source, chosen), source.origin) for source in sources]
    tree: Tree = {}
    for layer in layers:
        tree = merge(tree, layer)
    return tree


def _fitting(source: Source, algorithm: type[AlgorithmConfig] | None) -> dict[str, Any]:
    """A source's values; of what an execution file advises for the algorithm, what the chosen one knows."""
    if source.concern != "execution" or "algorithm" not in source.values or algorithm is None:
        return source.values
    others = {key for model in ALGORITHM_MODELS.values() for key in model.model_fields} - set(algorithm.model_fields)
    advice = {key: value for key, value in source.values["algorithm"].items() if key not in others}
    values = {concern: entries for concern, entries in source.values.items() if concern != "algorithm"}
    return {**values, "algorithm": advice} if advice else values


def _parse(overrides: Overrides, origin: str) -> dict[str, Any]:
    """Overrides as dotted key -> value, in the order given; of two for one key the later wins."""
    if isinstance(overrides, Mapping):
        return dict(overrides)
    if isinstance(overrides, str):
        raise ConfigError(f"overrides are a list of texts, not the one text '{overrides}'")
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"{origin}: '{override}' has no '=': write setting=value, as network.k_paths=50")
        changes.pop(key.strip(), None)
        changes[key.strip()] = yaml_text.parse(text, f"{origin} '{override}'")
    return changes


def _whole_first(change: tuple[str, Any]) -> tuple[int, bool]:
    """Order of overrides: a whole before its parts, a variant's choice before the values of that variant."""
    steps = tuple(change[0].split("."))
    return len(steps), steps[-1] != variant_key(steps[:-1])
