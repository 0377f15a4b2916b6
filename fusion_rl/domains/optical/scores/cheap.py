"""Scores of the cheap features: a weighted sum of them, and a network with one hidden layer.

They weigh the starts at both edges of each block (`candidates.py`).
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from fusion_rl.arrays import Floats32
from fusion_rl.domains.optical.candidates import (
    CHEAP,
    COUNT,
    FEATURES,
    NETWORK_UTILISATION,
    OF_PATH,
    PATH_FREE,
    Tables,
    describe_path,
    describe_start,
    find_runs,
    look_at_network,
    prepare_tables,
)
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import on_route, routes_of
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_free, keep_usable_starts
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

PATHS = 15  # that are weighed, if any of them has room
HIDDEN = 8
_NAMES = tuple(FEATURES)[:CHEAP]
# Where learning starts: the least spectrum, and the fewest starts lost on the links; among those the lower slot.
_FIRST = {"spectrum_used": 1.0, "link_loss": 1.0, "start": 0.1}


class Weights(NamedTuple):
    """The parameters of a score of cheap features, and room to work in."""

    tables: Tables
    row: Floats32  # [F] the features at hand
    weight: Floats32  # [CHEAP, H] from feature to unit; H = 1 for a weighted sum
    offset: Floats32  # [H]
    out: Floats32  # [H] from unit to score
    of_path: Floats32  # [H] what the features of the path give each unit


def linear_parameters(world: World) -> dict[str, float]:
    """A weight for each feature."""
    return {name: _FIRST.get(name, 0.0) for name in _NAMES}


def prepare_linear(world: World, parameters: Mapping[str, float], mean_holding_time: float) -> Weights:
    """The weights as arrays."""
    given = _given(linear_parameters(world), parameters)
    return _weights(world, given.reshape(CHEAP, 1), np.zeros(1), np.ones(1))


def mlp_parameters(world: World) -> dict[str, float]:
    """The weights of a layer of rectified units and of their sum; the first unit begins as the weighted sum does."""
    into = {f"{name}/{unit}": _FIRST.get(name, 0.0) if unit == 0 else 0.0 for name in _NAMES for unit in range(HIDDEN)}
    offsets = {f"offset/{unit}": 0.0 for unit in range(HIDDEN)}
    return into | offsets | {f"out/{unit}": float(unit == 0) for unit in range(HIDDEN)}


def prepare_mlp(world: World, parameters: Mapping[str, float], mean_holding_time: float) -> Weights:
    """The layers as arrays."""
    given = _given(mlp_parameters(world), parameters)
    into, offset, out = np.split(given, [CHEAP * HIDDEN, CHEAP * HIDDEN + HIDDEN])
    return _weights(world, into.reshape(CHEAP, HIDDEN), offset, out)


def _given(first: dict[str, float], parameters: Mapping[str, float]) -> Any:
    return np.array([parameters.get(name, value) for name, value in first.items()])


def _weights(world: World, weight: Any, offset: Any, out: Any) -> Weights:
    return Weights(
        tables=prepare_tables(world),
        row=np.zeros(COUNT, np.float32),
        weight=np.ascontiguousarray(weight, np.float32),
        offset=offset.astype(np.float32),
        out=out.astype(np.float32),
        of_path=np.zeros(out.size, np.float32),
    )


@kernel
def linear(world: World, lane: Lane, request: Request, options: Weights) -> tuple[int, int]:
    """Take the candidate with the smallest weighted sum."""
    return smallest(world, lane, request, options, linear_score)


@kernel
def mlp(world: World, lane: Lane, request: Request, options: Weights) -> tuple[int, int]:
    """Take the candidate to which the network gives the smallest score."""
    return smallest(world, lane, request, options, mlp_score)


@kernel
def linear_score(options: Weights) -> np.float32:
    """The weighted sum of the features at hand; two sums side by side, since each waits for its last addition."""
    row, weight = options.row, options.weight
    one, other = options.of_path[0], np.float32(0.0)
    for i in range(OF_PATH, CHEAP - 1, 2):
        one += weight[i, 0] * row[i]
        other += weight[i + 1, 0] * row[i + 1]
    if (CHEAP - OF_PATH) % 2:
        one += weight[CHEAP - 1, 0] * row[CHEAP - 1]
    return one + other  # type: ignore[no-any-return]


@kernel
def mlp_score(options: Weights) -> np.float32:
    """The sum of the rectified units for the features at hand."""
    row, weight = options.row, options.weight
    total = np.float32(0.0)
    for unit in range(options.out.size):
        value = options.of_path[unit]
        for i in range(OF_PATH, CHEAP):
            value += weight[i, unit] * row[i]
        total += options.out[unit] * max(value, np.float32(0.0))
    return total


@kernel
def begin_path(options: Weights) -> None:
    """Work out once what the features of a path give each unit."""
    row, weight, of_path = options.row, options.weight, options.of_path
    for unit in range(of_path.size):
        of_path[unit] = options.offset[unit]
    for i in range(OF_PATH):
        for unit in range(of_path.size):
            of_path[unit] += weight[i, unit] * row[i]


@kernel
def smallest(
    world: World, lane: Lane, request: Request, options: Weights, score: Callable[..., np.float32]
) -> tuple[int, int]:
    """The candidate of the smallest score; the earlier one of two that have the same."""
    row = options.row
    row[NETWORK_UTILISATION] = look_at_network(world, lane, options.tables)
    best_path, best, least = NOWHERE, NOWHERE, np.float32(0.0)
    for rank in range(routes_of(world, request.pair)):
        if rank >= PATHS and best != NOWHERE:
            break
        path, width = on_route(world, lane, request, rank)
        if width == 0:
            continue
        find_free(world, lane, path)
        free = bitmap.count(lane.free)
        keep_usable_starts(world, lane, path, width)
        start = bitmap.next_set(lane.free, 0)
        if start >= world.slots:
            continue
        describe_path(world, options.tables, request, path, rank, width, row)
        row[PATH_FREE] = free / np.float32(world.slots)
        begin_path(options)
        while start < world.slots:
            last = bitmap.next_clear(lane.free, start) - 1
            find_runs(world, lane, options.tables, path, start)
            for edge in range(1 + (last > start)):
                at = last if edge == 1 else start
                describe_start(world, options.tables, path, at, width, row)
                value = score(options)
                if best == NOWHERE or value < least:
                    best_path, best, least = path, at, value
            start = bitmap.next_set(lane.free, last + 1)
    return best_path, best
