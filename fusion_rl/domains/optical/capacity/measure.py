"""How much the methods block: by lane, with an interval; and the load at which they block so much.

A method is prepared once for a network and its traffic, and then asked what it blocks at one load or another. Every
method and every load meet the same random numbers, so differences are not due to luck.
"""

import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from fusion_rl.arrays import Ints64
from fusion_rl.domains.optical.metrics import Estimate, none_seen
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.traces import TraceStream
from fusion_rl.domains.optical.traffic import Stream, TrafficModel
from fusion_rl.errors import ConfigError
from fusion_rl.intervals import t_half_width

_LEAST_BLOCKED = 20  # requests that must be blocked for a load to be told apart
_STEP = 1.25  # between loads until they are on both sides of the one looked for
_MOST_STEPS = 24
_NEAR = 1.03  # of the loads on both sides of it that the slope is taken from
_TOLERANCE = 0.001  # of a load, relative


@dataclass(frozen=True)
class Size:
    """How much traffic is served.

    Attributes:
        requests: requests that count, over all lanes.
        lanes: independent networks.
        seed: of the traffic, with the scenario's own.
        threads: lanes that run side by side; None: one for each core.
    """

    requests: int = 200_000
    lanes: int = 16
    seed: int = 1
    threads: int | None = None

    @property
    def lane_requests(self) -> int:
        """Requests of each lane that count."""
        return -(-self.requests // self.lanes)


@dataclass(frozen=True)
class Method:
    """A way to tell how little can be blocked.

    Attributes:
        kind: "proven bound": no sequence of decisions blocks fewer. "estimate": less is asked than the network asks,
            but wiser decisions might block fewer. "policy": what a heuristic really blocks.
        about: what it is, in a sentence.
        prepare: (setting, scenario, size) -> what `blocked` is to be told, which no load changes.
        blocked: (setting, scenario, size, prepared) -> blocked requests of each lane, warm-up left out, [B].
    """

    kind: Literal["proven bound", "estimate", "policy"]
    about: str
    prepare: Callable[[Setting, int, Size], Any]
    blocked: Callable[[Setting, int, Size, Any], Ints64]


def nothing(setting: Setting, scenario: int, size: Size) -> None:
    """For methods that need nothing prepared."""


def over_lanes(setting: Setting, scenario: int, size: Size, blocked: Callable[[Stream | TraceStream], int]) -> Ints64:
    """What `blocked` counts in the traffic of each lane, [B]."""
    model = setting.models[scenario]

    def count(lane: int) -> int:
        return blocked(model.stream(size.seed, lane, 0))

    with ThreadPoolExecutor(min(size.threads or os.cpu_count() or 1, size.lanes)) as pool:
        return np.array(list(pool.map(count, range(size.lanes))), np.int64)


def blocking(blocked: Ints64, size: Size) -> Estimate:
    """Service blocking with an interval over lanes."""
    if not blocked.any():
        return none_seen(size.lane_requests * size.lanes)
    by_lane = blocked / size.lane_requests
    return Estimate(float(by_lane.mean()), t_half_width(by_lane), size.lanes, "independent lanes")


def check(setting: Setting, scenario: int, size: Size) -> None:
    """Make sure before anything is served that the traffic suffices, and that the methods know the network's rules.

    Raises:
        TrafficError: a trace has fewer requests or lanes.
        ConfigError: requests share lightpaths, are split or protected, or links model transmission or fail.
    """
    if setting.world.rules is not None:
        raise ConfigError(
            "capacity is told for networks where every request has one lightpath of its own: set network.grooming, "
            "slicing and transmission to null, protection to none, and the scenarios' failures to null"
        )
    warmup = setting.scenarios[scenario].warmup_requests
    setting.models[scenario].require(range(size.lanes), warmup + size.lane_requests)


def measure(setting: Setting, method: Method, size: Size, scenario: int = 0) -> Ints64:
    """Blocked requests of each lane, [B]."""
    check(setting, scenario, size)
    return method.blocked(setting, scenario, size, method.prepare(setting, scenario, size))


def at_load(setting: Setting, scenario: int, load_erlang: float) -> Setting:
    """The same network with one scenario alone, at another load.

    Raises:
        ConfigError: the scenario replays a trace.
    """
    changed = setting.scenarios[scenario].model_copy(update={"load_erlang": load_erlang})
    if changed.trace is not None:
        raise ConfigError(f"scenario '{changed.name}' replays trace {changed.trace}: its load cannot be changed")
    model = TrafficModel(changed, setting.topology, setting.classes, setting.network.slot_width_ghz)
    return replace(setting, scenarios=(changed,), models=(model,))


@dataclass(frozen=True)
class LoadAt:
    """The load at which a method blocks a given share of the requests.

    Attributes:
        load_erlang: nominal.
        ci95: half-width of its 95 % interval, Erlang: that of the blocking there, by the slope of blocking over load.
        blocking: what it blocks there.
    """

    load_erlang: float
    ci95: float
    blocking: Estimate


def load_at(
    setting: Setting,
    method: Method,
    share: float,
    size: Size,
    scenario: int = 0,
    known: Mapping[float, float] = MappingProxyType({}),
) -> LoadAt:
    """Find the load at which a method blocks a share of the requests.

    Args:
        setting: network and scenarios; the search starts at the scenario's load.
        method: what is asked.
        share: service blocking that is looked for, above 0 and below 1.
        size: traffic that is served at each load.
        scenario: its position in the setting.
        known: load -> what the method blocks of this traffic, as far as it was measured before.

    Raises:
        ConfigError: the traffic is too little for the share, no such load was found, or the scenario is a trace.
    """
    counted = size.lane_requests * size.lanes
    require_enough(share, counted)
    prepared = method.prepare(setting, scenario, size)

    def found(load_erlang: float) -> Estimate:
        return blocking(method.blocked(at_load(setting, scenario, load_erlang), 0, size, prepared), size)

    def above_share(blocked: float) -> float:
        # half a request more, for the logarithm of none
        return math.log((blocked + 0.5 / counted) / share)

    above = {math.log(load_erlang): above_share(blocked) for load_erlang, blocked in known.items()}

    def too_much(log_load: float) -> float:
        if log_load not in above:
            above[log_load] = above_share(found(math.exp(log_load)).mean)
        return above[log_load]

    between = [(low, high) for low, high in pairwise(sorted(above)) if above[low] < 0 <= above[high]]
    low, high = between[0] if between else _around(too_much, math.log(setting.scenarios[scenario].load_erlang), share)
    load = math.exp(brentq(too_much, low, high, xtol=_TOLERANCE))
    slope = (found(load * _NEAR).mean - found(load / _NEAR).mean) / (load * _NEAR - load / _NEAR)
    there = found(load)
    return LoadAt(load, there.ci95 / slope if slope > 0 else math.nan, there)


def require_enough(share: float, requests: int) -> None:
    """Make sure that a load can be found by the share of so many requests.

    Raises:
        ConfigError: it is no share, or there are too few.
    """
    if not 0 < share < 1:
        raise ConfigError(f"a share of blocked requests lies between 0 and 1, not at {share:g}")
    if share * requests < _LEAST_BLOCKED:
        raise ConfigError(
            f"of {requests:,} requests {share * 100:g} % are {share * requests:.3g}: too few to find the load by; ask "
            f"for {math.ceil(_LEAST_BLOCKED / share):,} requests or more"
        )


def _around(too_much: Callable[[float], float], start: float, share: float) -> tuple[float, float]:
    """Two log loads, the first of which blocks too little and the second too much."""
    step = math.log(_STEP) if too_much(start) < 0 else -math.log(_STEP)
    before = start
    for i in range(1, _MOST_STEPS + 1):
        now = start + i * step
        if (too_much(now) < 0) != (step > 0):
            return min(before, now), max(before, now)
        before = now
    raise ConfigError(
        f"no load between {math.exp(start):.4g} and {math.exp(before):.4g} E has {share * 100:g} % of the requests "
        "blocked: give another share, or start from another load"
    )
