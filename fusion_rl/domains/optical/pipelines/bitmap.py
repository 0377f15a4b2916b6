"""Sets of slots as uint64 words: bit s % 64 of word s // 64 stands for slot s.

All uint64 casts of the simulator live here, because Numba turns uint64 mixed with int64 into a signed number.
The counts below are the textbook ones (Warren, Hacker's Delight, 5-1); LLVM compiles them to one instruction.
"""

import numpy as np

from fusion_rl.arrays import Bools, Ints, Words
from fusion_rl.domains.optical.jit import kernel

WORD_BITS = 64
NONE = np.uint64(0)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
_ONE = np.uint64(1)
_PAIRS = np.uint64(0x5555555555555555)
_QUADS = np.uint64(0x3333333333333333)
_NIBBLES = np.uint64(0x0F0F0F0F0F0F0F0F)
_BYTES = np.uint64(0x0101010101010101)


def packed(slots: Bools) -> Words:
    """Sets by which slots they have, [..., S] to [..., W]."""
    rest = [(0, 0)] * (slots.ndim - 1) + [(0, -slots.shape[-1] % WORD_BITS)]
    return np.packbits(np.pad(slots, rest), axis=-1, bitorder="little").view(np.uint64)


def unpacked(bits: Words, slots: int) -> Bools:
    """Which of the first so many slots the sets have, [..., W] to [..., S]."""
    every = np.unpackbits(np.ascontiguousarray(bits).view(np.uint8), axis=-1, bitorder="little")
    return every[..., :slots].view(np.bool_)


@kernel
def index(number: int) -> np.uint64:
    """A number, 0 or more, to index an array with."""
    return np.uint64(number)


@kernel
def count_bits(word: np.uint64) -> int:
    """Number of set bits of one word."""
    word = word - ((word >> np.uint64(1)) & _PAIRS)
    word = (word & _QUADS) + ((word >> np.uint64(2)) & _QUADS)
    word = (word + (word >> np.uint64(4))) & _NIBBLES
    return np.int64((word * _BYTES) >> np.uint64(56))  # type: ignore[return-value]


@kernel
def lowest_bit(word: np.uint64) -> int:
    """Position of the lowest set bit of one word; 64 if there is none."""
    return count_bits((word & (~word + _ONE)) - _ONE)


@kernel
def highest_bit(word: np.uint64) -> int:
    """Position of the highest set bit of one word; -1 if there is none."""
    if word == NONE:
        return -1
    # The exponent of the number as a float, which cannot round to the next power of two with the second bit cleared.
    return int((np.float64(word & ~(word >> _ONE)).view(np.int64) >> 52) - 1023)


@kernel
def without_lowest(word: np.uint64) -> np.uint64:
    """A word with its lowest set bit cleared."""
    return word & (word - _ONE)


@kernel
def span(word_index: int, start: int, end: int) -> np.uint64:
    """The bits of slots start..end-1 that fall into one word."""
    low = max(start - word_index * WORD_BITS, 0)
    high = min(end - word_index * WORD_BITS, WORD_BITS)
    if high <= low:
        return NONE
    return (ALL >> np.uint64(WORD_BITS - (high - low))) << np.uint64(low)


@kernel
def add_range(bits: Words, start: int, end: int) -> None:
    """Set the slots start..end-1."""
    for word in range(start // WORD_BITS, (end - 1) // WORD_BITS + 1):
        bits[word] |= span(word, start, end)


@kernel
def remove_range(bits: Words, start: int, end: int) -> None:
    """Clear the slots start..end-1."""
    for word in range(start // WORD_BITS, (end - 1) // WORD_BITS + 1):
        bits[word] &= ~span(word, start, end)


@kernel
def add(bits: Words, others: Words) -> None:
    """Set all slots that are set in another row."""
    for word in range(bits.size):
        bits[word] |= others[word]


@kernel
def touches_range(bits: Words, start: int, end: int) -> bool:
    """Whether any of the slots start..end-1 of one row is set."""
    for word in range(start // WORD_BITS, (end - 1) // WORD_BITS + 1):
        if bits[word] & span(word, start, end) != NONE:
            return True
    return False


@kernel
def count(bits: Words) -> int:
    """Number of set slots."""
    total = 0
    for word in range(bits.size):
        total += count_bits(bits[word])
    return total


@kernel
def count_runs(bits: Words) -> int:
    """Number of runs of set slots."""
    total = 0
    before = NONE
    for word in range(bits.size):
        total += count_bits(bits[word] & ~((bits[word] << _ONE) | before))
        before = bits[word] >> np.uint64(WORD_BITS - 1)
    return total


@kernel
def positions(bits: Words, out: Ints) -> int:
    """Write the set slots to `out`, lowest first; returns how many they are."""
    found = 0
    for word in range(bits.size):
        rest = bits[word]
        while rest != NONE:
            out[found] = word * WORD_BITS + lowest_bit(rest)
            found += 1
            rest = without_lowest(rest)
    return found


@kernel
def next_set(bits: Words, slot: int) -> int:
    """The lowest set slot at or above `slot`; the number of bits in all words if there is none."""
    word = slot // WORD_BITS
    if word >= bits.size:
        return bits.size * WORD_BITS
    rest = bits[word] & (ALL << np.uint64(slot % WORD_BITS))
    while rest == NONE:
        word += 1
        if word == bits.size:
            return bits.size * WORD_BITS
        rest = bits[word]
    return word * WORD_BITS + lowest_bit(rest)


@kernel
def next_clear(bits: Words, slot: int) -> int:
    """The lowest clear slot at or above `slot`; the number of bits in all words if there is none."""
    word = slot // WORD_BITS
    if word >= bits.size:
        return bits.size * WORD_BITS
    rest = ~bits[word] & (ALL << np.uint64(slot % WORD_BITS))
    while rest == NONE:
        word += 1
        if word == bits.size:
            return bits.size * WORD_BITS
        rest = ~bits[word]
    return word * WORD_BITS + lowest_bit(rest)


@kernel
def last_set(bits: Words, slot: int) -> int:
    """The highest set slot below `slot`; -1 if there is none."""
    word = (slot - 1) // WORD_BITS
    if word < 0:
        return -1
    rest = bits[word] & span(word, 0, slot)
    while rest == NONE:
        if word == 0:
            return -1
        word -= 1
        rest = bits[word]
    return word * WORD_BITS + highest_bit(rest)


@kernel
def last_clear(bits: Words, slot: int) -> int:
    """The highest clear slot below `slot`; -1 if there is none."""
    word = (slot - 1) // WORD_BITS
    if word < 0:
        return -1
    rest = ~bits[word] & span(word, 0, slot)
    while rest == NONE:
        if word == 0:
            return -1
        word -= 1
        rest = ~bits[word]
    return word * WORD_BITS + highest_bit(rest)


@kernel
def keep_run_starts(free: Words, width: int) -> None:
    """Keep only the slots from which `width` slots in a row are set: shift-and with doubling, in place."""
    words = free.size
    done = 1
    while done < width:
        step = min(done, width - done)
        whole, part = step // WORD_BITS, step % WORD_BITS
        for word in range(words):
            source = word + whole
            shifted = NONE
            if source < words:
                shifted = free[source] >> np.uint64(part)
                if part > 0 and source + 1 < words:
                    shifted |= free[source + 1] << np.uint64(WORD_BITS - part)
            free[word] &= shifted
        done += step
