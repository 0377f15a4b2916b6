"""Copies of a run's metrics in other tools, while it is written: TensorBoard's event files, Weights & Biases.

The run store stays the one record. A mirror that breaks costs a warning, never the training.
"""

from __future__ import annotations

import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from fusion_rl.errors import ConfigError, TrackingError
from fusion_rl.tracking.base import RunStatus

_FLUSH_S = 5  # how old values may be that a reader of event files does not see yet


class Mirror(ABC):
    """Receives what a run logs.

    Attributes:
        place: where people find it: a folder or an address.
        tag: the run's tag that says so.
    """

    place: str
    tag: str

    @abstractmethod
    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Take values of one step. A run that is resumed logs again what followed its checkpoint."""

    @abstractmethod
    def close(self, status: RunStatus) -> None:
        """Write what is left and end with the run."""


class TensorBoard(Mirror):
    """Event files in a folder of the run's own.

    Args:
        root: folder of all runs' folders, to point TensorBoard at.
        run_id, run_name: of the run; together the folder's name.
        from_step: first step of this process; what an earlier one wrote from there on is hidden, as it comes again.
    """

    tag = "tensorboard"

    def __init__(self, root: Path, run_id: str, run_name: str, from_step: int | None = None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        name = re.sub(r"[^\w.+-]+", "-", run_name).strip("-")
        self.place = str((root / f"{name}-{run_id[:8]}").absolute())
        self._writer = SummaryWriter(self.place, purge_step=from_step, flush_secs=_FLUSH_S)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def close(self, status: RunStatus) -> None:
        self._writer.close()


class WeightsAndBiases(Mirror):
    """A run in Weights & Biases, of the same id and name. Steps that it has already are passed over there.

    Args:
        folder: where its files lie, in `wandb/`.
        run_id, run_name: of the run.
        settings: the run's, flat.
        project, entity: its own names for where runs belong; entity None: the user's default.
        mode: `offline` writes files alone, for `wandb sync` to send later.

    Raises:
        TrackingError: the service refuses the run or cannot be reached.
    """

    tag = "wandb"

    def __init__(
        self,
        folder: Path,
        run_id: str,
        run_name: str,
        settings: Mapping[str, object],
        project: str,
        entity: str | None = None,
        mode: Literal["online", "offline"] = "online",
    ) -> None:
        import wandb

        online: dict[str, Any] = {"resume": "allow"} if mode == "online" else {}
        try:
            self._run = wandb.init(
                id=run_id, name=run_name, project=project, entity=entity, mode=mode, dir=folder,
                config=dict(settings), settings=wandb.Settings(silent=True, console="off"), **online,
            )  # fmt: skip
        except Exception as error:  # its errors have no common base
            raise TrackingError(
                f"Weights & Biases cannot be used: {error}; execution.wandb.mode=offline can"
            ) from error
        self.place = str(Path(self._run.dir).parent) if mode == "offline" else str(self._run.url)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def close(self, status: RunStatus) -> None:
        self._run.finish(exit_code=0 if status is RunStatus.FINISHED else 1)


def require_wandb(mode: str) -> None:
    """Say before a run begins what would keep Weights & Biases from working.

    Raises:
        ConfigError: it is not installed, or nobody has logged in.
    """
    if find_spec("wandb") is None:
        raise ConfigError("execution.wandb needs the package wandb: pip install 'fusion_rl[wandb]'")
    import wandb

    if mode == "online" and not wandb.login(prompt=False):
        raise ConfigError(
            "execution.wandb.mode is online, but there is no key: run `wandb login`, set WANDB_API_KEY, or use offline"
        )


class Mirrors:
    """All mirrors of one run; one that breaks is left out from there on, with a warning."""

    def __init__(self) -> None:
        self._all: list[Mirror] = []

    def add(self, mirror: Mirror) -> None:
        """Let it receive what is logged from now on."""
        self._all.append(mirror)

    def log_metrics(self, values: Mapping[str, float], step: int) -> None:
        """Pass values of one step on."""
        for mirror in list(self._all):
            try:
                mirror.log_metrics(values, step)
            except Exception as error:
                self._all.remove(mirror)
                warnings.warn(f"{mirror.tag} gets no more values: {error}", stacklevel=2)

    def close(self, status: RunStatus) -> None:
        """End them all."""
        while self._all:
            mirror = self._all.pop()
            try:
                mirror.close(status)
            except Exception as error:
                warnings.warn(f"{mirror.tag} may lack its last values: {error}", stacklevel=2)
