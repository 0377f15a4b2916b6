"""The pages of the reference that are made from the code: commands, settings, names. Run by mkdocs (gen-files)."""

import html
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

import mkdocs_gen_files
import typer
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from fusion_rl.cli.main import app
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.config.sources import CONCERNS, preset_names, preset_summary
from fusion_rl.domains.optical.actions import CODECS
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.rewards import REWARDS


def page(name: str, text: Iterable[str]) -> None:
    with mkdocs_gen_files.open(f"reference/{name}.md", "w") as file:
        file.write("\n".join(text) + "\n")


def cell(text: object) -> str:
    """Text that may stand in a cell of a table."""
    return html.escape(" ".join(str(text).split()), quote=False).replace("|", "\\|")


def first_paragraph(thing: Any) -> str:
    return (thing.__doc__ or "").strip().split("\n\n")[0]


# commands


def commands(command: Any, path: str, depth: int) -> Iterator[str]:
    context = typer.Context(command, info_name=path)
    yield f"{'#' * depth} {path}"
    yield f"\n{command.help or ''}\n"
    parameters = [found for found in command.get_params(context) if found.name != "help"]
    if parameters and not hasattr(command, "commands"):
        yield "| option | what it is |\n| --- | --- |"
        for parameter in parameters:
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            yield f"| {names} | {cell(getattr(parameter, 'help', '') or '')} |"
        yield ""
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}", depth + 1)


# settings


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a setting's value may be, or hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        root = annotation.model_fields.get("root")
        return models_in(root.annotation) if root is not None else [annotation]
    return [model for argument in get_args(annotation) for model in models_in(argument)]


def kind(annotation: Any) -> str:
    text = str(annotation) if get_origin(annotation) or not isinstance(annotation, type) else annotation.__name__
    if any(model.__name__ in text for model in models_in(annotation)):
        return "see below"
    for noise in ("typing.", "annotated_types.", "<class '", "'>"):
        text = text.replace(noise, "")
    if "Annotated[" in text or "=" in text:  # limits stand in the error that breaks them
        text = "number"
    if text.startswith("Literal["):
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    return cell(text)


def rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    yield "| setting | value | default | what it is |\n| --- | --- | --- | --- |"
    for name, field in model.model_fields.items():
        default = "required" if field.default is PydanticUndefined else f"`{cell(plain(field.default))}`"
        yield f"| `{prefix}{name}` | {kind(field.annotation)} | {default} | {cell(field.description or '')} |"
    yield ""
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation):
            yield f"\n**`{prefix}{name}`: {first_paragraph(inner)}**\n"
            yield from rows(inner, f"{prefix}{name}.")


def plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else "null" if value is None else value


def settings() -> Iterator[str]:
    yield "# Settings\n"
    yield "Made from the models in `fusion_rl.config`. Any of them is set by `--set PATH=VALUE`, in a YAML file, or by"
    yield "`load_config(..., overrides=[...])`; `fusion-rl config show` prints every value with where it came from.\n"
    for concern, model in {
        "network": NetworkConfig,
        "scenarios.*": ScenarioConfig,
        "reward": RewardConfig,
        "execution": ExecutionConfig,
    }.items():
        yield f"## {concern.removesuffix('.*')}\n\n{first_paragraph(model)}\n"
        yield from rows(model, f"{concern}.")
    yield "## algorithm\n"
    for name, algorithm in ALGORITHM_MODELS.items():
        yield f"### {name}\n\n{first_paragraph(algorithm)}\n"
        yield from rows(algorithm, "algorithm.")


# names


def names() -> Iterator[str]:
    yield "# Names\n\nWhat can be chosen by name, from the catalogs and presets themselves.\n"
    yield "## Heuristics\n\n| name | decides |\n| --- | --- |"
    for name, heuristic in HEURISTICS.items():
        yield f"| `{name}` | {cell(first_paragraph(heuristic.decide))} |"
    yield "\n## Observations\n\n| name | shows |\n| --- | --- |"
    for name, observation in OBSERVATIONS.items():
        yield f"| `{name}` | {cell(first_paragraph(observation.write))} |"
    yield "\n## Action codecs\n\n| name | actions |\n| --- | --- |"
    for name, codec in CODECS.items():
        suffix = ":N" if codec.default is not None else ""
        yield f"| `{name}{suffix}` | {cell(first_paragraph(codec.decode))} |"
    yield "\n## Rewards\n\n| name | pays |\n| --- | --- |"
    for name, reward in REWARDS.items():
        yield f"| `{name}` | {cell(first_paragraph(reward))} |"
    for concern in ("experiment", *CONCERNS):
        yield f"\n## Presets: {concern}\n\n| name | what it is |\n| --- | --- |"
        for name in preset_names(concern):
            yield f"| `{name}` | {cell(preset_summary(concern, name))} |"


page("commands", commands(typer.main.get_command(app), "fusion-rl", 1))
page("settings", settings())
page("names", names())
