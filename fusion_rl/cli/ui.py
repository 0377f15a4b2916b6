"""`fusion-rl ui`: the runs in a browser."""

import os
import socket
import subprocess
from typing import Annotated

import typer

from fusion_rl.cli.output import log_console
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.errors import TrackingError

_PAGE = "/#/experiments?workflowType=machine_learning"  # MLflow's pages for chat agents would come up otherwise
_WITHOUT_JOBS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # of chat agents: seven processes that keep polling
DEFAULT_FOLDER = str(ExecutionConfig.model_fields["tracking_dir"].default)


def ui(
    tracking_dir: Annotated[str, typer.Option("--tracking-dir", help="Folder of the runs.")] = DEFAULT_FOLDER,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port of this machine.")] = 5000,
) -> None:
    """Browse the runs in MLflow's pages, until Ctrl-C."""
    check_free(port)
    with log_console().status("opening the runs"):
        from fusion_rl.tracking.mlflow_store import open_store, ui_command

        command = ui_command(tracking_dir, port)
        open_store(tracking_dir)  # what is wrong with the folder is said here, in one line
    typer.echo(f"runs of {tracking_dir}: http://127.0.0.1:{port}{_PAGE} (answers after some seconds; Ctrl-C ends it)")
    try:
        code = subprocess.run(command, env=_WITHOUT_JOBS | os.environ, check=False).returncode
    except KeyboardInterrupt:
        return
    if code:
        raise TrackingError(f"MLflow's pages ended with exit code {code}: its own messages stand above")


def check_free(port: int) -> None:
    """Refuse a port that something else listens on.

    Raises:
        TrackingError: it is taken, or may not be used.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: one that just ended is no bar
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise TrackingError(
                f"port {port} cannot be used: {error.strerror}; choose another, as --port {min(port + 1, 65535)}"
            ) from error
