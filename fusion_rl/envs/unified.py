"""One lane as a gymnasium environment."""

from typing import Any

import gymnasium
import numpy as np

from fusion_rl.arrays import AnyArray, Bools
from fusion_rl.domains.base import BatchSimulator
from fusion_rl.errors import SimulationError

Observed = AnyArray | dict[str, AnyArray]


class UnifiedSimEnv(gymnasium.Env[Observed, int]):
    """A simulator of one lane, decided request by request.

    An unseeded reset goes on to traffic that the environment has not shown yet; a seeded one repeats the
    traffic of that seed exactly. Episodes end by truncation, after a number of requests.

    Args:
        simulator: with one lane.
    """

    metadata = {"render_modes": []}  # noqa: RUF012  # gymnasium declares it so

    def __init__(self, simulator: BatchSimulator) -> None:
        if simulator.num_lanes != 1:
            raise SimulationError(f"UnifiedSimEnv has one lane, not {simulator.num_lanes}: use OpticalVecEnv for more")
        self.simulator = simulator
        self.observation_space = simulator.observation_space
        self.action_space = simulator.action_space  # type: ignore[assignment]  # a Discrete is a Space[int64]
        self._actions = int(simulator.action_space.n)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observed, dict[str, Any]]:
        """Begin an episode: an idle network, the scenario's warm-up, then the first request to decide."""
        super().reset(seed=seed)
        self.simulator.reset([0], [seed])
        return self._observation(), {}

    def step(self, action: int) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """Decide the request at hand.

        Returns:
            Observation of the next request, reward, terminated (never), truncated, and in the info dict
            `outcome`: the domain's record of what was done, arrays [1].

        Raises:
            SimulationError: the action is none of the space's, or the episode is over.
        """
        if not 0 <= action < self._actions:
            raise SimulationError(f"action {action} is not in 0..{self._actions - 1}")
        step = self.simulator.step(np.array([action], np.int64))
        return (
            self._observation(),
            float(step.reward[0]),
            False,
            bool(step.ended[0]),
            {"outcome": step.outcome},
        )

    def action_masks(self) -> Bools:
        """Actions that can be served, [A]; one is left where none can."""
        mask: Bools = self.simulator.masks()[0]
        return mask

    def close(self) -> None:
        """Release the simulator."""
        self.simulator.close()

    def _observation(self) -> Observed:
        rows = self.simulator.observations()
        return {name: part[0] for name, part in rows.items()} if isinstance(rows, dict) else rows[0]
