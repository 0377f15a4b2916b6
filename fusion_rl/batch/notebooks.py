"""Notebooks executed headless by papermill: parameters checked first, the result kept with the run it made."""

import ast
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
import papermill
import psutil
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from fusion_rl.analysis.report import RUN_MIME, TERMINAL_VARIABLE
from fusion_rl.analysis.runs import checkout
from fusion_rl.config import yaml_text
from fusion_rl.errors import NotebookError, UnknownNameError, nearest_hint
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.interrupts import Interrupted

KERNEL = "python3"
ARTIFACT_FOLDER = "notebook"
_START_LIMIT_S = 180  # a busy machine may take long to start a kernel


@dataclass(frozen=True)
class Parameter:
    """A parameter of a notebook: its default as Python text, and what its comment says."""

    name: str
    default: str
    about: str


@dataclass(frozen=True)
class MadeRun:
    """The run that a notebook made, as its `RunCard` tells."""

    run_id: str
    tracking_dir: Path
    agent: str


@dataclass(frozen=True)
class ExecutedNotebook:
    """An executed notebook.

    Attributes:
        notebook, html: files; both are also artifacts of the run.
        run: None where the notebook made none.
    """

    notebook: Path
    html: Path
    run: MadeRun | None


def notebook_names() -> list[str]:
    """Names of the checkout's notebooks."""
    root = checkout()
    return sorted(path.stem for path in root.glob("notebooks/*.ipynb")) if root else []


def find_notebook(name_or_path: str | Path) -> Path:
    """A notebook by its name in the checkout's notebooks/ folder, or by path.

    Raises:
        UnknownNameError: there is no such notebook.
    """
    path, root = Path(name_or_path), checkout()
    if path.suffix == ".ipynb" and path.is_file():
        return path.absolute()
    name = str(name_or_path).removesuffix(".ipynb")
    if root is not None and name in notebook_names():
        return root / "notebooks" / f"{name}.ipynb"
    where = "" if root else f"no folder notebooks/ in {Path.cwd()} or above it"
    raise UnknownNameError("notebook", str(name_or_path), notebook_names(), where)


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """What a notebook's cell tagged `parameters` declares.

    Raises:
        NotebookError: the file is not a notebook.
    """
    try:
        found = papermill.inspect_notebook(notebook)
    except (OSError, ValueError, nbformat.ValidationError) as error:  # broken JSON is a ValueError
        raise NotebookError(f"notebook {notebook} cannot be read: {str(error)[:200]}") from error
    return {name: Parameter(name, entry["default"], entry["help"]) for name, entry in found.items()}


def parse_parameters(given: Sequence[str]) -> dict[str, Any]:
    """`["load_erlang=230", ...]` as name -> value; values are YAML, and of two for one name the later wins."""
    parsed: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise NotebookError(f"parameter '{text}' has no '=': write name=value, as load_erlang=230")
        parsed[name.strip()] = yaml_text.parse(value, f"parameter '{text}'")
    return parsed


def run_notebook(
    name_or_path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
) -> ExecutedNotebook:
    """Execute a notebook with the interpreter of this process, and keep it with the run that it makes.

    Args:
        name_or_path: as `01_train_and_compare`, or a path.
        parameters: in place of the defaults of the notebook's parameters cell.
        output: the executed notebook; None: executed/NAME-TIME.ipynb beside the notebook.

    Raises:
        UnknownNameError: there is no such notebook.
        NotebookError: a parameter is unknown or of another type (nothing is written), or a cell failed (the
            notebook is kept, up to there).
        Interrupted: Ctrl-C or SIGTERM ended it; a training in it has saved what it had.
    """
    notebook, values = find_notebook(name_or_path), dict(parameters or {})
    check_parameters(notebook, notebook_parameters(notebook), values)
    made = _made_output(notebook, output)
    try:
        _execute(notebook, made, values)
    except (NotebookError, Interrupted):
        if made.is_file():
            _keep(made)
        raise
    return _keep(made)


def _keep(made: Path) -> ExecutedNotebook:
    """Write the page of an executed notebook, and keep both with the run that the notebook made."""
    html = made.with_suffix(".html")
    _write(html, HTMLExporter().from_filename(str(made))[0])  # type: ignore[no-untyped-call]
    run = _run_of(made)
    if run is not None:
        store = open_store(run.tracking_dir)
        for path in (made, html):
            store.log_artifact(run.run_id, path, ARTIFACT_FOLDER)
    return ExecutedNotebook(made, html, run)


