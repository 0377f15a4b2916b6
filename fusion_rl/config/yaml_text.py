"""YAML as people expect it, read and written.

PyYAML follows YAML 1.1, where `1e-3` is text, `010` is eight, `NO` is false and the second of two equal keys
wins in silence. This reader takes YAML 1.2's plain values, and refuses equal keys.
"""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from fusion_rl.errors import ConfigError

_PLAIN_VALUES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML declares it so

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue  # what `<<` brings in gives way to the mapping's own keys
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key in seen:
                problem = f"the key '{key}' is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)

    def construct_whole_number(self, node: yaml.ScalarNode) -> int:
        digits = str(self.construct_scalar(node)).replace("_", "")
        return int(digits, 16 if digits.startswith("0x") else 10)


class _Dumper(yaml.SafeDumper):
    """Quotes text that YAML 1.1 or this reader would take for something else, so that both read it back."""


for _tag, (_pattern, _first) in _PLAIN_VALUES.items():
    for _rules in (_Loader, _Dumper):
        _rules.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_whole_number)


def parse(text: str, source: str) -> Any:
    """The value that a YAML text describes.

    Args:
        text: YAML, a single document.
        source: where it comes from, for messages.

    Raises:
        ConfigError: malformed text or a key given twice; names source, line and column.
    """
    try:
        return yaml.load(text, _Loader)  # _Loader is a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = error.problem or error.context or "cannot be understood"
        raise ConfigError(f"{source}{place}: malformed YAML: {problem}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: malformed YAML: {error}") from error


def read(path: Path) -> Any:
    """The value that a YAML file describes.

    Raises:
        ConfigError: the file is missing, unreadable, empty or malformed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ConfigError(f"cannot read {path}: {reason}") from error
    value = parse(text, str(path))
    if value is None:
        raise ConfigError(f"{path} is empty")
    return value


def write(path: Path, value: Any, comment: str = "") -> None:
    """Write a value as a YAML file; the file is there complete or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    header = f"# {comment}\n" if comment else ""
    try:
        unfinished.write_text(header + text(value), encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def text(value: Any) -> str:
    """A value as YAML, keys in their own order."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110))
