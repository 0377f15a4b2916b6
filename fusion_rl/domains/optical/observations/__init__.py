"""Observations by name: what an agent is shown of a request and of the network it arrives at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.observations import deeprmsa, graph, legacy, unified
from fusion_rl.domains.optical.world import World


@dataclass(frozen=True)
class Observation:
    """A row of float32 features for each request.

    Attributes:
        layout: world -> {part: number of features}, in the order of the row.
        write: kernel (world, lane, request, row) that fills the row.
        as_dict: whether agents see a dict of the parts rather than the row.
        limits: world -> (lowest, highest) value of any feature.
    """

    layout: Callable[[World], dict[str, int]]
    write: Callable[..., Any]
    as_dict: bool
    limits: Callable[[World], tuple[float, float]]


OBSERVATIONS: Catalog[Observation] = Catalog("observation")
OBSERVATIONS.register("deeprmsa", Observation(deeprmsa.layout, deeprmsa.write, as_dict=False, limits=deeprmsa.limits))
OBSERVATIONS.register("unified", Observation(unified.layout, unified.write, as_dict=True, limits=unified.limits))
OBSERVATIONS.register("graph", Observation(graph.layout, graph.write, as_dict=True, limits=graph.limits))
for _name, _write in legacy.WRITE.items():
    OBSERVATIONS.register(_name, Observation(legacy.layout_of(_name), _write, as_dict=True, limits=legacy.limits))
