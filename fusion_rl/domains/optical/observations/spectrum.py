"""The request, and every slot of every link: all that a policy can know which is not told the holding times.

Every entry is 0 or 1: source, destination and bandwidth class one-hot, and the slots in use, link by link.
"""

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


def layout(world: World) -> dict[str, int]:
    """Parts of the row and their lengths."""
    return {
        "source": world.num_nodes,
        "destination": world.num_nodes,
        "bandwidth_class": world.class_gbps.size,
        "spectrum": world.link_length_km.size * world.slots,
    }


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return 0.0, 1.0


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
