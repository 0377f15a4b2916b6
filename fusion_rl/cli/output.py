"""What commands print: results on stdout (one JSON object, or a table), everything else on stderr."""

import json
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH = 200  # columns where stdout is not a terminal: tables are not folded at 80


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout, as `json_text` writes it."""
    typer.echo(json_text(value))


def json_text(value: Mapping[str, Any]) -> str:
    """One JSON object: numpy values as numbers and lists, NaN and infinity as null."""
    return json.dumps(_jsonable(value), allow_nan=False)


def log_console() -> "Console":
    """The console for progress and remarks, on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def result_console(err: bool = False) -> "Console":
    """The console for results, on stdout (err: on stderr), wide where nobody looks at it directly."""
    from rich.console import Console

    is_seen = (sys.stderr if err else sys.stdout).isatty()
    return Console(width=None if is_seen else _PIPED_WIDTH, highlight=False, stderr=err)


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None, err: bool = False
) -> None:
    """Print a table on stdout (err: on stderr); a cell that is a number goes to the right."""
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        # Text, because rich would read a list as markup
        table.add_row(*(Text(str(c), justify="right" if _is_number(c) else "left") for c in row))
    result_console(err).print(table)


def _is_number(cell: object) -> bool:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _jsonable(value: Any) -> Any:
    """The value in the types that JSON has."""
    if hasattr(value, "tolist"):  # numpy scalars and arrays, without importing numpy
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return {str(key): _jsonable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Print warnings for people: one line on stderr, without the source line that Python adds."""

    def show(message: Warning | str, *_where: object, **_more: object) -> None:
        typer.secho(f"warning: {' '.join(str(message).split())}", fg=typer.colors.YELLOW, err=True)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
