"""The simulator seen by a person or by hand-written control code: objects in place of arrays."""

import numpy as np

from fusion_rl.arrays import AnyArray, Bools
from fusion_rl.domains.base import Step
from fusion_rl.domains.optical import views
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.views import AllocationResult, PathOption, Request
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.errors import SimulationError


class RLSimulationAdapter:
    """The one lane of an environment, request by request, in readable objects.

    Args:
        env: an optical environment; after `reset` it and the adapter are the same network.
    """

    def __init__(self, env: UnifiedSimEnv) -> None:
        if not isinstance(env.simulator, OpticalSimulator):
            raise SimulationError(f"the adapter reads optical networks, not {type(env.simulator).__name__}")
        self._env = env
        self._simulator = env.simulator
        self._last: Step | None = None

    @property
    def request(self) -> Request:
        """The request at hand."""
        return views.request_at_hand(self._simulator)

    def get_path_options(self) -> list[PathOption]:
        """The candidate paths of the request at hand, best-ranked first."""
        return views.path_options(self._simulator)

    def build_observation(self) -> AnyArray | dict[str, AnyArray]:
        """What an agent is shown of the request at hand."""
        rows = self._simulator.observations()
        return {name: part[0] for name, part in rows.items()} if isinstance(rows, dict) else rows[0]

    def get_action_mask(self) -> Bools:
        """Actions that can be served, [A]; one is left where none can."""
        return self._env.action_masks()

    def apply_action(self, action: int) -> AllocationResult:
        """Decide the request at hand and move on to the next.

        Raises:
            SimulationError: the action is none of the space's, or the episode is over.
        """
        count = int(self._simulator.action_space.n)
        if not 0 <= action < count:
            raise SimulationError(f"action {action} is not in 0..{count - 1}")
        self._last = self._simulator.step(np.array([action], np.int64))
        return views.allocation(self._simulator, self._last.outcome)

    def compute_reward(self) -> float:
        """What the last applied action is paid.

        Raises:
            SimulationError: no action has been applied.
        """
        if self._last is None:
            raise SimulationError("no action has been applied yet: call apply_action first")
        return float(self._last.reward[0])
