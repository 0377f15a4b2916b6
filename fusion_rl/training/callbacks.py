"""What happens beside learning: metrics to the run log, a progress bar, evaluation in between."""

from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from fusion_rl.tracking.base import RunLog
from fusion_rl.training.evaluate import Evaluation


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
    """Logs the share of requests blocked in the episodes that ended, exploration included."""

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            for info in self.locals["infos"]:
                if "service_blocking" in info:
                    self.logger.record_mean("rollout/service_blocking", info["service_blocking"])
        return True


class Every(BaseCallback):
    """Does something every so many training steps, as evaluating the agent or saving it.

    Args:
        steps: training steps between two times.
        act: told the training step.
    """

    def __init__(self, steps: int, act: Callable[[int], None]) -> None:
        super().__init__()
        self._steps = steps
        self._act = act
        self._next = steps

    def _on_step(self) -> bool:
        # Between updates the weights do not change, so the exact step within a rollout does not matter.
        if self.num_timesteps >= self._next:
            self._next += self._steps * (1 + (self.num_timesteps - self._next) // self._steps)
            self._act(self.num_timesteps)
        return True


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
            **{f"{prefix}/{name}": value for name, value in part.usage.items()},
        }
    return metrics


class ProgressBar(BaseCallback):
    """Steps done, steps a second and time left, on the console.

    Args:
        total: training steps.
        console: where to draw.
    """

    def __init__(self, total: int, console: Console) -> None:
        super().__init__()
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=False,
        )
        self._task = self._bar.add_task("", total=total, note="")

    def note(self, text: str) -> None:
        """Show a text beside the bar."""
        self._bar.update(self._task, note=text)

    def _on_training_start(self) -> None:
        self._bar.start()

    def _on_step(self) -> bool:
        self._bar.update(self._task, completed=self.num_timesteps)
        return True

    def _on_training_end(self) -> None:
        self.stop()

    def stop(self) -> None:
        """Leave the console; also after a failure."""
        self._bar.stop()
