"""A run's metric values on this machine's disk, before and after the store has them.

Whatever happens to the store, and however the run ends, what was logged is in this file. One line a value,
``["evaluation/service_blocking", 0.025, 4096, 1767225600000]`` (name, value, step, milliseconds since 1970), and a
line ``[1000]`` when the store has taken the first thousand.
"""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from pathlib import Path

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import MetricPoint


class Spool:
    """Values of one run, in the order in which they were logged.

    A run that is resumed does again what it did after its last checkpoint, and so logs again what it had logged. The
    spool still has those values: ``add`` counts them as said before, and neither the file nor the store gets them
    twice.

    Args:
        path: the file; made with its folder if it is not there yet, else continued.

    Raises:
        TrackingError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            points, self._taken, whole_bytes = _read(path)
            self._file.truncate(whole_bytes)  # a process that is killed may leave half a line
        except (OSError, ValueError, TypeError) as error:
            raise TrackingError(f"metric spool {path} cannot be used: {error}") from error
        self._waiting = points[self._taken :]
        self._before = [(point.name, point.step) for point in points]
        self._said_before = Counter(self._before)
        self._position = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Values that the store has not taken."""
        return len(self._waiting)

    def add(self, point: MetricPoint) -> None:
        """Take a value, unless it is one that the run logged before it was interrupted."""
        with self._lock:
            self._position += 1
            key = (point.name, point.step)
            if self._said_before[key] > 0:
                self._said_before[key] -= 1
                return
            self._write([point.name, point.value, point.step, point.time_ms])
            self._waiting.append(point)

    def waiting(self, most: int) -> list[MetricPoint]:
        """The oldest values that the store has not taken."""
        with self._lock:
            return self._waiting[:most]

    def taken(self, count: int) -> None:
        """Note that the store has taken so many more."""
        with self._lock:
            del self._waiting[:count]
            self._taken += count
            self._write([self._taken])

    def mark(self) -> int:
        """How much has been logged so far; all of it is on the disk when this returns."""
        os.fsync(self._file.fileno())
        return self._position

    def rewind(self, mark: int) -> None:
        """Go on from an earlier mark: expect again what was logged after it, and only that."""
        self._position = mark
        self._said_before = Counter(self._before[mark:])

    def close(self, *, remove: bool = False) -> None:
        """Close the file; remove it where nobody will need it again."""
        self._file.close()
        if remove:
            self.path.unlink(missing_ok=True)

    def _write(self, line: list[object]) -> None:
        self._file.write(json.dumps(line).encode() + b"\n")


def _read(path: Path) -> tuple[list[MetricPoint], int, int]:
    """The values in a file, how many of them the store has taken, and the length of its whole lines in bytes."""
    content = path.read_bytes()
    whole_bytes = content.rfind(b"\n") + 1
    points: list[MetricPoint] = []
    taken = 0
    for line in content[:whole_bytes].splitlines():
        entry = json.loads(line)
        if len(entry) == 1:
            taken = int(entry[0])
        else:
            points.append(MetricPoint(*entry))
    return points, taken, whole_bytes
