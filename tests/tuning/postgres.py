"""A PostgreSQL server of one's own, for tests."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PLACES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def programs() -> Path | None:
    """The folder of the server's programs; None where there is none."""
    found = shutil.which("initdb")
    return Path(found).parent if found else next((place for place in _PLACES if (place / "initdb").is_file()), None)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """A server that listens on this machine alone; gives the URL of an empty database.

    Args:
        folder: an empty one, which the server's user may write.
    """
    bin_folder = programs()
    assert bin_folder is not None
    user = "postgres" if os.geteuid() == 0 else None  # it refuses to run as root
    if user is not None:
        shutil.chown(folder, user)
        for above in folder.parents:
            if above.stat().st_uid == 0 and not above.stat().st_mode & 0o001:
                above.chmod(above.stat().st_mode | 0o011)  # its user has to come to its folder
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

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
