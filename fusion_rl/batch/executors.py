"""Where jobs run: processes of this machine, or jobs of a SLURM cluster. Both start the very same worker."""

import getpass
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fusion_rl.batch.state import Batch, write_json
from fusion_rl.catalog import Catalog
from fusion_rl.errors import BatchError

_SAVING_LIMIT_S = 120.0  # how long a job that is told to stop may take to save
_QUEUE_EVERY_S = 3.0  # the cluster's queue is asked no more often
_PATIENCE_S = 600.0  # how long it may not answer


class Runner(ABC):
    """Starts jobs of a batch and knows which of them have not ended.

    Args:
        batch: whose jobs they are.
        processes: jobs at a time; None: as is usual there.
    """

    def __init__(self, batch: Batch, processes: int | None) -> None:
        self._batch = batch
        self._processes = processes

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise BatchError where it cannot be used."""

    @abstractmethod
    def room(self, busy: int) -> int:
        """How many more it takes while so many are at work."""

    @abstractmethod
    def start(self, jobs: Sequence[str]) -> None:
        """Start jobs, at most as many as there is room for.

        Raises:
            BatchError: they cannot be started.
        """

    @abstractmethod
    def active(self) -> set[str]:
        """Jobs that run or wait in a queue, those among them that an earlier process of the batch has put there."""

    @abstractmethod
    def stop(self) -> str:
        """Ctrl-C: let jobs save and end where they are ours to end; says what goes on."""


def worker_command(folder: Path, job: str) -> list[str]:
    """The process that carries out a job."""
    return [sys.executable, "-m", "fusion_rl.batch.worker", str(folder), job]


def start_worker(folder: Path, job: str, log_file: Path) -> "subprocess.Popen[bytes]":
    """Start it apart from this process: it is not reached by Ctrl-C, and outlives whoever started it."""
    with log_file.open("ab") as log:
        return subprocess.Popen(
            worker_command(folder, job),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            # a cluster warns every process of a job; what to do about it is for the one that started this
            preexec_fn=lambda: signal.signal(signal.SIGUSR2, signal.SIG_IGN),
        )


class LocalRunner(Runner):
    """Processes of this machine."""

    def __init__(self, batch: Batch, processes: int | None) -> None:
        super().__init__(batch, processes)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @classmethod
    def check(cls) -> None:
        """Here it always can be."""

    def room(self, busy: int) -> int:
        return max(0, (self._processes or 1) - busy)

    def start(self, jobs: Sequence[str]) -> None:
        for job in jobs:
            self._running[job] = start_worker(self._batch.folder, job, self._batch.log_file(job))

    def active(self) -> set[str]:
        self._running = {job: process for job, process in self._running.items() if process.poll() is None}
        return set(self._running)

    def stop(self) -> str:
        for process in self._running.values():
            process.terminate()
        end = time.monotonic() + _SAVING_LIMIT_S
        for process in self._running.values():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
        return ""


class SlurmRunner(Runner):
    """Jobs of a SLURM cluster, those that can start together as one array.

    Args:
        batch: whose jobs they are.
        processes: jobs at a time; None: as many as the cluster lets run.
        cluster: submitit's name of where they run; "local" does the same with processes of this machine.
    """

    def __init__(self, batch: Batch, processes: int | None, cluster: str = "slurm") -> None:
        super().__init__(batch, processes)
        self._cluster = cluster
        self._jobs: dict[str, Any] = {}  # submitit's
        self._numbers: dict[str, str] = self._kept()
        self._queue: set[str] = set()
        self._asked = -_QUEUE_EVERY_S
        self._answered = float("-inf")
        self._executor = self._make()

    @classmethod
    def check(cls) -> None:
        if find_spec("submitit") is None:
            raise BatchError("executor slurm needs submitit: pip install 'fusion_rl[slurm]'")
        missing = [program for program in ("sbatch", "srun", "squeue") if shutil.which(program) is None]
        if missing:
            raise BatchError(f"executor slurm: there is no {missing[0]} here: submit from a cluster, or use local")

    def room(self, busy: int) -> int:
        return len(self._batch.jobs)  # the cluster's queue is where they wait

    def start(self, jobs: Sequence[str]) -> None:
        if not jobs:
            return
        folder = self._batch.folder
        submitted = self._executor.map_array(OneJob(), [str(folder)] * len(jobs), list(jobs))
        for job, one in zip(jobs, submitted, strict=True):
            self._jobs[job], self._numbers[job] = one, str(one.job_id)
        write_json(folder / "slurm" / "numbers.json", self._numbers)
        self._queue |= {self._numbers[job] for job in jobs}
        self._asked = time.monotonic()

    def active(self) -> set[str]:
        if self._cluster != "slurm":
            return {job for job, one in self._jobs.items() if not one.done()}
        if self._numbers and time.monotonic() - self._asked >= _QUEUE_EVERY_S:
            self._asked = time.monotonic()
            try:
                self._answered, self._queue = self._asked, _queue()
            except BatchError:  # a busy controller may not answer for a while; until then all is as it was
                if self._asked - self._answered > _PATIENCE_S:
                    raise
        return {job for job, number in self._numbers.items() if number in self._queue}

    def stop(self) -> str:
        numbers = sorted({self._numbers[job].partition("_")[0] for job in self.active()}, key=int)
        said = " ".join(numbers)
        return f"jobs {said} go on in the cluster; to end them: scancel {said}" if numbers else ""

    def _kept(self) -> dict[str, str]:
        file = self._batch.folder / "slurm" / "numbers.json"
        return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}

    def _make(self) -> Any:
        import submitit

        asked = self._batch.plan.slurm
        # a job may be put back as often as it needs
        counted = {f"{self._cluster}_max_num_timeout": 10_000}
        made = submitit.AutoExecutor(self._batch.folder / "slurm", cluster=self._cluster, **counted)
        wanted: dict[str, Any] = {"timeout_min": asked.minutes, "cpus_per_task": asked.cpus, "mem_gb": asked.memory_gb}
        wanted |= {"slurm_partition": asked.partition, "slurm_account": asked.account, "name": self._batch.name}
        wanted |= {"gpus_per_node": asked.gpus or None, "slurm_signal_delay_s": asked.warning_s}
        wanted |= {"slurm_array_parallelism": self._processes, "slurm_additional_parameters": {"requeue": True}}
        made.update_parameters(**{key: value for key, value in wanted.items() if value is not None})
        return made


class OneJob:
    """What submitit carries to a node: the worker, told to save when the job's time is up."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, folder: str, job: str) -> int:
        """Carry out a job; its record says how it ended."""
        from fusion_rl.batch.state import find

        self._process = start_worker(Path(folder), job, find(folder).log_file(job))
        return self._process.wait()

    def checkpoint(self, folder: str, job: str) -> Any:
        """Let the job save, and say what goes back into the queue."""
        from submitit.helpers import DelayedSubmission

        if self._process is not None and self._process.returncode is None:
            # called by a signal handler that has interrupted `wait`, for whose lock the methods of Popen would wait
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._process.pid, signal.SIGTERM)
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return DelayedSubmission(OneJob(), folder, job)


def _queue() -> set[str]:
    """The numbers of this user's jobs that run or wait."""
    words = ["squeue", "--noheader", "--array", "--format=%i", f"--user={getpass.getuser()}"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise BatchError(f"the cluster's queue cannot be read: {error}") from error
    return set(done.stdout.split())


EXECUTORS: Catalog[type[Runner]] = Catalog("executor")
EXECUTORS.register("local", LocalRunner)
EXECUTORS.register("slurm", SlurmRunner)
