"""A dict of arrays, every entry in [0, 1]: the request, its candidate paths and the network as a whole."""

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import can_serve, on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import (
    busiest_link_slots,
    find_free,
    link_fragmentation,
    link_slots,
)
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


def layout(world: World) -> dict[str, int]:
    """Parts of the row and their lengths; the path parts have one entry a candidate path, 0 where there is none."""
    return {
        "source": world.num_nodes,
        "destination": world.num_nodes,
        "bandwidth": 1,
        "path_length": world.max_paths,
        "path_feasible": world.max_paths,
        "path_congestion": world.max_paths,
        "path_hops": world.max_paths,
        "path_slots_needed": world.max_paths,
        "path_available_slots": world.max_paths,
        "network_utilisation": 1,
        "fragmentation": 1,
    }


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return 0.0, 1.0


@kernel
def write(world: World, lane: Lane, request: Request, row: Floats32) -> None:
    """Fill one row.

    Lengths, hops and slots needed are shares of the largest among the candidates; congestion is the share of
    slots in use on a path's busiest link; available slots are free on all links of the path; fragmentation is
    the mean over links of 1 - longest free block / free slots.
    """
    row[:] = 0.0
    row[world.pair_source[request.pair]] = 1.0
    row[world.num_nodes + world.pair_target[request.pair]] = 1.0
    column = 2 * world.num_nodes
    row[column] = world.class_gbps[request.bandwidth_class] / world.max_gbps
    column += 1
    count = world.max_paths
    for rank in range(routes_of(world, request.pair)):
        path, width = on_route(world, lane, request, rank)
        row[column] = world.path_length_km[path] / world.max_length_km
        if can_serve(world, lane, request, path, width):
            row[column + count] = 1.0
        row[column + 2 * count] = busiest_link_slots(world, lane, path) / np.float32(world.slots)
        row[column + 3 * count] = world.path_hops[path] / np.float32(world.max_hops)
        row[column + 4 * count] = width / np.float32(world.max_width)
        find_free(world, lane, path)
        row[column + 5 * count] = bitmap.count(lane.free) / np.float32(world.slots)
        column += 1
    used = 0
    fragmentation = 0.0
    links = world.link_length_km.size
    for link in range(links):
        used += link_slots(world, lane, link)
        fragmentation += link_fragmentation(world, lane, link)
    row[row.size - 2] = used / np.float32(links * world.slots)
    row[row.size - 1] = fragmentation / links
