"""Where a result comes from: code, libraries, machine, inputs and seeds, as tags of the run."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("torch", "stable-baselines3", "sb3-contrib", "numpy", "numba", "gymnasium", "mlflow")

_PACKAGE = Path(__file__).resolve().parents[1]
_GIT_LIMIT_S = 10


def provenance_tags(seeds: Mapping[str, int] | None = None, hashes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Tags that say what would have to be the same to get the same result.

    Args:
        seeds: purpose -> seed; ``{"training": 1}`` becomes the tag ``seed.training``.
        hashes: tags as they stand, such as ``topology_sha256`` and ``traffic_sha256``.

    Returns:
        ``code.version``, ``code.git_commit`` and ``code.git_dirty`` (these two in a checkout only),
        ``library.NAME`` for each of ``LIBRARIES``, ``python``, ``platform``, ``cpu_count``, seeds, hashes.
    """
    tags = {
        **code_tags(_PACKAGE),
        **{f"library.{name}": found for name in LIBRARIES if (found := _version(name))},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": str(os.cpu_count()),
    }
    tags.update({f"seed.{purpose}": str(seed) for purpose, seed in (seeds or {}).items()})
    tags.update(hashes or {})
    return tags


def code_tags(package: Path) -> dict[str, str]:
    """The version of the installed package and, in a checkout, its commit and whether it was changed since.

    Args:
        package: the package's folder. A commit is named only if git tracks its ``__init__.py``: a package
            installed inside somebody's repository is not of that repository.
    """
    tags = {"code.version": _version("fusion_rl") or "unknown"}
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    commit = _git(package, "rev-parse", "HEAD")
    changes = _git(package, "status", "--porcelain", "--", ".")
    if tracked is not None and commit is not None and changes is not None:
        tags["code.git_commit"] = commit
        tags["code.git_dirty"] = str(bool(changes)).lower()
    return tags


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None without git, outside a checkout, or where it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_LIMIT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
