"""Where runs are kept: the address of the database or server, and whether it can be used."""

from __future__ import annotations

import hashlib
import os
import re
import socket
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from fusion_rl.errors import TrackingError

_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
_SERVERS = ("http", "https", "databricks")
_LOCK_LIMIT_S = 120.0
_CONNECT_LIMIT_S = 10.0


@dataclass(frozen=True)
class Address:
    """A tracking store's address.

    Attributes:
        uri: what MLflow is given.
        artifact_root: absolute folder for the artifacts; None where a server decides.
        spool_root: absolute folder for values on their way to the store.
    """

    uri: str
    artifact_root: Path | None
    spool_root: Path

    @property
    def database_file(self) -> Path | None:
        """The sqlite file; None for another kind of database and for a server."""
        if not self.uri.startswith("sqlite:///"):
            return None
        return Path(self.uri.removeprefix("sqlite:///").partition("?")[0])

    @property
    def lock(self) -> FileLock:
        """Held by whoever makes the schema: beside an sqlite file, else one for this machine."""
        if self.database_file is not None:
            return FileLock(f"{self.database_file}.lock", timeout=_LOCK_LIMIT_S)
        digest = hashlib.sha256(self.uri.encode()).hexdigest()[:16]
        return FileLock(Path(tempfile.gettempdir()) / f"fusion_rl-{digest}.lock", timeout=_LOCK_LIMIT_S)

    def artifact_location(self, experiment: str) -> str | None:
        """The absolute folder of an experiment's artifacts, as a URI.

        MLflow's own choice is relative to whatever folder the process happens to run in.
        """
        if self.artifact_root is None:
            return None
        return (self.artifact_root / re.sub(r"[^\w.-]+", "-", experiment)).as_uri()


def resolve(tracking_dir: Path | str) -> Address:
    """The address that the environment names, else the sqlite database in ``tracking_dir``.

    Raises:
        TrackingError: if MLFLOW_TRACKING_URI is neither a database nor a server.
    """
    folder = Path(tracking_dir).expanduser().absolute()
    spool = folder / "spool"
    configured = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not configured:
        return Address(f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts", spool)
    scheme = configured.partition(":")[0].partition("+")[0]
    if scheme in _DATABASES:
        return Address(configured, folder / "artifacts", spool)
    if scheme in _SERVERS:
        return Address(configured, None, spool)
    raise TrackingError(
        f"MLFLOW_TRACKING_URI is {configured!r}: it may name a database (sqlite:///..., postgresql://...) "
        f"or a server (http://...); unset it to use {folder}"
    )


def check_usable(address: Address) -> None:
    """Fail now rather than after an hour: folders can be written, a server can be reached.

    Raises:
        TrackingError: naming the folder or the server.
    """
    if address.artifact_root is None:
        _check_reachable(address.uri)
        return
    database = address.database_file
    folders = [address.artifact_root] if database is None else [database.parent, address.artifact_root]
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise TrackingError(
                f"tracking folder {str(folder)!r} cannot be written: {error.strerror or error}; "
                "choose another with execution.tracking_dir"
            ) from error
    if database is not None and database.exists() and not os.access(database, os.R_OK | os.W_OK):
        raise TrackingError(f"run database {str(database)!r} cannot be written: it is read-only")


def ui_command(tracking_dir: Path | str, port: int = 5000) -> list[str]:
    """The command that shows the runs in a browser at ``http://127.0.0.1:PORT``, to this machine alone."""
    address = resolve(tracking_dir)
    if address.artifact_root is None:
        raise TrackingError(f"the runs are on a server with its own pages: open {address.uri} in a browser")
    return [
        *(sys.executable, "-m", "mlflow", "ui"),
        *("--backend-store-uri", address.uri),
        *("--default-artifact-root", address.artifact_root.as_uri()),
        *("--host", "127.0.0.1"),
        *("--port", str(port)),
        *("--workers", "1"),
    ]


def _check_reachable(uri: str) -> None:
    """Knock once: MLflow itself would keep trying for minutes."""
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_LIMIT_S).close()
    except (OSError, ValueError) as error:
        raise TrackingError(f"tracking server {uri} cannot be reached: {error}") from error
