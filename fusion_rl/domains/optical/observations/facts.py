"""What the parts of an observation tell, so that one observation can be rewritten as another.

Two parts tell the same fact if each can be worked out from the other; parts that are not listed here (those of an
observation registered elsewhere, for instance) tell a fact of their own. FUSION's paths_cong is the mean over a
path's links and path_congestion the busiest link's share, so neither can be had from the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from fusion_rl.arrays import AnyArray
from fusion_rl.domains.optical.observations import legacy
from fusion_rl.domains.optical.world import World

Convert: TypeAlias = Callable[[World, AnyArray], AnyArray]


def _as_it_is(world: World, part: AnyArray) -> AnyArray:
    return part


@dataclass(frozen=True)
class Fact:
    """What one part tells.

    Attributes:
        name: in words; parts of the same name tell the same.
        read: part [..., n] -> the fact, in units that all parts of this name share.
        write: the reverse.
    """

    name: str
    read: Convert = _as_it_is
    write: Convert = _as_it_is


def _scaled(name: str, scale: Callable[[World], float]) -> Fact:
    """A fact that the part gives as a share of a scale."""
    return Fact(name, lambda world, part: part * scale(world), lambda world, fact: fact / scale(world))


def _gbps_of_class(world: World, one_hot: AnyArray) -> AnyArray:
    gbps: AnyArray = world.class_gbps[one_hot.argmax(axis=-1)][..., None]
    return gbps


def _class_of_gbps(world: World, gbps: AnyArray) -> AnyArray:
    one_hot: AnyArray = np.eye(world.class_gbps.size)[np.abs(gbps - world.class_gbps).argmin(axis=-1)]
    return one_hot


def _told_of_time(world: World, time: AnyArray) -> AnyArray:
    logarithm: AnyArray = np.log1p(time)
    return logarithm / (1.0 + logarithm)  # as FUSION's sets have it, `legacy.put_holding`


def _time_of_told(world: World, told: AnyArray) -> AnyArray:
    time: AnyArray = np.expm1(told / (1.0 - told))
    return time


SOURCE, DESTINATION = Fact("source"), Fact("destination")
SLOTS_NEEDED = Fact("slots needed on each path")
LENGTH = Fact("length of each path")
FREE = Fact("free slots on each path")
FEASIBLE = Fact("feasibility of each path")

_LEGACY = {
    "source": SOURCE,
    "destination": DESTINATION,
    "request_bandwidth": Fact("bandwidth", _gbps_of_class, _class_of_gbps),
    "holding_time": Fact("holding time"),
    "slots_needed": SLOTS_NEEDED,
    "path_lengths": LENGTH,
    "paths_cong": Fact("mean link congestion of each path"),
    "available_slots": FREE,
    "is_feasible": FEASIBLE,
}
_UNIFIED = {
    "source": SOURCE,
    "destination": DESTINATION,
    "bandwidth": _scaled("bandwidth", lambda world: world.max_gbps),
    "path_length": LENGTH,
    "path_feasible": FEASIBLE,
    "path_congestion": Fact("congestion of each path's busiest link"),
    "path_hops": Fact("hops of each path"),
    "path_slots_needed": SLOTS_NEEDED,
    "path_available_slots": FREE,
    "network_utilisation": Fact("utilisation of the network"),
    "fragmentation": Fact("fragmentation of the network"),
}
_CANDIDATES = {part: _UNIFIED[part] for part in ("bandwidth", "network_utilisation", "fragmentation")}
_FACTS: dict[str, dict[str, Fact]] = {
    **dict.fromkeys(legacy.PARTS, _LEGACY),
    "unified": _UNIFIED,
    "graph": _UNIFIED,
    "candidates": {"candidates": Fact("candidates of the request"), **_CANDIDATES},
    "candidates-known-holding": {
        "candidates": Fact("candidates of the request"),
        **_CANDIDATES,
        "holding_time": _LEGACY["holding_time"],
    },
    "spectrum": {
        "source": SOURCE,
        "destination": DESTINATION,
        "bandwidth_class": Fact("bandwidth", _gbps_of_class, _class_of_gbps),
        "spectrum": Fact("slots in use on each link"),
    },
    "spectrum-known-holding": {
        "source": SOURCE,
        "destination": DESTINATION,
        "bandwidth_class": Fact("bandwidth", _gbps_of_class, _class_of_gbps),
        "spectrum": Fact("slots in use on each link"),
        "time_left": Fact("time for which each slot will be in use"),
        "holding_time": Fact("holding time", _told_of_time, _time_of_told),
    },
    "deeprmsa": {
        "source": SOURCE,
        "destination": DESTINATION,
        "bandwidth": _scaled("bandwidth", lambda _: 100.0),
        "paths": Fact("first free block and free slots of each path, as DeepRMSA has them"),
    },
}


def fact_of(world: World, observation: str, part: str) -> Fact:
    """What a part of an observation tells in a world."""
    fact = _FACTS.get(observation, {}).get(part, Fact(f"{part} of {observation}"))
    if part in ("request_bandwidth", "bandwidth_class") and np.unique(world.class_gbps).size < world.class_gbps.size:
        return Fact("bandwidth class")  # some classes differ in width alone, which a bit rate does not tell
    return fact
