"""Servers of tests: a port for one, and its first answer."""

import socket
import subprocess
import time
import urllib.error
import urllib.request

ANSWERS_WITHIN_S = 180


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; fail when it ends, or is not there in time."""
    until = time.monotonic() + ANSWERS_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(address, timeout=30).close()
            return
        except urllib.error.HTTPError:
            return  # it answers, if only to ask who this is
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, f"the server ended with {server.returncode}"
            assert time.monotonic() < until, f"no answer from {address}"
            time.sleep(1)
