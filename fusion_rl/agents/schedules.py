"""Schedules as the algorithms take them: functions of the share of training that is left, from 1 to 0."""

import math
from dataclasses import dataclass

from stable_baselines3.common.callbacks import BaseCallback

from fusion_rl.config.schedule import ConstantLaw, CosineLaw, ExponentialLaw, Law, LinearLaw


@dataclass(frozen=True)
class Schedule:
    """A law as Stable-Baselines3 calls it.

    Attributes:
        law: see `fusion_rl.config.schedule`.
    """

    law: Law

    def __call__(self, progress_remaining: float) -> float:
        """The value when this share of training is left."""
        return value_at(self.law, min(max(1.0 - progress_remaining, 0.0), 1.0))


def value_at(law: Law, done: float) -> float:
    """The value of a law when a share of training is done, from 0 to 1."""
    match law:
        case ConstantLaw():
            return law.value
        case LinearLaw():
            return law.start + done * (law.end - law.start)
        case ExponentialLaw():
            return max(law.floor, law.start * math.exp(-law.decay_rate * done))
        case CosineLaw():
            return law.end + (law.start - law.end) * (1.0 + math.cos(math.pi * done)) / 2.0


def as_schedule(setting: float | Law) -> Schedule:
    """A setting, number or law, as a schedule."""
    return Schedule(ConstantLaw(value=setting) if isinstance(setting, int | float) else setting)


class EntropyCoefficient(BaseCallback):
    """Sets the weight of the entropy bonus before each update: the algorithms take it as a number alone.

    Args:
        schedule: of the weight.
    """

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        # As the algorithm will reckon its progress a moment later, when it sets the learning rate.
        left = 1.0 - self.model.num_timesteps / self.model._total_timesteps
        weight = self._schedule(left)
        self.model.ent_coef = weight  # type: ignore[attr-defined]
        self.logger.record("train/ent_coef", weight)
