"""The request, and every slot of every link: all that a policy can know which is not told the holding times.

Every entry is 0 or 1: source, destination and bandwidth class one-hot, and the slots in use, link by link.

`spectrum-known-holding` also tells how long the request is going to stay and how long each slot will be in use, both
in the scenario's time units: another class of information, that few settings reveal and no heuristic has, so a
comparison must say so.
"""

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError


def layout(world: World) -> dict[str, int]:
    """Parts of the row and their lengths."""
    return {
        "source": world.num_nodes,
        "destination": world.num_nodes,
        "bandwidth_class": world.class_gbps.size,
        "spectrum": world.link_length_km.size * world.slots,
    }


def layout_known_holding(world: World) -> dict[str, int]:
    """The same with what holding times tell.

    Raises:
        ConfigError: services share lightpaths, so no slot has a time at which it will be free.
    """
    if world.rules is not None:
        raise ConfigError(
            "observation spectrum-known-holding needs a network where each service has its own lightpath: no grooming,"
            " slicing, protection, transmission or failures"
        )
    return layout(world) | {"time_left": world.link_length_km.size * world.slots, "holding_time": 1}


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return 0.0, 1.0


def limits_known_holding(world: World) -> tuple[float, float]:
    """The same; nothing limits a holding time."""
    return 0.0, np.inf


@kernel
def write(world: World, lane: Lane, request: Request, row: Floats32) -> None:
    """Fill one row."""
    row[:] = 0.0
    row[world.pair_source[request.pair]] = 1.0
    row[world.num_nodes + world.pair_target[request.pair]] = 1.0
    row[2 * world.num_nodes + request.bandwidth_class] = 1.0
    first = 2 * world.num_nodes + world.class_gbps.size
    for link in range(world.link_length_km.size):
        slot = bitmap.next_set(lane.occupied[link], 0)
        while slot < world.slots:
            row[first + link * world.slots + slot] = 1.0
            slot = bitmap.next_set(lane.occupied[link], slot + 1)


@kernel
def write_known_holding(world: World, lane: Lane, request: Request, row: Floats32) -> None:
    """Fill one row."""
    write(world, lane, request, row)
    first = row.size - 1 - world.link_length_km.size * world.slots
    for i in range(lane.live[0]):
        left, service = np.float32(lane.departure_time[i] - request.arrival), lane.departing[i]
        path, start = lane.service_path[service], lane.service_start[service]
        for hop in range(world.link_first[path], world.link_first[path + 1]):
            slot = first + world.path_links[hop] * world.slots + start
            row[slot : slot + lane.service_width[service]] = left
    row[row.size - 1] = request.holding
