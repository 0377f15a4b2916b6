"""Callbacks that users bring along: Stable-Baselines3's own kind, as objects or by the place to import them from."""

import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from fusion_rl.errors import ConfigError, UnknownNameError

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback


def checked(callbacks: "Iterable[BaseCallback]") -> "list[BaseCallback]":
    """The callbacks, if that is what they are.

    Raises:
        ConfigError: one is something else.
    """
    from stable_baselines3.common.callbacks import BaseCallback

    found = list(callbacks)
    for one in found:
        if not isinstance(one, BaseCallback):
            raise ConfigError(f"callbacks: {one!r} is no callback of Stable-Baselines3 (an object of its BaseCallback)")
    return found


def imported(places: Iterable[str]) -> "list[BaseCallback]":
    """One callback of each class that is named.

    Args:
        places: `module:Class` each; modules beside the current folder's files are found, too.

    Raises:
        ConfigError: a module or class cannot be imported, is no callback, or wants arguments.
    """
    return [_imported(place) for place in places]


def _imported(place: str) -> "BaseCallback":
    from stable_baselines3.common.callbacks import BaseCallback

    where, (module_name, _, name) = f"execution.callbacks: '{place}'", place.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # a command has its own folder there, not the user's
    try:
        module = import_module(module_name)
    except Exception as error:  # a module may raise anything while it is imported
        raise ConfigError(f"{where} cannot be imported: {type(error).__name__}: {error}") from error
    known = [
        key
        for key, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, BaseCallback) and value is not BaseCallback
    ]
    if not hasattr(module, name):
        raise UnknownNameError("callback", name, known, where=where)
    kind = getattr(module, name)
    if name not in known:
        raise ConfigError(f"{where} is {kind!r}, no class of callbacks (one derived from BaseCallback)")
    try:
        made: BaseCallback = kind()
    except Exception as error:
        raise ConfigError(f"{where} cannot be made without arguments: {type(error).__name__}: {error}") from error
    return made
