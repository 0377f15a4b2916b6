"""Ends a training whose evaluations do not get better any more."""

from collections.abc import Mapping
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.config.execution import EarlyStopping as Settings


class EarlyStopping(BaseCallback):
    """Told of every evaluation, it ends the training after so many that are no improvement.

    Checkpoints keep what it remembers: see `fusion_rl.training.resume.Stateful`.

    Args:
        settings: patience, least improvement, and the steps before which nothing ends.

    Attributes:
        best: least share of requests blocked so far, and the step of it; None before the first evaluation.
        waited: evaluations since then.
        reason: why training ends, in words; None: it goes on.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._settings = settings
        self.best: tuple[float, int] | None = None
        self.waited = 0
        self.reason: str | None = None

    def judge(self, step: int, blocking: float) -> None:
        """Take an evaluation into account.

        Args:
            step: training step.
            blocking: share of requests blocked.
        """
        settings = self._settings
        if self.best is None or blocking < self.best[0] - settings.min_improvement:
            self.best, self.waited = (blocking, step), 0
            return
        self.waited += 1
        if self.waited >= settings.patience and step >= settings.min_steps:
            least = f" by more than {settings.min_improvement:g}" if settings.min_improvement else ""
            self.reason = (
                f"stopped at step {step:,}: {self.waited} evaluations in a row were no better{least} than "
                f"{self.best[0]:.5f} at step {self.best[1]:,}"
            )

    def _on_step(self) -> bool:
        # evaluations lie between updates, and a training can only be ended at a step: at the first that follows
        return self.reason is None

    def state_dict(self) -> dict[str, Any]:
        """What it remembers."""
        return {"best": None if self.best is None else list(self.best), "waited": self.waited, "reason": self.reason}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Remember this instead."""
        best = state["best"]
        self.best = None if best is None else (float(best[0]), int(best[1]))
        self.waited, self.reason = int(state["waited"]), state["reason"]
