"""Which process writes a run, and whether it still does.

A process that this machine runs can be looked for. Of another machine's there is only what it last said: every write
of metrics carries the time.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import psutil

HOST, PID, SEEN = "process.host", "process.pid", "process.seen"
_STARTED = "process.started"
_CLOCK_S = 2.0  # the start of one process, asked for twice, may differ by this much when the clock is set


def process_tags() -> dict[str, str]:
    """Tags that name this process; a number alone would come to be another's."""
    return {
        HOST: socket.gethostname(),
        PID: str(os.getpid()),
        _STARTED: f"{psutil.Process().create_time():.2f}",
        SEEN: now(),
    }


def now() -> str:
    """The time as the tag `process.seen` has it: seconds since 1970."""
    return f"{time.time():.0f}"


def is_of_this_machine(tags: Mapping[str, str]) -> bool:
    """Whether these tags name a process that ran here."""
    return tags.get(HOST) == socket.gethostname()


def last_seen(tags: Mapping[str, str]) -> datetime:
    """When the process that these tags name last wrote; long ago where they do not say."""
    try:
        return datetime.fromtimestamp(float(tags[SEEN]), tz=UTC)
    except (KeyError, ValueError):
        return datetime.fromtimestamp(0, tz=UTC)


def is_here(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name lives, and on this machine."""
    return is_of_this_machine(tags) and PID in tags and not is_gone(tags)


def is_gone(tags: Mapping[str, str]) -> bool:
    """Whether the process that these tags name ran on this machine and has ended.

    False where that cannot be known: the process is of another machine, or the tags name none.
    """
    if not is_of_this_machine(tags) or not {PID, _STARTED} <= tags.keys():
        return False
    try:
        process = psutil.Process(int(tags[PID]))
        same = abs(process.create_time() - float(tags[_STARTED])) <= _CLOCK_S
        return not same or process.status() == psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return False
    except (psutil.Error, ValueError):
        return True
