"""Array aliases and the axis letters that shapes are written with.

| letter | axis |
| --- | --- |
| B | lanes: independent networks simulated side by side |
| L | links: spectra that can be occupied (two for an edge when links are directed) |
| W | 64-bit words that hold the slots of one link |
| S | slots (FSU) of one link |
| R | ordered source-destination pairs |
| P | candidate paths, of all pairs together |
| K | candidate paths of one pair, at most |
| C | bandwidth classes: the distinct bandwidths that requests can have |
| T | requests |
| N | nodes |
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Floats32: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int32]
Ints64: TypeAlias = NDArray[np.int64]
Words: TypeAlias = NDArray[np.uint64]
Bytes: TypeAlias = NDArray[np.uint8]
Bools: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]


def frozen(array: AnyArray) -> AnyArray:
    """Make an array read-only and return it. Numba refuses to compile a kernel that would write it."""
    array.setflags(write=False)
    return array
