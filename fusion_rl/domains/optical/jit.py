"""How the kernels are compiled and where their machine code is kept.

Two habits of Numba's cache would hurt here, and this module mends both:

* A cached kernel is recompiled when its own file changes, but not when a kernel that it calls does. The
  cache folder is therefore named after a digest of every kernel source, so stale code cannot be picked up.
* A kernel that receives another kernel as an argument (a policy, an observation) would never be found in
  the cache again by a new process, since Numba gives dispatchers a random identity. `kernel` gives them
  one that is made from their name.

Both rest on the sources being this package's. What a user compiles is never kept on disk, and neither is a kernel
that was handed it: under an old name would be old code, and other processes could not read the entry.
"""

import hashlib
import os
from collections.abc import Callable
from functools import cache, partial
from operator import is_
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
import numpy as np
from numba.core import config as numba_config
from numba.core.dispatcher import Dispatcher
from numba.core.typing.typeof import Purpose, typeof

F = TypeVar("F", bound=Callable[..., Any])
wide: Callable[[Any], int] = np.int64  # type: ignore[assignment]  # kernels that are not inlined are compiled once if their numbers are of one type

_OPTIONS: Any = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}


def _sources_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


if "NUMBA_CACHE_DIR" not in os.environ:
    _cache_home = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    numba_config.CACHE_DIR = str(  # type: ignore[attr-defined]  # made at run time
        _cache_home / "fusion_rl" / "kernels" / _sources_digest()
    )


@overload
def kernel(function: F) -> F: ...


@overload
def kernel(*, inline: bool = True, inner: bool = False) -> Callable[[F], F]: ...


def kernel(function: F | None = None, *, inline: bool = True, inner: bool = False) -> F | Callable[[F], F]:
    """Compile a function of arrays and numbers to machine code, cached on disk, free of the GIL.

    Kernels pass tuples of some twenty arrays to each other and allocate nothing. Inlining them spares pushing
    those tuples at each call, and leaving Numba's reference counting out (`_nrt`) spares two atomic
    operations for each array and call: together ten times the speed. The caller holds the arrays meanwhile.
    `inline=False` is for long kernels that few requests need: compiling them into every caller takes minutes.
    `inner=True` is for kernels that only kernels call: the code that takes those tuples out of Python objects, which
    takes about as long to compile as a kernel, is left out.
    """
    if function is None:
        return partial(_compiled, inline=inline, inner=inner)
    return _compiled(function, inline, inner)


def handing(outer: F, *handed: Any) -> F:
    """A kernel that is going to be handed other kernels: one that is not kept on disk if any of them is a user's."""
    if all(_is_ours(getattr(inner, "py_func", inner)) for inner in handed):
        return outer
    return _unkept(outer)  # type: ignore[no-any-return]


@cache
def _unkept(outer: Any) -> Any:
    return numba.njit(**_OPTIONS)(getattr(outer, "py_func", outer))


def direct(outer: F) -> F:
    """A kernel that is called from Python many times with the same objects, whose types need not be looked at again.

    Numba looks at the type of each argument at each call, which for tuples of arrays takes longer than a step of one
    lane. Here that is done where any argument is another object than at the call before, so arrays that change must
    be kept and written to.
    """
    return _Direct(outer) if isinstance(outer, Dispatcher) else outer  # type: ignore[return-value]


class _Direct:
    """A compiled kernel, and where its machine code for the last arguments is entered."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._enter: Callable[..., Any] = dispatcher
        self._known: tuple[Any, ...] = ()

    def __call__(self, *arguments: Any) -> Any:
        known = self._known
        if len(arguments) == len(known) and all(map(is_, arguments, known)):
            return self._enter(*arguments)
        returned = self._dispatcher(*arguments)
        types = tuple(typeof(argument, Purpose.argument) for argument in arguments)  # type: ignore[no-untyped-call]
        overload = self._dispatcher.overloads.get(types)
        self._enter = self._dispatcher if overload is None else overload.entry_point
        self._known = arguments
        return returned


def _is_ours(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith("fusion_rl.")


def _compiled(function: F, inline: bool, inner: bool) -> F:
    ours = _is_ours(function)
    options: Any = {"cache": ours, "forceinline": inline, "no_cpython_wrapper": inner}
    compiled: Any = numba.njit(**options, **_OPTIONS)(function)
    # `_set_uuid` is absent under NUMBA_DISABLE_JIT=1, where the function comes back as it was.
    if ours and hasattr(compiled, "_set_uuid"):
        compiled._set_uuid(f"{function.__module__}.{function.__qualname__}")
    if inner and hasattr(compiled, "_set_uuid"):
        _keep_python_out(compiled, function.__name__)
    return compiled  # type: ignore[no-any-return]


def _keep_python_out(compiled: Any, name: str) -> None:
    """Make calling an inner kernel from Python an error; without its entry code it would crash the process."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{name} is an inner kernel: kernels alone can call it, or Python as {name}.py_func")

    compiled._compile_for_args = refuse
    compiled._insert = lambda *args, **kwargs: None  # so that no call finds compiled code and all come here
