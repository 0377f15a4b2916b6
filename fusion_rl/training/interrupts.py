"""Ctrl-C and SIGTERM end a training where it can be gone on with: after the update under way, not in its middle."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal ended the run; the message says which, where, and how to go on."""


class Interrupts:
    """Turns SIGINT and SIGTERM into exceptions, at once or at the next good moment.

    As a context it takes the signals over, in the main thread (elsewhere Python lets nobody, and nothing changes).
    Inside ``deferred`` a first signal is only noted in ``received``, for the training to look at; a second one
    ends it at once.
    """

    def __init__(self) -> None:
        self.received: str | None = None
        self._is_deferring = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._arrived) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note signals instead of raising."""
        self._is_deferring = True
        try:
            yield
        finally:
            self._is_deferring = False

    def _arrived(self, number: int, _: FrameType | None) -> None:
        name = signal.Signals(number).name
        if self._is_deferring and self.received is None:
            self.received = name
            # written straight to stderr: a handler may interrupt whoever else is writing
            os.write(2, f"\n{name}: stopping with a checkpoint after this update; once more stops now\n".encode())
            return
        raise Interrupted(f"ended by {name}")
