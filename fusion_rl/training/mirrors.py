"""Which other tools a training copies its metrics to, by its execution settings."""

from pathlib import Path

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten
from fusion_rl.tracking.base import RunLog
from fusion_rl.tracking.mirrors import Mirror, TensorBoard, WeightsAndBiases, require_wandb


def require_mirrors(config: ExperimentConfig) -> None:
    """Say before a run begins what would keep the tools from working.

    Raises:
        ConfigError: one is not installed, or not set up.
    """
    if config.execution.wandb is not None:
        require_wandb(config.execution.wandb.mode)


def open_mirrors(config: ExperimentConfig, run: RunLog, from_step: int | None, console: Console) -> None:
    """Let a run's metrics be copied from now on, and say in its tags and on the console where to.

    Args:
        config: the experiment.
        run: whose metrics.
        from_step: the first step that this process logs; None: the run begins.
        console: where progress is shown.

    Raises:
        TrackingError: a tool cannot be used.
    """
    execution, folder = config.execution, Path(config.execution.tracking_dir)
    opened: list[Mirror] = []
    if execution.tensorboard:
        opened.append(TensorBoard(folder / "tensorboard", run.run_id, run.run_name, from_step))
    if execution.wandb is not None:
        wandb = execution.wandb
        opened.append(
            WeightsAndBiases(folder, run.run_id, run.run_name, flatten(config), wandb.project, wandb.entity, wandb.mode)
        )
    for mirror in opened:
        run.mirrors.add(mirror)
        run.set_tags({mirror.tag: mirror.place})
        console.print(f"{mirror.tag}: {mirror.place}", highlight=False, markup=False, soft_wrap=True)
