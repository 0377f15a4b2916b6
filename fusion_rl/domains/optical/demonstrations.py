"""Demonstrations: lanes that go where a teacher's decisions lead, seen as an agent sees them.

What the teacher decides, a path and a start, is looked for among the actions of the agent's codec. Where none of them
is that decision the lane follows the teacher all the same, and the request has no label.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fusion_rl.arrays import Ints64
from fusion_rl.domains.base import Step
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.orchestrator import after_grooming
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Request, request_at
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World

NO_LABEL = -1
Decision = tuple[int, int]  # path and start, NOWHERE for a refusal


class HeuristicTeacher:
    """Heuristics that are asked about the requests at hand of a simulator.

    Args:
        simulator: the lanes.
        heuristics: one for each of them.
    """

    def __init__(self, simulator: OpticalSimulator, heuristics: Sequence[Heuristic]) -> None:
        world = simulator.setting.world
        self._simulator = simulator
        self._asked = [(heuristic.decide, heuristic.prepare(world)) for heuristic in heuristics]

    def decisions(self) -> list[Decision]:
        """What each decides for the request at hand of its lane."""
        decided = []
        for b, (decide, options) in enumerate(self._asked):
            lane, request = _at_hand(self._simulator, b)
            path, start = decide(self._simulator.setting.world, lane, request, options)
            decided.append((int(path), int(start)))
        return decided


class Demonstrations:
    """Lanes that are decided by (path, start), and the actions of the agent's codec which these decisions are.

    Args:
        simulator: the agent's, made with `by_decision`.
    """

    def __init__(self, simulator: OpticalSimulator) -> None:
        self.simulator = simulator

    def labels(self, decisions: Sequence[Decision]) -> Ints64:
        """The action that is each lane's decision; NO_LABEL where none is, [B]."""
        world, codec = self.simulator.setting.world, self.simulator.codec
        actions, found = codec.count(world, codec.parameter), np.full(len(decisions), NO_LABEL, np.int64)
        for b, (path, start) in enumerate(decisions):
            if start != NOWHERE:
                lane, request = _at_hand(self.simulator, b)
                found[b] = number_of(world, lane, request, codec.decode, codec.parameter, actions, path, start)
        return found

    def follow(self, decisions: Sequence[Decision]) -> Step:
        """Serve the request at hand of every lane as was decided."""
        slots = self.simulator.setting.world.slots
        numbers = [NOWHERE if start == NOWHERE else path * slots + start for path, start in decisions]
        return self.simulator.step(np.array(numbers, np.int64))


def _at_hand(simulator: OpticalSimulator, b: int) -> tuple[Lane, Request]:
    """A lane, and its request as policies are to see it."""
    lane = lane_state.view(simulator.state, b)
    return lane, after_grooming(simulator.setting.world, lane, request_at(simulator.request(b), 0))


@kernel
def number_of(
    world: World, lane: Lane, request: Request, decode: Any, parameter: int, actions: int, path: int, start: int
) -> int:
    """The lowest action that a codec reads as a decision; NO_LABEL if none is."""
    for action in range(actions):
        there, at = decode(world, lane, request, action, parameter)
        if there == path and at == start:
            return action
    return NO_LABEL
