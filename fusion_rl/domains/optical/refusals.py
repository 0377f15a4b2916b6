"""Refusals: requests that a policy left blocked although a candidate path had room for them.

A second network repeats what a rollout decided and, wherever that was to refuse, looks at every candidate path. So
the policy itself runs as it always does, and only as much is added as a first fit costs.
"""

import time
from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bools, Ints, Ints64
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.demand import can_serve, on_route
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, Decisions
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Request, Requests
from fusion_rl.domains.optical.rollout import CHUNK, LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


class Watched(NamedTuple):
    """Decisions to repeat, and what was seen; request n is at n modulo their number."""

    path: Ints
    start: Ints
    had_room: Bools


class Refusals:
    """Counts the refusals of a rollout; `rollout.run` takes it as `on_served`.

    Args:
        setting: network and scenarios of the rollout.
        lanes: its lanes.
        warmup_requests: requests of each lane that do not count.

    Attributes:
        by_lane: refusals, [B].
        seconds_by_lane: what counting took, [B]; it is no part of the policy's speed.
    """

    def __init__(self, setting: Setting, lanes: int, warmup_requests: int) -> None:
        self._setting = setting
        self._warmup = warmup_requests
        self._lanes = [self._server() for _ in range(lanes)]
        self._server()[0].serve(setting.models[0].stream(0).take(1))  # compiled, or loaded, before the clock starts
        self.by_lane: Ints64 = np.zeros(lanes, np.int64)
        self.seconds_by_lane = np.zeros(lanes)

    def __call__(self, lane: int, asked: Requests, decided: Decisions) -> None:
        """Count those among consecutive requests of a lane, CHUNK at most; called by the lane's own thread."""
        started = time.perf_counter()
        server, watched = self._lanes[lane]
        numbers = asked.number + np.arange(asked.arrival.size)
        at = numbers % CHUNK
        watched.path[at], watched.start[at] = decided.path, decided.start
        watched.had_room[:] = False
        server.serve(asked)
        counted = (decided.verdict != ACCEPTED) & watched.had_room[at] & (numbers >= self._warmup)
        self.by_lane[lane] += int(counted.sum())
        self.seconds_by_lane[lane] += time.perf_counter() - started

    def _server(self) -> tuple[LaneServer, Watched]:
        watched = Watched(np.zeros(CHUNK, np.int32), np.zeros(CHUNK, np.int32), np.zeros(CHUNK, np.bool_))
        repeating = Heuristic(repeat_and_look, lambda _: watched)
        return LaneServer(self._setting.world, repeating, self._setting.typical_erlang), watched


@kernel
def repeat_and_look(world: World, lane: Lane, request: Request, options: Watched) -> tuple[int, int]:
    """Repeat a decision made before; where it was to refuse, note whether some candidate path had room."""
    at = request.number % options.path.size
    path, start = options.path[at], options.start[at]
    if start == NOWHERE:
        options.had_room[at] = has_room_somewhere(world, lane, request)
    return path, start


@kernel
def has_room_somewhere(world: World, lane: Lane, request: Request) -> bool:
    """Whether some candidate path can serve the request."""
    for rank in range(world.max_paths):
        path, width = on_route(world, lane, request, rank)
        if can_serve(world, lane, request, path, width):
            return True
    return False
