"""The candidate decisions of a request, a row of features each, and what the request and the network are like.

The rows are those of the action codec `candidates` or `candidates-all`, in the order of its action numbers, M rows of
F features that `FEATURES` names; rows behind the last candidate are 0. Other entries are in [0, 1].

`candidates-known-holding` also tells how long the request is going to stay: another class of information, that few
settings reveal and no heuristic has, so a comparison must say so.
"""

from collections.abc import Callable

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical import candidates
from fusion_rl.domains.optical.candidates import COUNT, FEATURES, Memory
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.observations.legacy import put_holding
from fusion_rl.domains.optical.pipelines.spectrum import link_fragmentation
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

__all__ = ["FEATURES", "layout_of", "limits", "prepare_of", "write"]

_CONTEXT = ("bandwidth", "network_utilisation", "fragmentation")


def layout_of(most: int, known_holding: bool) -> Callable[[World], dict[str, int]]:
    """Parts of the row for `most` candidates, and their lengths, as a function of the world."""
    parts = (*_CONTEXT, "holding_time") if known_holding else _CONTEXT
    return lambda world: {"candidates": most * COUNT} | dict.fromkeys(parts, 1)


def prepare_of(every_start: bool, known_holding: bool) -> Callable[[World], Memory]:
    """What the observation needs, as a function of the world."""
    return lambda world: candidates.prepare(world, every_start, known_holding)


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return 0.0, candidates.highest(world)


@kernel
def write(world: World, lane: Lane, request: Request, memory: Memory, row: Floats32) -> None:
    """Fill one row.

    Bandwidth is a share of the largest; fragmentation is the mean over links of 1 - longest free block / free slots;
    a holding time is told as in FUSION's sets (`legacy.put_holding`).
    """
    column = row.size - 3 - memory.known_holding
    utilisation = candidates.describe(world, lane, request, memory, row[:column])
    row[column] = world.class_gbps[request.bandwidth_class] / world.max_gbps
    row[column + 1] = utilisation
    fragmentation = 0.0
    for link in range(memory.tables.link_use.size):
        fragmentation += link_fragmentation(world, lane, link)
    row[column + 2] = fragmentation / memory.tables.link_use.size
    if memory.known_holding:
        put_holding(request, row, column + 3)
