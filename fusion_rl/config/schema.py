"""What can be set: the dotted paths of an ExperimentConfig, and validation errors as one line about them."""

import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, ValidationError

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.layers import Leaf, Tree, plain
from fusion_rl.errors import ConfigError, UnknownNameError


def expand(path: str, tree: Tree, where: str) -> list[tuple[str, ...]]:
    """The settings that an override's path addresses, `*` and the names of list entries resolved.

    Args:
        path: `network.k_paths`, `scenarios.0.load_erlang`, `scenarios.busy.load_erlang`, `scenarios.*.seed`.
        tree: the settings so far, which say what entries lists have.
        where: where the path was given, for messages.

    Raises:
        UnknownNameError: no setting has this path, or no entry has this name or number.
    """
    places: list[tuple[tuple[str, ...], Tree | None]] = [((), tree)]
    annotations: list[Any] = [ExperimentConfig]
    for position, segment in enumerate(path.split(".")):
        known = "".join(f"{step}." for step in path.split(".")[:position])
        inner = _inside(annotations, segment)
        if inner is None:
            raise UnknownNameError("setting", path, _known_near(known, annotations), where)
        annotations = inner
        places = [step for place in places for step in _enter(*place, segment, f"{where}: {path}")]
    return [steps for steps, _ in places]


def explain(error: ValidationError, tree: Tree) -> ConfigError:
    """A pydantic error as one line: the setting, where its value came from, and what is allowed."""
    problems = error.errors(include_url=False)
    first = problems[0]
    context = first.get("ctx", {})
    path = _setting_path(first["loc"])
    if "key" in context:
        path = (*path, context["key"])
    elif "discriminator" in context:
        path = (*path, context["discriminator"].strip("'"))
    where = ".".join(path) + _origin(path, tree)
    match first["type"]:
        case "missing" | "union_tag_not_found":
            return ConfigError(f"{where} is missing{_choices(first['loc'])}")
        case "union_tag_invalid":
            return UnknownNameError(path[-2], context["tag"], _quoted(context["expected_tags"]), where)
        case "literal_error":
            return UnknownNameError(path[-1], str(first["input"]), _quoted(context["expected"]), where)
    message = first["msg"].removeprefix("Value error, ")
    if message.startswith("Input "):
        message = f"{_short(first['input'])} {message.removeprefix('Input ').replace('valid tuple', 'list')}"
    others = len({_setting_path(problem["loc"]) for problem in problems}) - 1
    more = f" (and {others} more setting{'s' * (others > 1)} at fault)" if others else ""
    return ConfigError(f"{where}: {message}{more}" if where else message + more)


def _variants(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows: unions opened, Annotated and root models unwrapped."""
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _variants(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for entry in get_args(annotation):
            yield from _variants(entry)
    elif isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _variants(annotation.model_fields["root"].annotation)
    else:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _inside(annotations: list[Any], segment: str) -> list[Any] | None:
    """The types of what a segment leads to inside a value of these types; None: it leads nowhere."""
    found: list[Any] = []
    for annotation in (variant for given in annotations for variant in _variants(given)):
        if _is_model(annotation) and segment in annotation.model_fields:
            found.append(annotation.model_fields[segment].annotation)
        elif get_origin(annotation) is dict:
            found.append(get_args(annotation)[1])
        elif get_origin(annotation) is tuple and any(map(_is_model, _variants(get_args(annotation)[0]))):
            found.append(get_args(annotation)[0])  # an entry of a list of mappings: by number, name or *
    return found or None


def _paths(annotations: list[Any], prefix: str = "") -> Iterator[str]:
    """All paths inside values of these types, `*` for the entries of lists."""
    for annotation in (variant for given in annotations for variant in _variants(given)):
        if _is_model(annotation):
            for name, field in annotation.model_fields.items():
                yield prefix + name
                yield from _paths([field.annotation], f"{prefix}{name}.")
        elif get_origin(annotation) is tuple:
            yield from _paths([get_args(annotation)[0]], f"{prefix}*.")


def _known_near(known: str, annotations: list[Any]) -> list[str]:
    """The paths to offer when the part `known` was understood: what is inside it, else itself."""
    return list(dict.fromkeys(_paths(annotations, known))) or [known.rstrip(".")]


def _enter(
    steps: tuple[str, ...], tree: Tree | None, segment: str, where: str
) -> Iterator[tuple[tuple[str, ...], Tree | None]]:
    """The places that a segment leads to from one place in the settings so far."""
    if isinstance(tree, list):
        names = [str(entry.get("name")) for entry in map(plain, tree) if isinstance(entry, dict)]
        numbers = [str(number) for number in range(len(tree))]
        if segment in names:
            segment = numbers[names.index(segment)]
        if segment != "*" and segment not in numbers:
            given = [name for name in names if name != "None"]
            raise UnknownNameError(f"entry of {'.'.join(steps)}", segment, [*numbers, *given, "*"], where)
        for number in numbers if segment == "*" else [segment]:
            yield (*steps, number), tree[int(number)]
    elif isinstance(tree, Leaf) and not isinstance(tree.value, dict) and (segment.isdigit() or segment == "*"):
        raise ConfigError(f"{where}: {'.'.join(steps)} has no entries here: set it as a whole")
    else:
        yield (*steps, segment), tree.get(segment) if isinstance(tree, dict) else None


def _setting_path(location: tuple[int | str, ...]) -> tuple[str, ...]:
    """The dotted path of a pydantic location, which also names the variants of unions."""
    path: list[str] = []
    annotations: list[Any] = [ExperimentConfig]
    for segment in map(str, location):
        inner = _inside(annotations, segment)
        if inner is not None:
            path.append(segment)
            annotations = inner
    return tuple(path)


def _choices(location: tuple[int | str, ...]) -> str:
    """The variants there are, where the location is that of a mapping which has to choose one."""
    annotations: list[Any] = [ExperimentConfig]
    for segment in map(str, location):
        annotations = _inside(annotations, segment) or annotations
    key = "name" if location == ("algorithm",) else "kind"
    models = [variant for given in annotations for variant in _variants(given) if _is_model(variant)]
    names = [model.model_fields[key].default for model in models if key in model.model_fields]
    return f": choose from {', '.join(names)}" if len(names) > 1 else ""


def _origin(path: tuple[str, ...], tree: Tree) -> str:
    """Where the value at a path came from, in brackets; empty where nothing gave one."""
    node: Tree | None = tree
    for segment in path:
        if isinstance(node, list):
            node = node[int(segment)]
        else:
            node = node.get(segment) if isinstance(node, dict) else None
    return f" ({node.origin})" if isinstance(node, Leaf) else ""


def _quoted(text: str) -> Mapping[str, None]:
    """The names between single quotes, in order."""
    return dict.fromkeys(re.findall(r"'([^']*)'", text))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
