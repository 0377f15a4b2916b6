"""Rollouts: a heuristic serves whole lanes of traffic, without an agent."""

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_rl.arrays import Ints
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.jit import handing, kernel
from fusion_rl.domains.optical.metrics import Gauge, Tally
from fusion_rl.domains.optical.pipelines import orchestrator
from fusion_rl.domains.optical.pipelines.orchestrator import Decisions, room_for
from fusion_rl.domains.optical.pipelines.spectrum import link_fragmentation, link_slots
from fusion_rl.domains.optical.requests import Request, Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import Lane, State
from fusion_rl.domains.optical.world import World

LOOKED_AT = 16  # times a lane's utilisation is sampled, at least, where it serves enough requests
CHUNK = 4096  # requests drawn at a time: the arrays stay in the cache of one core


@dataclass(frozen=True)
class Rollout:
    """What a policy did with the traffic of one scenario.

    Attributes:
        tally: counts by lane, warm-up left out.
        gauge: utilisation and fragmentation after the warm-up.
        seconds: wall-clock time, without compilation.
        served: requests served, warm-up included.
        threads: lanes that ran side by side.
        refused: requests that were blocked though there was room; None: nobody counted.
    """

    tally: Tally
    gauge: Gauge
    seconds: float
    served: int
    threads: int
    refused: int | None = None

    @property
    def utilisation(self) -> float:
        """Mean share of slots in use, over links and time."""
        return self.gauge.utilisation

    @property
    def requests_per_second(self) -> float:
        """Requests served in a second of wall-clock time by all threads, traffic and statistics included."""
        return self.served / self.seconds


