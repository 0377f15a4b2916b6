"""Catalog: name -> entry. Where a thing is chosen by name, once, at the edge."""

from collections.abc import Callable, ItemsView, Iterator
from typing import Any, Generic, TypeVar, overload

from fusion_rl.errors import ConfigError, UnknownNameError

T = TypeVar("T")
_NOT_GIVEN: Any = object()


class Catalog(Generic[T]):
    """Named entries of one kind, in the order in which they were registered.

    Args:
        kind: what an entry is, as it reads in "unknown heuristic 'x'".

    Example:
        >>> heuristics: Catalog[Callable[..., int]] = Catalog("heuristic")
        >>> @heuristics.register("ksp-ff")
        ... def ksp_ff() -> int: ...
        >>> heuristics["ksp-ff"]
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    @overload
    def register(self, name: str, *, replace: bool = False) -> Callable[[T], T]: ...

    @overload
    def register(self, name: str, entry: T, *, replace: bool = False) -> T: ...

    def register(self, name: str, entry: Any = _NOT_GIVEN, *, replace: bool = False) -> Any:
        """Enter a value under a name; without a value, a decorator that enters what it decorates.

        Raises:
            ConfigError: the name is taken and `replace` is false.
        """
        if entry is _NOT_GIVEN:
            return lambda decorated: self.register(name, decorated, replace=replace)
        if name in self._entries and not replace:
            raise ConfigError(f"{self.kind} '{name}' is registered already; pass replace=True to replace it")
        self._entries[name] = entry
        return entry

    def __getitem__(self, name: str) -> T:
        """The entry of that name.

        Raises:
            UnknownNameError: there is none; the message names the close matches.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, str(name), self._entries) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> tuple[str, ...]:
        """All names, in the order of registration."""
        return tuple(self._entries)

    def items(self) -> ItemsView[str, T]:
        """Pairs (name, entry), in the order of registration."""
        return self._entries.items()

    def __repr__(self) -> str:
        return f"Catalog({self.kind!r}: {', '.join(self._entries)})"
