"""How far a training is: a bar where somebody watches, and else a line now and then, as in a log file."""

import time
from collections.abc import Callable
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from stable_baselines3.common.callbacks import BaseCallback

LINE_EVERY_S = 30.0


def progress(total: int, console: Console) -> "ProgressBar | ProgressLines":
    """What suits the console.

    Args:
        total: training steps.
        console: where to write.
    """
    is_watched = console.is_terminal or console.is_jupyter
    return ProgressBar(total, console) if is_watched else ProgressLines(total, console)


class ProgressBar(BaseCallback):
    """Steps done, what they blocked when last evaluated, and time left, on the console.

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


class ProgressLines(BaseCallback):
    """A line every so often: steps, steps a second, what was blocked since the last line, and time left.

    Steps a second and time left are reckoned over what this process has done, its evaluations included.

    Args:
        total: training steps.
        console: where to write.
        every_s: seconds between two lines, at least.
        clock: seconds, as `time.monotonic`.
    """

    def __init__(
        self,
        total: int,
        console: Console,
        every_s: float = LINE_EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._total = total
        self._console = console
        self._every_s = every_s
        self._clock = clock
        self._blocked: list[float] = []
        self._note = ""

    def note(self, text: str) -> None:
        """Say this at the end of each line that follows."""
        self._note = text

    def _on_training_start(self) -> None:
        self._began = self._said = self._clock()
        self._first_step = self.model.num_timesteps

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            self._blocked += [info["service_blocking"] for info in self.locals["infos"] if "service_blocking" in info]
        now = self._clock()
        if now - self._said >= self._every_s:
            self._said = now
            self._console.print(self._line(now - self._began), highlight=False, markup=False, soft_wrap=True)
            self._blocked.clear()
        return True

    def _line(self, seconds: float) -> str:
        steps, total = self.num_timesteps, self._total
        rate = (steps - self._first_step) / seconds
        left = timedelta(seconds=round(max(0, total - steps) / rate))
        parts = [f"{steps:,} of {total:,} steps ({min(1.0, steps / total):.0%})", f"{rate:,.0f} steps/s"]
        if self._blocked:
            mean = sum(self._blocked) / len(self._blocked)
            parts.append(f"{mean:.5f} blocked while learning")
        if self._note:
            parts.append(f"{self._note} when last evaluated")
        return ", ".join([*parts, f"{left} left"])
