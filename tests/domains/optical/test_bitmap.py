"""The bitmap kernels are checked against Python's own integers and sets."""

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion_rl.arrays import Words
from fusion_rl.domains.optical.pipelines import bitmap
from tests.domains.optical.worlds import many_examples

examples = settings(many_examples, max_examples=400)

Slots = set[int]


@st.composite
def rows(draw: st.DrawFn) -> tuple[Words, Slots, int]:
    """1 to 3 words, the same as a set of slots, and the number of bits. Long runs are as likely as noise."""
    words = draw(st.integers(1, 3))
    bits = 64 * words
    number = draw(st.one_of(st.sampled_from([0, 2**bits - 1]), st.integers(0, 2**bits - 1)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, bits - 1))
        run = ((1 << draw(st.integers(1, bits - start))) - 1) << start
        number = number | run if draw(st.booleans()) else number & ~run
    row = np.array([(number >> (64 * word)) & (2**64 - 1) for word in range(words)], np.uint64)
    return row, {slot for slot in range(bits) if number >> slot & 1}, bits


def as_set(row: Words) -> Slots:
    number = sum(int(word) << (64 * i) for i, word in enumerate(row))
    return {slot for slot in range(64 * row.size) if number >> slot & 1}


@examples
@given(st.integers(0, 2**64 - 1))
def test_bits_of_a_word_are_counted_and_found(number: int) -> None:
    for value in (number, 0, 2**64 - 1, number & -number):
        assert bitmap.count_bits(np.uint64(value)) == value.bit_count()
        lowest = (value & -value).bit_length() - 1 if value else 64
        assert bitmap.lowest_bit(np.uint64(value)) == lowest
        assert bitmap.highest_bit(np.uint64(value)) == value.bit_length() - 1


@examples
@given(rows(), st.data())
def test_what_is_packed_is_unpacked_again(given_row: Any, data: st.DataObject) -> None:
    row, slots, bits = given_row
    count = data.draw(st.integers(1, bits))
    here = bitmap.unpacked(row, count)
    assert set(np.flatnonzero(here).tolist()) == {slot for slot in slots if slot < count}
    both = np.stack([here, ~here])
    np.testing.assert_array_equal(bitmap.unpacked(bitmap.packed(both), count), both)


@examples
@given(rows(), st.data())
def test_ranges_are_set_cleared_and_noticed(given_row: Any, data: st.DataObject) -> None:
    row, slots, bits = given_row
    start = data.draw(st.integers(0, bits - 1))
    end = data.draw(st.integers(start + 1, bits))
    span = set(range(start, end))
    assert bitmap.touches_range(row, start, end) == bool(slots & span)
    added, removed = row.copy(), row.copy()
    bitmap.add_range(added, start, end)
    bitmap.remove_range(removed, start, end)
    assert as_set(added) == slots | span
    assert as_set(removed) == slots - span


@examples
@given(rows())
def test_slots_and_runs_are_counted(given_row: Any) -> None:
    row, slots, _ = given_row
    assert bitmap.count(row) == len(slots)
    assert bitmap.count_runs(row) == sum(slot - 1 not in slots for slot in slots)


@examples
@given(rows(), st.integers(0, 192))
def test_the_next_set_and_the_next_clear_slot_are_found(given_row: Any, slot: int) -> None:
    row, slots, bits = given_row
    assert bitmap.next_set(row, slot) == min((s for s in slots if s >= slot), default=bits)
    assert bitmap.next_clear(row, slot) == next((s for s in range(slot, bits) if s not in slots), bits)


@examples
@given(rows(), st.data())
def test_the_last_set_and_the_last_clear_slot_are_found(given_row: Any, data: st.DataObject) -> None:
    row, slots, bits = given_row
    slot = data.draw(st.integers(0, bits))
    assert bitmap.last_set(row, slot) == max((s for s in slots if s < slot), default=-1)
    assert bitmap.last_clear(row, slot) == max(set(range(slot)) - slots, default=-1)


@examples
@given(rows(), st.one_of(st.integers(1, 6), st.integers(1, 70), st.integers(1, 200)))
def test_starts_of_free_blocks_are_kept(given_row: Any, width: int) -> None:
    row, slots, _ = given_row
    bitmap.keep_run_starts(row, width)
    assert as_set(row) == {start for start in slots if all(start + i in slots for i in range(width))}