def check_parameters(notebook: Path, declared: Mapping[str, Parameter], values: Mapping[str, Any]) -> None:
    """Refuse values that a notebook's parameters cannot have.

    Raises:
        NotebookError: a parameter is unknown, or its default is of another type.
    """
    for name, value in values.items():
        if name not in declared:
            raise NotebookError(f"notebook {notebook.stem}: unknown parameter '{name}': {nearest_hint(name, declared)}")
        default = declared[name].default
        try:
            kind = type(ast.literal_eval(default))
        except (ValueError, SyntaxError):  # computed in the notebook: only the notebook knows
            continue
        allowed = (int, float) if kind is float else (kind,)
        if kind is not type(None) and type(value) not in allowed:
            raise NotebookError(
                f"notebook {notebook.stem}: parameter '{name}' takes {kind.__name__}, as its default {default}; "
                f"got {value!r} ({type(value).__name__})"
            )


def _made_output(notebook: Path, output: str | Path | None) -> Path:
    made = notebook.parent / "executed" / f"{notebook.stem}-{datetime.now():%Y%m%d-%H%M%S-%f}.ipynb"
    if output is not None:
        made = Path(output).expanduser().absolute()
        if made.suffix != ".ipynb":
            raise NotebookError(f"output {output} must end with .ipynb")
        if made == notebook:
            raise NotebookError(f"output {output} is the notebook itself: choose another path")
    try:
        made.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(made.parent, os.W_OK):
            raise PermissionError("no permission")
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotebookError(f"executed notebook cannot be written to {made.parent}: {reason}") from error
    return made


class _ThisInterpreter(AsyncKernelManager):
    """Starts kernels with the interpreter of this process, whatever kernels are installed on the machine."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, transport_encryption="auto")

    @property
    def kernel_spec(self) -> KernelSpec:
        """How to start one; it is told the terminal, so that progress is seen while a cell runs."""
        terminal = os.ttyname(sys.stderr.fileno()) if sys.stderr.isatty() else ""
        return KernelSpec(**get_kernel_dict(), env={TERMINAL_VARIABLE: terminal})


class _KernelInterrupts:
    """Passes SIGINT and SIGTERM on to the kernel, so that its cell can save; a second one kills it."""

    def __init__(self) -> None:
        self.received: str | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._arrived) for each in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _arrived(self, number: int, _: FrameType | None) -> None:
        passed_on = signal.SIGINT if self.received is None else signal.SIGKILL
        self.received = signal.Signals(number).name
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if any("ipykernel" in word for word in child.cmdline()):
                    child.send_signal(passed_on)


def _execute(notebook: Path, made: Path, values: dict[str, Any]) -> None:
    partial = made.with_name(f".{made.stem}-{os.getpid()}.partial.ipynb")
    interrupts = _KernelInterrupts()
    try:
        # In a thread of its own, because nbclient takes signals over in the main one, and hangs on those that it gets.
        with interrupts, ThreadPoolExecutor(1) as thread:
            thread.submit(
                papermill.execute_notebook,
                notebook,
                partial,
                values,
                kernel_name=KERNEL,
                kernel_manager_class=_ThisInterpreter,
                # on a terminal the cells show their own progress, and two bars would overwrite each other
                progress_bar=not sys.stderr.isatty(),
                start_timeout=_START_LIMIT_S,
            ).result()
    except PapermillExecutionError as error:
        if interrupts.received is not None:
            raise Interrupted(f"ended by {interrupts.received} in cell {error.exec_count}") from error
        raise NotebookError(
            f"notebook {notebook.stem} failed in cell {error.exec_count}: {error.ename}: {error.evalue}; "
            f"the notebook up to there: {made}"
        ) from error
    except (RuntimeError, OSError) as error:  # the kernel did not start, or died
        if interrupts.received is not None:
            raise Interrupted(f"ended by {interrupts.received}") from error
        raise NotebookError(f"notebook {notebook.stem} could not be executed: {error}") from error
    finally:
        if partial.exists():
            os.replace(partial, made)


def _run_of(executed: Path) -> MadeRun | None:
    """The run that a cell of an executed notebook showed; the last, if there are several."""
    cells = nbformat.read(executed, as_version=4).cells  # type: ignore[no-untyped-call]
    shown = [output.get("data", {}) for cell in cells for output in cell.get("outputs", ())]
    found = [data[RUN_MIME] for data in shown if RUN_MIME in data]
    return MadeRun(found[-1]["run_id"], Path(found[-1]["tracking_dir"]), found[-1]["agent"]) if found else None


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
