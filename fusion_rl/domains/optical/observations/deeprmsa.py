"""The flat observation of DeepRMSA, with its normalisation constants.

Bandwidth, source and destination one-hot, and for each candidate path: start and length of the first free
block that is long enough, slots needed, free slots, mean length of the free blocks; -1 where there is none.
Source: X. Chen et al., DeepRMSA, Journal of Lightwave Technology 37(16), 2019, with J = 1 block, and the
scaling of its public environment (optical-rl-gym). That environment shows the pair without its direction;
here source and destination keep their roles, since directed links make them different.
"""

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import find_free
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

FEATURES = 5  # of a path


def layout(world: World) -> dict[str, int]:
    """Parts of the row and their lengths."""
    return {
        "bandwidth": 1,
        "source": world.num_nodes,
        "destination": world.num_nodes,
        "paths": world.max_paths * FEATURES,
    }


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    needed, block = (world.max_width - 5.5) / 3.5, (world.slots - 4.0) / 4.0
    return -2.0, max(needed, block, world.max_gbps / 100.0, 1.0)


@kernel
def write(world: World, lane: Lane, request: Request, row: Floats32) -> None:
    """Fill one row."""
    row[:] = 0.0
    row[0] = world.class_gbps[request.bandwidth_class] / 100.0
    row[1 + world.pair_source[request.pair]] = 1.0
    row[1 + world.num_nodes + world.pair_target[request.pair]] = 1.0
    column = 1 + 2 * world.num_nodes
    row[column:] = -1.0
    for rank in range(routes_of(world, request.pair)):
        path, width = on_route(world, lane, request, rank)
        write_path(world, lane, path, width, row, column)
        column += FEATURES


@kernel
def write_path(world: World, lane: Lane, path: int, width: int, row: Floats32, column: int) -> None:
    """Fill the features of one path."""
    slots = np.float32(world.slots)
    find_free(world, lane, path)
    free = lane.free
    total = bitmap.count(free)
    if total > 0:
        row[column + 3] = 2.0 * (total - 0.5 * slots) / slots
        row[column + 4] = (total / bitmap.count_runs(free) - 4.0) / 4.0
    if width > 0:
        row[column + 2] = (width - 5.5) / 3.5
        bitmap.keep_run_starts(free, width)
        start = bitmap.next_set(free, 0)
        if start < world.slots:
            # A block of n slots leaves n - width + 1 starts in a row.
            length = bitmap.next_clear(free, start) - start + width - 1
            row[column] = 2.0 * (start - 0.5 * slots) / slots
            row[column + 1] = (length - 8.0) / 8.0
