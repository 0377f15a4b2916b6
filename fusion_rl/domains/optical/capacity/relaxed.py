"""One network under relaxed rules, which serves requests in order: what the estimates have in common.

The rules are a kernel. It keeps the running services in a lane's calendar, as the simulator does, and what it relaxes
in arrays of its own.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fusion_rl.arrays import Bytes
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import calendar
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

NOBODY = -1


class RelaxedNetwork:
    """An idle network, and what becomes of the requests it serves.

    Args:
        world: the network.
        rules: kernel (world, state, room, requests, first, last, verdict) -> the request before which it stopped for
            want of room for another running service, or `last`.
        room: NamedTuple of the arrays that the rules keep. Those named service_* have running services as their
            first axis.
        lanes: rows of the state that the rules work with.
        capacity: running services that there is room for at first.
    """

    def __init__(self, world: World, rules: Callable[..., int], room: Any, lanes: int, capacity: int) -> None:
        self.world = world
        self.state = lane_state.empty(world, lanes, capacity)
        self.room = room
        self._rules = rules

    def serve(self, requests: Requests) -> Bytes:
        """Serve requests in order; the verdict on each, [T]."""
        count = requests.arrival.size
        verdict = np.zeros(count, np.uint8)
        done = self._rules(self.world, self.state, self.room, requests, 0, count, verdict)
        while done < count:
            self._double_room()
            done = self._rules(self.world, self.state, self.room, requests, done, count, verdict)
        return verdict

    def _double_room(self) -> None:
        capacity = self.state.unused.shape[1]
        self.state = lane_state.grown(self.state, 2 * capacity)
        services = {name: rows for name, rows in self.room._asdict().items() if name.startswith("service_")}
        longer = {name: np.concatenate([rows, np.zeros_like(rows)]) for name, rows in services.items()}
        self.room = self.room._replace(**longer)


@kernel
def begin(lane: Lane, departure: float) -> int:
    """Give a new service a number and note when it departs; the lane has room."""
    live = lane.live[0]
    service = lane.unused[lane.unused.size - 1 - live]
    calendar.push(lane, live, departure, service)
    lane.live[0] = live + 1
    return int(service)


@kernel
def end_next(lane: Lane, now: float) -> int:
    """End the service that departs first and return its number; NOBODY if none departs by `now`."""
    live = lane.live[0]
    if live == 0 or lane.departure_time[0] > now:
        return NOBODY
    service = calendar.pop(lane, live)
    lane.unused[lane.unused.size - live] = service
    lane.live[0] = live - 1
    return service
