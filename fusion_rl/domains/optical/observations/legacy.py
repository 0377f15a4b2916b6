"""FUSION's observation sets, obs_1 .. obs_8: what its environment of old, `GeneralSimEnv`, shows an agent.

| set | parts |
| --- | --- |
| obs_1 | source, destination |
| obs_2 | source, destination, request_bandwidth |
| obs_3 | source, destination, holding_time |
| obs_4 | source, destination, request_bandwidth, holding_time |
| obs_5 | those of obs_4, slots_needed, path_lengths |
| obs_6 | those of obs_5, paths_cong |
| obs_7 | those of obs_6, available_slots |
| obs_8 | those of obs_7, is_feasible |

Source, destination and bandwidth class are one-hot; the path parts have one entry a candidate path, 0 where there
is none. Every entry is in [0, 1]. Where all requests have one bandwidth, request_bandwidth is a single 1.

Sets 3 to 8 tell the agent how long the request is going to stay. That is another class of information: neither
the heuristics nor the observations `deeprmsa` and `unified` know it, and a comparison has to say so.

Two parts differ from FUSION's. It scales a holding time by the shortest and the longest of the whole run, which
are not known before its end; here it is on a logarithmic scale that needs no other request. Its available slots
are summed over a path's links, which says no more than paths_cong; here they are free on all links of the path.
Source: the sets, and congestion as the mean over a path's links, as in the simulator FUSION.
"""

import math
from collections.abc import Callable

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import can_serve, on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import find_free, link_slots
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

_ENDS = ("source", "destination")
_REQUEST = (*_ENDS, "request_bandwidth", "holding_time")
_PATHS = ("slots_needed", "path_lengths", "paths_cong", "available_slots", "is_feasible")
PARTS: dict[str, tuple[str, ...]] = {
    "obs_1": _ENDS,
    "obs_2": (*_ENDS, "request_bandwidth"),
    "obs_3": (*_ENDS, "holding_time"),
    "obs_4": _REQUEST,
    "obs_5": (*_REQUEST, *_PATHS[:2]),
    "obs_6": (*_REQUEST, *_PATHS[:3]),
    "obs_7": (*_REQUEST, *_PATHS[:4]),
    "obs_8": (*_REQUEST, *_PATHS),
}


def layout_of(name: str) -> Callable[[World], dict[str, int]]:
    """Parts of a set's row and their lengths, as a function of the world."""

    def layout(world: World) -> dict[str, int]:
        sizes = {
            "source": world.num_nodes,
            "destination": world.num_nodes,
            "request_bandwidth": world.class_gbps.size,
            "holding_time": 1,
        }
        return {part: sizes.get(part, world.max_paths) for part in PARTS[name]}

    return layout


def limits(world: World) -> tuple[float, float]:
    """Lowest and highest value of any feature."""
    return 0.0, 1.0


# A part is written from a column of the row on; what comes back is the column behind it.


@kernel
def put_ends(world: World, request: Request, row: Floats32) -> int:
    """Clear the row and mark source and destination."""
    row[:] = 0.0
    row[world.pair_source[request.pair]] = 1.0
    row[world.num_nodes + world.pair_target[request.pair]] = 1.0
    return 2 * world.num_nodes


@kernel
def put_bandwidth(world: World, request: Request, row: Floats32, column: int) -> int:
    """Mark the bandwidth class."""
    row[column + request.bandwidth_class] = 1.0
    return column + world.class_gbps.size


@kernel
def put_holding(request: Request, row: Floats32, column: int) -> int:
    """x / (1 + x) of x = ln(1 + holding time in the scenario's time units)."""
    logarithm = math.log1p(request.holding)
    row[column] = logarithm / (1.0 + logarithm)
    return column + 1


@kernel
def put_slots_needed(world: World, lane: Lane, request: Request, row: Floats32, column: int) -> int:
    """Slots that the request takes, as a share of the most that any takes; 0 out of reach."""
    for rank in range(routes_of(world, request.pair)):
        _, width = on_route(world, lane, request, rank)
        row[column + rank] = width / np.float32(world.max_width)
    return column + world.max_paths


@kernel
def put_lengths(world: World, request: Request, row: Floats32, column: int) -> int:
    """Lengths as shares of the longest candidate path's."""
    for rank in range(routes_of(world, request.pair)):
        path = world.path_first[request.pair] + rank * world.formats
        row[column + rank] = world.path_length_km[path] / world.max_length_km
    return column + world.max_paths


@kernel
def put_congestion(world: World, lane: Lane, request: Request, row: Floats32, column: int) -> int:
    """Mean over a path's links of the share of slots in use."""
    for rank in range(routes_of(world, request.pair)):
        path = world.path_first[request.pair] + rank * world.formats
        used = 0
        for hop in range(world.link_first[path], world.link_first[path + 1]):
            used += link_slots(world, lane, world.path_links[hop])
        row[column + rank] = used / np.float32(world.path_hops[path] * world.slots)
    return column + world.max_paths


@kernel
def put_available(world: World, lane: Lane, request: Request, row: Floats32, column: int) -> int:
    """Share of slots that are free on all links of a path."""
    for rank in range(routes_of(world, request.pair)):
        path = world.path_first[request.pair] + rank * world.formats
        find_free(world, lane, path)
        row[column + rank] = bitmap.count(lane.free) / np.float32(world.slots)
    return column + world.max_paths


@kernel
def put_feasible(world: World, lane: Lane, request: Request, row: Floats32, column: int) -> int:
    """1 for a path on which the request can be carried."""
    for rank in range(routes_of(world, request.pair)):
        path, width = on_route(world, lane, request, rank)
        if can_serve(world, lane, request, path, width):
            row[column + rank] = 1.0
    return column + world.max_paths


@kernel
def obs_1(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_ends(world, request, row)


@kernel
def obs_2(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_bandwidth(world, request, row, put_ends(world, request, row))


@kernel
def obs_3(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_holding(request, row, put_ends(world, request, row))


@kernel
def obs_4(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_holding(request, row, obs_2(world, lane, request, row))


@kernel
def obs_5(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    column = put_slots_needed(world, lane, request, row, obs_4(world, lane, request, row))
    return put_lengths(world, request, row, column)


@kernel
def obs_6(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_congestion(world, lane, request, row, obs_5(world, lane, request, row))


@kernel
def obs_7(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_available(world, lane, request, row, obs_6(world, lane, request, row))


@kernel
def obs_8(world: World, lane: Lane, request: Request, row: Floats32) -> int:
    """Fill one row."""
    return put_feasible(world, lane, request, row, obs_7(world, lane, request, row))


WRITE = dict(zip(PARTS, (obs_1, obs_2, obs_3, obs_4, obs_5, obs_6, obs_7, obs_8), strict=True))
