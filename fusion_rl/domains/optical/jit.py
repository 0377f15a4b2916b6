"""How the kernels are compiled and where their machine code is kept.

Two habits of Numba's cache would hurt here, and this module mends both:

* A cached kernel is recompiled when its own file changes, but not when a kernel that it calls does. The
  cache folder is therefore named after a digest of every kernel source, so stale code cannot be picked up.
* A kernel that receives another kernel as an argument (a policy, an observation) would never be found in
  the cache again by a new process, since Numba gives dispatchers a random identity. `kernel` gives them
  one that is made from their name.
"""

import hashlib
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import numba
import numpy as np
from numba.core import config as numba_config

F = TypeVar("F", bound=Callable[..., Any])
wide: Callable[[Any], int] = np.int64  # type: ignore[assignment]  # kernels that are not inlined are compiled once if their numbers are of one type


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


def _compiled(function: F, inline: bool, inner: bool) -> F:
    options: Any = {"cache": True, "nogil": True, "error_model": "numpy", "forceinline": inline, "_nrt": False}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": inner}
    compiled: Any = numba.njit(**options)(function)
    if hasattr(compiled, "_set_uuid"):  # absent under NUMBA_DISABLE_JIT=1, where the function comes back as it was
        compiled._set_uuid(f"{function.__module__}.{function.__qualname__}")
        if inner:
            _keep_python_out(compiled, function.__name__)
    return compiled  # type: ignore[no-any-return]


def _keep_python_out(compiled: Any, name: str) -> None:
    """Make calling an inner kernel from Python an error; without its entry code it would crash the process."""

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise TypeError(f"{name} is an inner kernel: kernels alone can call it, or Python as {name}.py_func")

    compiled._compile_for_args = refuse
    compiled._insert = lambda *args, **kwargs: None  # so that no call finds compiled code and all come here
