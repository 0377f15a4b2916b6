"""Metrics wait here until there are enough of them to be worth a write, and training does not wait for the write.

A single value costs a database about 3 ms and a server far more, a thousand at once less than 0.1 ms each.
"""

from __future__ import annotations

import logging
import posixpath
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import MetricPoint
from fusion_rl.tracking.spool import Spool

POINTS_PER_WRITE = 1000  # MLflow refuses a larger batch
RETRY_S = 1.0  # between attempts of a flush that has patience
_LONGEST_PAUSE_S = 60.0  # between attempts while the store is away

_NAME = re.compile(r"[/\w.\-: ]+")  # as MLflow's validation has it, which also refuses what is no plain path
_LONGEST_NAME = 250

_log = logging.getLogger(__name__)


class MetricBuffer:
    """Spools metric values and hands them on, oldest first, when there are many or the last time was long ago.

    Handing on is done by another thread, one at a time: a store that is slow, locked or gone costs training nothing.
    What it did not take stays in the spool and is tried again, at growing intervals.

    Args:
        write: takes at most ``POINTS_PER_WRITE`` points; raises TrackingError where it cannot.
        spool: where the values lie until they are taken.
        max_points: hand on when there are this many more.
        max_age_s: hand on when the last attempt was this long ago.
    """

    def __init__(
        self,
        write: Callable[[Sequence[MetricPoint]], None],
        spool: Spool,
        max_points: int = 500,
        max_age_s: float = 5.0,
    ) -> None:
        self._write = write
        self._spool = spool
        self._max_points = max_points
        self._max_age_s = max_age_s
        self._pause_s = max_age_s
        self._due_points = max_points
        self._due_s = time.monotonic() + max_age_s
        self._sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")
        self._sending: Future[None] | None = None

    def __len__(self) -> int:
        return len(self._spool)

    def add(self, name: str, value: float, step: int) -> None:
        """Take a value; have what is held handed on if it is time.

        Raises:
            TrackingError: if MLflow would refuse the name, which would otherwise spoil the whole batch.
        """
        check_metric_name(name)
        self._spool.add(MetricPoint(name, float(value), int(step), time.time_ns() // 1_000_000))
        now = time.monotonic()
        is_idle = self._sending is None or self._sending.done()
        if is_idle and len(self._spool) and (len(self._spool) >= self._due_points or now >= self._due_s):
            self._due_s = now + self._max_age_s
            self._sending = self._sender.submit(self._send_what_can_be)

    def wait(self) -> None:
        """Wait for the write that is under way, if one is."""
        if self._sending is not None:
            self._sending.result()

    def flush(self, patience_s: float = 0.0) -> None:
        """Hand on everything, or raise TrackingError and keep what was not taken.

        Args:
            patience_s: keep trying for so long.
        """
        self.wait()
        until = time.monotonic() + patience_s
        while True:
            try:
                return self._send()
            except TrackingError:
                if time.monotonic() + RETRY_S > until:
                    raise
                time.sleep(RETRY_S)

    def close(self) -> None:
        """End the thread."""
        self._sender.shutdown()

    def _send_what_can_be(self) -> None:
        try:
            self._send()
        except TrackingError as error:
            held = len(self._spool)
            _log.warning("%d metric values wait on disk for the next attempt: %s", held, error)
            self._pause_s = min(2 * self._pause_s, max(_LONGEST_PAUSE_S, self._max_age_s))
            self._due_s = time.monotonic() + self._pause_s
            self._due_points = held + self._max_points

    def _send(self) -> None:
        while points := self._spool.waiting(POINTS_PER_WRITE):
            self._write(points)
            self._spool.taken(len(points))
        self._due_points = self._max_points
        self._pause_s = self._max_age_s


def check_metric_name(name: str) -> None:
    """Raise TrackingError for a name that MLflow would refuse."""
    plain = posixpath.normpath(name) == name and not name.startswith((".", "/"))
    if not (plain and _NAME.fullmatch(name) and len(name) <= _LONGEST_NAME):
        raise TrackingError(
            f"metric name {name!r} cannot be stored: use letters, digits, _ - . : / and blanks, "
            f"at most {_LONGEST_NAME}, as in 'evaluation/service_blocking'"
        )