def run(
    setting: Setting,
    policy: Heuristic | Callable[..., Any],
    *,
    requests: int,
    lanes: int = 8,
    seed: int = 1,
    scenario: int = 0,
    warmup_requests: int | None = None,
    threads: int | None = None,
    on_chunk: Callable[[int], None] | None = None,
    on_served: Callable[[int, Requests, Decisions], None] | None = None,
) -> Rollout:
    """Serve a scenario's traffic with a policy that is a function of the network and the request.

    Args:
        setting: network and scenarios.
        policy: a heuristic, or just its function (world, lane, request, options) -> (path, start).
        requests: requests that count, over all lanes; each lane serves ceil(requests / lanes).
        lanes: independent networks. Lane i meets the same traffic however many lanes there are.
        seed: of the traffic, with the scenario's own.
        scenario: its position in the setting.
        warmup_requests: requests of each lane that do not count; None: as the scenario says.
        threads: lanes that run side by side; None: one for each core.
        on_chunk: told the number of requests served since it was last called.
        on_served: told a lane, consecutive requests of it, and what was done with them, by the lane's thread.

    Raises:
        SimulationError: the policy decided for spectrum that was not free.
        TrafficError: a trace has fewer requests.
    """
    heuristic = policy if isinstance(policy, Heuristic) else Heuristic(policy)
    model = setting.models[scenario]
    warmup = model.scenario.warmup_requests if warmup_requests is None else warmup_requests
    lane_requests = -(-requests // lanes)
    model.require(range(lanes), warmup + lane_requests)
    threads = min(threads or os.cpu_count() or 1, lanes)
    tally = Tally(lanes, lane_requests, warmup)
    _compile(setting, heuristic)

    def run_lane(lane: int) -> Gauge:
        gauge = Gauge(setting.world.link_length_km.size)
        server = LaneServer(setting.world, heuristic, setting.typical_erlang)
        stream = model.stream(seed, lane, 0)  # an environment's first episode has the same
        for count in _chunks(warmup, lane_requests):
            asked = stream.take(count)
            gbps = setting.world.class_gbps[asked.bandwidth_class]
            if asked.number >= max(warmup, 1):
                server.look(asked, gauge)
            decided = server.serve(asked)
            tally.add(lane, asked.number, decided.verdict, gbps)
            if on_served is not None:
                on_served(lane, asked, decided)
            if on_chunk is not None:
                on_chunk(count)
        if setting.world.rules is not None:
            server.look(asked, gauge, -1)  # what is counted reaches to the end
        return gauge

    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        gauges = list(pool.map(run_lane, range(lanes)))
    seconds = time.perf_counter() - started
    gauge = gauges[0]
    for other in gauges[1:]:
        gauge = gauge.merged(other)
    return Rollout(tally, gauge, seconds, lanes * (warmup + lane_requests), threads)


class LaneServer:
    """One network of its own that serves requests in order.

    Args:
        world: the network.
        heuristic: who decides.
        typical_erlang: services that run at a time, on average: where the room for them starts.
    """

    def __init__(self, world: World, heuristic: Heuristic, typical_erlang: float) -> None:
        self.world = world
        self.state = lane_state.empty(world, 1, lane_state.capacity_for(typical_erlang))
        self._decide = heuristic.decide
        self._options = heuristic.prepare(world)
        self._out = room_for(CHUNK)
        self._used_slots = np.zeros(world.link_length_km.size, np.int32)
        self._expected = 0  # requests up to which failures are known

    def serve(self, requests: Requests) -> Decisions:
        """Serve requests and say what was done; the arrays are overwritten by the next call."""
        count = requests.arrival.size
        if self._out.verdict.size < count:
            self._out = room_for(count)
        self._expect(requests)
        self.state = serve(self.world, self.state, 0, requests, self._decide, self._options, self._out)
        return Decisions(self._out.verdict[:count], self._out.path[:count], self._out.start[:count])

    def look(self, requests: Requests, gauge: Gauge, which: int = 0) -> None:
        """Add a sample of the network as one of the requests finds it; those before it have been served."""
        self._expect(requests)
        lane = lane_state.view(self.state, 0)
        fragmentation = look_at_links(self.world, lane, requests.arrival[which], self._used_slots)
        gauge.add(self._used_slots / self.world.slots, fragmentation)
        if lane.lightpaths is not None:
            gauge.add_lightpaths(0, *lane_state.lightpaths_in_use(lane.lightpaths))

    def _expect(self, requests: Requests) -> None:
        """Let the lane know of the failures up to the last of the requests, once."""
        end = requests.number + requests.arrival.size
        if end > self._expected:
            self.state = lane_state.put_events(self.state, 0, requests.events)
            self._expected = end


def serve(
    world: World,
    state: State,
    b: int,
    requests: Requests,
    policy: Callable[..., Any],
    options: Any,
    out: Decisions,
) -> State:
    """Serve requests on lane b as a policy decides; returns the state, larger where it had to grow.

    The lane must have been given the failures up to the last of them (`state.put_events`).
    """
    # A plain Python policy cannot be called from machine code, so the loop around it is run as Python too.
    rollout = handing(orchestrator.rollout, policy) if hasattr(policy, "py_func") else _python(orchestrator.rollout)
    done = 0
    requests = requests._replace(events=None)  # kernels read them in the lane
    while True:
        lane = lane_state.view(state, b)
        done = rollout(world, lane, requests, policy, options, done, requests.arrival.size, out)
        if done == requests.arrival.size:
            return state
        state = lane_state.grown(state, 2 * state.unused.shape[1])


@kernel
def recorded(world: World, lane: Lane, request: Request, options: Decisions) -> tuple[int, int]:
    """Repeat a decision made before: `options` has one for each request since the lane's start."""
    return options.path[request.number], options.start[request.number]


@kernel
def look_at_links(world: World, lane: Lane, now: float, used_slots: Ints) -> float:
    """Fill in the slots in use on each link, [L], as an arrival finds them; returns the mean fragmentation."""
    orchestrator.handle_release(world, lane, now)
    for link in range(used_slots.size):
        used_slots[link] = link_slots(world, lane, link)
    return mean_fragmentation(world, lane)


@kernel
def mean_fragmentation(world: World, lane: Lane) -> float:
    """Mean over links of 1 - longest free block / free slots."""
    total = 0.0
    for link in range(world.link_length_km.size):
        total += link_fragmentation(world, lane, link)
    return total / world.link_length_km.size


def _python(function: Any) -> Any:
    return getattr(function, "py_func", function)


def _chunks(warmup: int, requests: int) -> Iterator[int]:
    """Sizes of the parts in which a lane's requests are drawn; the warm-up ends with one.

    The network is looked at between parts, so even few requests are counted in several.
    """
    for left, size in ((warmup, CHUNK), (requests, min(CHUNK, max(LOOKED_AT // 4, requests // LOOKED_AT)))):
        while left > 0:
            yield min(left, size)
            left -= size


def _compile(setting: Setting, heuristic: Heuristic) -> None:
    """Have everything compiled, or loaded from the cache, before the clock starts."""
    server = LaneServer(setting.world, heuristic, setting.typical_erlang)
    asked = setting.models[0].stream(0).take(1)
    server.look(asked, Gauge(setting.world.link_length_km.size))
    Tally(1, 1, 0).add(0, 0, server.serve(asked).verdict, setting.world.class_gbps[asked.bandwidth_class])
