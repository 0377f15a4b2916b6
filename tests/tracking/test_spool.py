from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import MetricPoint
from fusion_rl.tracking.spool import Spool

POINTS = [MetricPoint(name, step / 8, step, 1000 + step) for step in range(6) for name in ("loss", "reward")]


def filled(path: Path) -> Spool:
    spool = Spool(path)
    for point in POINTS:
        spool.add(point)
    return spool


def test_what_was_logged_survives_the_process(tmp_path: Path) -> None:
    filled(tmp_path / "run.jsonl")  # never closed
    assert Spool(tmp_path / "run.jsonl").waiting(100) == POINTS


def test_what_the_store_has_taken_is_not_waiting_any_more(tmp_path: Path) -> None:
    spool = filled(tmp_path / "run.jsonl")
    spool.taken(5)
    assert spool.waiting(2) == POINTS[5:7]
    assert Spool(tmp_path / "run.jsonl").waiting(100) == POINTS[5:]


def test_half_a_line_is_no_line(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    filled(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    spool = Spool(path)
    assert spool.waiting(100) == POINTS[:-1]
    spool.add(MetricPoint("late", 1.0, 9, 9))
    assert [point.name for point in Spool(path).waiting(100)][-2:] == ["loss", "late"]


def test_a_file_that_is_no_spool_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.jsonl").write_text("not a spool\n")
    with pytest.raises(TrackingError, match=r"spool .*run.jsonl cannot be used"):
        Spool(tmp_path / "run.jsonl")


@given(data=st.data())
def test_a_run_that_goes_on_from_any_mark_has_every_value_once(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Interrupted anywhere, any number of times, a run that repeats itself leaves one history."""
    names = st.sampled_from(["loss", "reward", "evaluation"])
    said = data.draw(st.lists(st.tuples(names, st.integers(0, 3)), min_size=1, max_size=30))
    path = tmp_path_factory.mktemp("spool") / "run.jsonl"
    mark = 0
    for life in range(data.draw(st.integers(1, 4))):
        spool = Spool(path)
        spool.rewind(mark)
        at = mark
        stop = data.draw(st.integers(mark, len(said)))
        for number in range(at, stop):
            if data.draw(st.booleans()):
                mark = spool.mark()
                assert mark == number
            name, step = said[number]
            spool.add(MetricPoint(name, float(number), step, life))
        spool.close()
    spool = Spool(path)
    spool.rewind(mark)
    for number in range(mark, len(said)):
        spool.add(MetricPoint(said[number][0], float(number), said[number][1], 99))
    kept = Spool(path).waiting(1000)
    assert Counter((point.name, point.step) for point in kept) == Counter(said)
    assert sorted(point.value for point in kept) == [float(number) for number in range(len(said))]
