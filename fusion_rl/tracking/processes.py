"""Which process writes a run, and whether it still does."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping

import psutil

_HOST, _PID, _STARTED = "process.host", "process.pid", "process.started"
_CLOCK_S = 2.0  # the start of one process, asked for twice, may differ by this much when the clock is set


def process_tags() -> dict[str, str]:
    """Tags that name this process; a number alone would come to be another's."""
    return {
        _HOST: socket.gethostname(),
        _PID: str(os.getpid()),
        _STARTED: f"{psutil.Process().create_time():.2f}",
    }


def is_here(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name lives, and on this machine."""
    return tags.get(_HOST) == socket.gethostname() and _PID in tags and not is_gone(tags)


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name ran on this machine and has ended.

    False where that cannot be known: the process is of another machine, or the tags name none.
    """
    if tags.get(_HOST) != socket.gethostname() or not {_PID, _STARTED} <= tags.keys():
        return False
    try:
        process = psutil.Process(int(tags[_PID]))
        same = abs(process.create_time() - float(tags[_STARTED])) <= _CLOCK_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return False
    except (psutil.Error, ValueError):
        return True
