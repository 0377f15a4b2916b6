"""Layers of settings: nested values that know where they came from, laid one over the other.

A tree is a dict of trees, a list of trees (of mappings: scenarios, formats) or a Leaf. Any other list is one
value, a Leaf: a layer that gives it gives all of it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

from fusion_rl.config.agent import AlgorithmCommon, common_settings
from fusion_rl.config.algorithm import ALGORITHM_MODELS

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Leaf:
    """A value and the layer that gave it."""

    value: Any
    origin: str


Tree: TypeAlias = Union[dict[str, "Tree"], list["Tree"], Leaf]  # noqa: UP007  # names itself


def mark(value: Any, origin: str) -> Tree:
    """The tree of a plain value, all of it from one origin."""
    if isinstance(value, Mapping) and value:
        return {str(key): mark(entry, origin) for key, entry in value.items()}
    if isinstance(value, list | tuple) and any(isinstance(entry, Mapping) for entry in value):
        return [mark(entry, origin) for entry in value]
    return Leaf(value, origin)


def plain(tree: Tree) -> Any:
    """The plain value of a tree."""
    if isinstance(tree, Leaf):
        return tree.value
    return [plain(entry) for entry in tree] if isinstance(tree, list) else {k: plain(v) for k, v in tree.items()}


def leaves(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Leaf]]:
    """Pairs (dotted key, leaf) of a tree."""
    if isinstance(tree, Leaf):
        yield prefix, tree
        return
    for key, entry in enumerate(tree) if isinstance(tree, list) else tree.items():
        yield from leaves(entry, f"{prefix}.{key}" if prefix else str(key))


def scalars(value: Any) -> dict[str, Scalar]:
    """A plain value as dotted key -> scalar; lists of scalars and empty mappings as JSON text."""
    flat: dict[str, Scalar] = {}
    for key, leaf in leaves(mark(value, "")):
        flat[key] = json.dumps(leaf.value) if isinstance(leaf.value, list | dict) else leaf.value
    return flat


def merge(base: Tree, over: Tree, path: tuple[str, ...] = ()) -> Tree:
    """One layer laid over another: the upper wins, value by value.

    A mapping over a list changes the entries that its keys number, or all of them under `*`. A layer that
    chooses another variant (of an algorithm, a bandwidth ...) drops the values of the variant below.
    """
    if isinstance(over, dict) and isinstance(base, dict):
        merged = _without_other_variant(base, over, path)
        for key, entry in over.items():
            merged[key] = merge(merged[key], entry, (*path, key)) if key in merged else entry
        return merged
    if isinstance(over, dict) and isinstance(base, list) and all(_addresses(key, base) for key in over):
        entries = list(base)
        for key, entry in over.items():
            for index in range(len(entries)) if key == "*" else [int(key)]:
                entries[index] = merge(entries[index], entry, (*path, str(index)))
        return entries
    return over


def _addresses(key: str, entries: list[Tree]) -> bool:
    return key == "*" or (key.isdigit() and int(key) < len(entries))


def variant_key(path: tuple[str, ...]) -> str:
    """The key that chooses the variant of the mapping at a path."""
    return "name" if path == ("algorithm",) else "kind"


def _without_other_variant(base: dict[str, Tree], over: dict[str, Tree], path: tuple[str, ...]) -> dict[str, Tree]:
    """A copy of the lower mapping, less what belongs to a variant that the upper one does not choose."""
    key = variant_key(path)
    if key not in base or key not in over or plain(base[key]) == plain(over[key]):
        return dict(base)
    survives: set[str] = set()
    if path == ("algorithm",):
        survives = common_settings(ALGORITHM_MODELS.get(str(plain(over[key])), AlgorithmCommon))
    return {key: entry for key, entry in base.items() if key in survives}
