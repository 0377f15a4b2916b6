"""A PostgreSQL server of one's own, for tests."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROGRAMS = ("initdb", "pg_ctl", "createdb")
_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs() -> Path | None:
    """The folder of the server's programs; None where there is none."""
    found = shutil.which("initdb")
    places = [*_PLACES, *([Path(found).resolve().parent] if found else [])]
    return next((place for place in places if all((place / name).is_file() for name in _PROGRAMS)), None)


@contextmanager
def server() -> Iterator[str]:
    """A server that listens on this machine alone; gives the URL of an empty database."""
    bin_folder = programs()
    assert bin_folder is not None
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    with tempfile.TemporaryDirectory(prefix="fusion-rl-postgres-") as name, socket.socket() as probe:
        folder = Path(name)  # not below pytest's own, which nobody else may enter
        if user is not None:
            shutil.chown(folder, user)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()

        def call(program: str, *arguments: str) -> None:
            command = [str(bin_folder / program), *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=240)

        data = str(folder / "data")
        call("initdb", "-D", data, "-U", "tests", "--auth=trust", "--no-sync", "-E", "UTF8")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        call("pg_ctl", "-D", data, "-o", options, "-l", str(folder / "log"), "-t", "180", "-w", "start")
        try:
            call("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "tests", "tests")
            yield f"postgresql+psycopg://tests@127.0.0.1:{port}/tests"
        finally:
            call("pg_ctl", "-D", data, "-m", "immediate", "stop")
