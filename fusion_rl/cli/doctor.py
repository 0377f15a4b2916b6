"""`fusion-rl doctor`: does this installation work, and if not, what is to be done."""

import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from subprocess import DEVNULL
from typing import Annotated, Literal, NamedTuple

import typer

from fusion_rl.cli.options import Json
from fusion_rl.cli.output import log_console, print_json, print_table
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.errors import FusionRLError

_PACKAGE = "fusion_rl"
_NEEDED_GB, _COMFORTABLE_GB = 0.5, 5.0  # a demo run writes some ten MB; a study, gigabytes
_KERNEL_LIMIT_S = 60


class Finding(NamedTuple):
    """How a thing stands, what was seen, and what to do about it."""

    verdict: Literal["ok", "warning", "failed"]
    found: str
    to_do: str = ""


def doctor(
    tracking_dir: Annotated[str, typer.Option("--tracking-dir", help="Folder of the runs.")] = DEFAULT_FOLDER,
    as_json: Json = False,
) -> None:
    """Check this installation: Python, libraries, kernels, torch, the run store, disk, Jupyter."""
    findings: dict[str, Finding] = {}
    with log_console().status("looking") as status:
        for name, look in _CHECKS.items():
            status.update(f"looking at: {name}")
            try:
                findings[name] = look(tracking_dir)
            except Exception as error:  # whatever is broken here is what we were asked to find
                reason = " ".join(str(error).split()) or type(error).__name__
                findings[name] = Finding("failed", reason, "" if isinstance(error, FusionRLError) else _REINSTALL)
    healthy = all(finding.verdict != "failed" for finding in findings.values())
    if as_json:
        checks = [{"name": name, **finding._asdict()} for name, finding in findings.items()]
        print_json({"healthy": healthy, "checks": checks})
    else:
        rows = [(name, *finding) for name, finding in findings.items()]
        print_table(("check", "verdict", "found", "what to do"), rows)
    if not healthy:
        raise typer.Exit(1)


_REINSTALL = "install again: pip install -c constraints.txt -e . (or make clean test)"


def _python(_folder: str) -> Finding:
    from packaging.specifiers import SpecifierSet

    wanted = SpecifierSet(metadata.metadata(_PACKAGE)["Requires-Python"])
    if wanted.contains(platform.python_version(), prereleases=True):
        return Finding("ok", f"{platform.python_version()} at {sys.executable}")
    return Finding("failed", f"{platform.python_version()}; it needs {wanted}", "use another Python")


def _libraries(_folder: str) -> Finding:
    """Installed versions against those that the package itself declares."""
    from packaging.requirements import Requirement

    requirements = [Requirement(text) for text in metadata.requires(_PACKAGE) or ()]
    needed = [one for one in requirements if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, not {requirement.specifier}")
    if wrong:
        return Finding("failed", "; ".join(wrong), _REINSTALL)
    return Finding("ok", f"all {len(needed)} have a version that fits")


def _kernels(_folder: str) -> Finding:
    """Serve a few requests for real: whatever keeps kernels from compiling shows here."""
    from fusion_rl.config.load import load
    from fusion_rl.training.evaluate import evaluate

    started = time.perf_counter()
    evaluation = evaluate(load().config, requests=1000, lanes=1, threads=1)
    seconds = time.perf_counter() - started
    return Finding(
        "ok", f"{evaluation.conditions['requests']} requests served, {seconds:.1f} s with loading or compiling"
    )


def _torch(_folder: str) -> Finding:
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    total = float(torch.ones(64, 64, device=device).matmul(torch.ones(64, 64, device=device)).sum())
    if total != 64.0**3:
        return Finding("failed", f"a product on {device} is wrong: {total} in place of {64.0**3}", _REINSTALL)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{torch.get_num_threads()} threads at most"
    return Finding("ok", f"torch {torch.__version__} computes on {device} ({name})")


def _run_store(folder: str) -> Finding:
    """Whether the runs can be written, without making the folder."""
    from fusion_rl.tracking.address import check_usable, resolve

    address = resolve(folder)
    if address.artifact_root is None:
        check_usable(address)
        return Finding("ok", f"server {address.uri}")
    for place in {address.artifact_root, (address.database_file or address.artifact_root).parent}:
        above = _existing(place)
        try:
            tempfile.TemporaryFile(dir=above).close()
        except OSError as error:
            return Finding("failed", f"{above}: {error.strerror or error}", "choose another with --tracking-dir")
    return Finding("ok", address.uri)


def _disk(folder: str) -> Finding:
    above = _existing(Path(folder).expanduser().absolute())
    free_gb = shutil.disk_usage(above).free / 1e9
    to_do = f"make room on the disk of {above}"
    if free_gb < _NEEDED_GB:
        return Finding("failed", f"{free_gb:.1f} GB free", to_do)
    if free_gb < _COMFORTABLE_GB:
        return Finding("warning", f"{free_gb:.1f} GB free: enough for a run, not for a study", to_do)
    return Finding("ok", f"{free_gb:.0f} GB free")


def _jupyter(_folder: str) -> Finding:
    """Start the kernel that notebooks run in, and import this package there."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(_KERNEL_LIMIT_S, "python3", stdout=DEVNULL, stderr=DEVNULL)
    try:
        reply = client.execute_interactive(f"import {_PACKAGE}", timeout=_KERNEL_LIMIT_S)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    if reply["status"] == "ok":
        return Finding("ok", f"the kernel python3 starts and imports {_PACKAGE}")
    to_do = f"{sys.executable} -m ipykernel install --sys-prefix"
    return Finding("failed", f"the kernel python3 cannot import {_PACKAGE}: {reply['evalue']}", to_do)


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    return path if path.exists() else _existing(path.parent)


_CHECKS: dict[str, Callable[[str], Finding]] = {
    "python": _python,
    "libraries": _libraries,
    "kernels": _kernels,
    "torch": _torch,
    "run store": _run_store,
    "disk": _disk,
    "jupyter": _jupyter,
}
