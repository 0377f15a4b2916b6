import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import MetricPoint
from fusion_rl.tracking.buffer import POINTS_PER_WRITE, MetricBuffer, check_metric_name
from fusion_rl.tracking.spool import Spool


class Disk:
    """Takes points, except while it is full."""

    def __init__(self) -> None:
        self.writes: list[list[MetricPoint]] = []
        self.full = False

    def write(self, points: Sequence[MetricPoint]) -> None:
        if self.full:
            raise TrackingError("disk is full")
        self.writes.append(list(points))

    def values(self) -> list[float]:
        return [point.value for points in self.writes for point in points]


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "run.jsonl")


def test_points_wait_until_there_are_enough(disk: Disk, spool: Spool) -> None:
    buffer = MetricBuffer(disk.write, spool, max_points=3, max_age_s=3600)
    buffer.add("loss", 0.0, step=0)
    buffer.add("loss", 1.0, step=1)
    buffer.wait()
    assert disk.writes == []
    buffer.add("loss", 2.0, step=2)
    buffer.wait()
    assert disk.values() == [0.0, 1.0, 2.0]
    assert len(buffer) == 0


def test_points_do_not_wait_longer_than_the_age(disk: Disk, spool: Spool) -> None:
    buffer = MetricBuffer(disk.write, spool, max_points=100, max_age_s=0.0)
    buffer.add("loss", 1.0, step=0)
    buffer.wait()
    assert disk.values() == [1.0]


def test_a_write_is_never_larger_than_mlflow_takes(disk: Disk, spool: Spool) -> None:
    buffer = MetricBuffer(disk.write, spool, max_points=10**6, max_age_s=3600)
    for step in range(2 * POINTS_PER_WRITE + 5):
        buffer.add("loss", step, step)
    buffer.flush()
    assert [len(points) for points in disk.writes] == [POINTS_PER_WRITE, POINTS_PER_WRITE, 5]
    assert disk.values() == list(range(2 * POINTS_PER_WRITE + 5))


def test_what_could_not_be_written_is_kept_and_written_later(
    disk: Disk, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    buffer = MetricBuffer(disk.write, spool, max_points=2, max_age_s=3600)
    disk.full = True
    with caplog.at_level(logging.WARNING):
        buffer.add("loss", 0.0, step=0)
        buffer.add("loss", 1.0, step=1)
        buffer.wait()
        buffer.add("loss", 2.0, step=2)
        buffer.wait()
    assert caplog.messages == ["2 metric values wait on disk for the next attempt: disk is full"]
    with pytest.raises(TrackingError, match="disk is full"):
        buffer.flush()
    disk.full = False
    buffer.flush()
    assert disk.values() == [0.0, 1.0, 2.0]
    assert len(Spool(spool.path)) == 0


def test_a_flush_with_patience_waits_for_the_store_to_come_back(disk: Disk, spool: Spool) -> None:
    buffer = MetricBuffer(disk.write, spool, max_age_s=3600)
    buffer.add("loss", 1.0, step=0)
    disk.full = True
    threading.Timer(0.2, lambda: setattr(disk, "full", False)).start()
    buffer.flush(patience_s=30)
    assert disk.values() == [1.0]


def test_nobody_waits_for_a_store_that_is_slow(spool: Spool) -> None:
    done = threading.Event()
    buffer = MetricBuffer(lambda _: assert_soon(done), spool, max_points=1)
    started = time.perf_counter()
    for step in range(100):
        buffer.add("loss", 0.0, step)
    assert time.perf_counter() - started < 5
    assert len(buffer) == 100
    done.set()
    buffer.flush()
    assert len(buffer) == 0


def assert_soon(event: threading.Event) -> None:
    assert event.wait(timeout=60)


@pytest.mark.parametrize("name", ["loss", "evaluation/ksp-ff/service_blocking", "load 250: a.b"])
def test_names_that_mlflow_takes_are_taken(name: str) -> None:
    check_metric_name(name)


@pytest.mark.parametrize("name", ["", "a,b", "a//b", "/a", "a/", "../a", "a/../b", ".", "100 %", "x" * 251])
def test_a_name_that_mlflow_would_refuse_is_refused_at_once(disk: Disk, spool: Spool, name: str) -> None:
    buffer = MetricBuffer(disk.write, spool)
    with pytest.raises(TrackingError, match="cannot be stored"):
        buffer.add(name, 1.0, step=0)
    assert len(buffer) == 0
