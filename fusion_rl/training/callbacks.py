"""What happens beside learning: metrics to the run log, evaluation and checkpoints in between."""

from collections.abc import Callable
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from fusion_rl.tracking.base import RunLog
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.interrupts import Interrupted, Interrupts


class RunLogWriter(KVWriter):
    """Passes what an algorithm logs about itself on to the run log."""

    def __init__(self, run: RunLog) -> None:
        self._run = run

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Record the numbers among the values."""
        numbers = {key: float(value) for key, value in key_values.items() if isinstance(value, int | float)}
        self._run.log_metrics(numbers, step)

    def close(self) -> None:
        """The run log is closed by whoever opened it."""


class EpisodeBlocking(BaseCallback):
    """Logs the share of requests blocked, and the reward, of the episodes that ended, exploration included."""

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            for info in self.locals["infos"]:
                if "service_blocking" in info:
                    self.logger.record_mean("rollout/service_blocking", info["service_blocking"])
                    self.logger.record_mean("rollout/episode_reward", info["episode"]["r"])
        return True


class Every(BaseCallback):
    """Does something every so many training steps, between updates: only there are agent and lanes whole.

    It needs no memory: the next time is the next multiple of `steps` behind the step where training stands.

    Args:
        steps: training steps between two times.
        act: told the training step.
    """

    def __init__(self, steps: int, act: Callable[[int], None]) -> None:
        super().__init__()
        self._steps = steps
        self._act = act
        self._next = steps

    def _on_training_start(self) -> None:
        self._next = self._after(self.num_timesteps)

    def _on_rollout_start(self) -> None:
        self._look()

    def _on_training_end(self) -> None:
        self._look()

    def _on_step(self) -> bool:
        return True

    def _look(self) -> None:
        step = self.model.num_timesteps
        if step >= self._next:
            self._next = self._after(step)
            self._act(step)

    def _after(self, step: int) -> int:
        return self._steps * (1 + step // self._steps)


class Clock(BaseCallback):
    """Lets the times that an agent logs about itself count from the first step, whatever process made it.

    Args:
        learned_s: seconds of learning before this process.
    """

    def __init__(self, learned_s: Callable[[], float]) -> None:
        super().__init__()
        self._learned_s = learned_s

    def _on_training_start(self) -> None:
        self.model.start_time -= int(self._learned_s() * 1e9)
        self.model._num_timesteps_at_start = 0

    def _on_step(self) -> bool:
        return True


class Checkpointing(BaseCallback):
    """Writes checkpoints between updates, and ends a training there that a signal has asked to end.

    The last of a training's callbacks: what it keeps is then what all others have come to.

    Args:
        save: writes a checkpoint: (kind, whether a training can go on from it exactly).
        latest_every, regular_every: training steps between checkpoints of these kinds; 0: none.
        points: (training step, blocking, half-width) of the evaluations so far; the best is kept.
        interrupts: the signals.
    """

    def __init__(
        self,
        save: Callable[[Kind, bool], object],
        latest_every: int,
        regular_every: int,
        points: list[tuple[int, float, float]],
        interrupts: Interrupts,
    ) -> None:
        super().__init__()
        self._save = save
        self._every = {Kind.LATEST: latest_every, Kind.REGULAR: regular_every}
        self._points = points
        self._interrupts = interrupts
        self._step = 0
        self._judged = 0

    def _on_training_start(self) -> None:
        self._step, self._judged = self.model.num_timesteps, len(self._points)

    def _on_rollout_start(self) -> None:
        step = self.model.num_timesteps
        for kind, steps in self._every.items():
            if steps and step // steps > self._step // steps:
                self._save(kind, True)
        self._step = step
        self._keep_best(is_exact=True)
        if self._interrupts.received is not None:
            self._save(Kind.EMERGENCY, True)
            raise Interrupted(f"ended by {self._interrupts.received} after {step} steps")

    def _on_step(self) -> bool:
        return True

    def _on_training_end(self) -> None:
        # A callback may have ended it within a rollout, which nothing could go on from.
        self._keep_best(is_exact=False)

    def _keep_best(self, is_exact: bool) -> None:
        if len(self._points) > self._judged:
            self._judged = len(self._points)
            *before, last = (blocking for _, blocking, _ in self._points)
            if all(last < blocking for blocking in before):
                self._save(Kind.BEST, is_exact)


def evaluation_metrics(evaluation: Evaluation) -> dict[str, float]:
    """An evaluation as metrics, named alike everywhere: of all scenarios together, and of each by its name."""
    found = {"evaluation": evaluation}
    found |= {f"evaluation/{scenario}": part for scenario, part in evaluation.by_scenario.items()}
    metrics: dict[str, float] = {}
    for prefix, part in found.items():
        service, bit_rate = part.tally.service_blocking, part.tally.bit_rate_blocking
        metrics |= {
            f"{prefix}/service_blocking": service.mean,
            f"{prefix}/service_blocking_ci95": service.ci95,
            f"{prefix}/bit_rate_blocking": bit_rate.mean,
            **{f"{prefix}/service_blocking_{name}": value for name, value in part.spread.items()},
            **{f"{prefix}/{name}": value for name, value in part.usage.items()},
        }
    return metrics
