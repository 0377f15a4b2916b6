"""`study run`: workers on this machine, looked after until all trials of a study are over."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from pathlib import Path

from rich.console import Console

from fusion_rl.errors import FusionRLError, StudyError, TrackingError
from fusion_rl.tracking.base import BLOCKING as HEADLINE
from fusion_rl.tracking.base import RunLog
from fusion_rl.training.interrupts import Interrupts
from fusion_rl.tuning import results
from fusion_rl.tuning import storage as storages
from fusion_rl.tuning.begin import Opened, open_study
from fusion_rl.tuning.definition import StudyDefinition
from fusion_rl.tuning.trial import BLOCKING, BLOCKING_CI95
from fusion_rl.tuning.worker import Plan, take_up, work

POLL_S = 2.0
_DEATHS = 10  # workers that die in a row while no trial comes to its end: then something is wrong
Show = Callable[[list[results.TrialRow]], None]


def run_study(
    definition: StudyDefinition,
    *,
    workers: int = 1,
    storage: str | None = None,
    tracking_dir: str | Path = "mlruns",
    console: Console | None = None,
    show: Show | None = None,
) -> list[results.TrialRow]:
    """Carry out a study, or go on with it: workers here, each a process, until all trials are over.

    Workers on other machines join by the same call on the same storage, with a folder of runs that all of them see.

    Args:
        definition: what the study is.
        workers: processes on this machine.
        storage: URL of a database; None: `studies/studies.db`.
        tracking_dir: folder of the run store.
        console: where remarks go; None: standard error.
        show: told the trials whenever they are looked at.

    Returns:
        All trials.

    Raises:
        FusionRLError: something cannot be used; nothing has been started.
        StudyError: the workers break down.
        KeyboardInterrupt: Ctrl-C or SIGTERM; trials under way were left where they can be gone on with.
    """
    console = console or Console(stderr=True, highlight=False)
    opened = open_study(definition, storage, tracking_dir)
    return _Crew(opened, workers, console, show or (lambda _: None)).carry_out()


@dataclass
class _Crew:
    """The workers of a study on this machine, and who looks after them."""

    opened: Opened
    workers: int
    console: Console
    show: Show
    processes: list[SpawnProcess] = field(default_factory=list)
    deaths: int = 0
    finished: int = 0

    def carry_out(self) -> list[results.TrialRow]:
        run = self._open_run()
        try:
            if run is None:
                return self._look_after()
            with run:
                found = self._look_after()
                self._conclude(run, found)
            return found
        finally:
            self._stop()

    def _look_after(self) -> list[results.TrialRow]:
        plan, study = self.opened.plan, self.opened.study
        logs = Path(plan.tracking_dir) / "logs" / f"study-{plan.definition.name}"
        logs.mkdir(parents=True, exist_ok=True)
        self.console.print(f"workers write to {logs}", soft_wrap=True)
        with Interrupts():
            while True:
                for number in take_up(study, self.opened.storage):
                    self.console.print(f"trial {number} was left by its worker: it goes on from its last checkpoint")
                found = results.rows(study)
                self.show(found)
                if not self._is_open(found):
                    return found
                self._hire(found, logs)
                time.sleep(POLL_S)

    def _is_open(self, found: list[results.TrialRow]) -> bool:
        """Whether there is a trial to begin, to go on with, or under way."""
        states = results.counts(found)
        late = self.opened.plan.deadline is not None and time.time() > self.opened.plan.deadline
        is_left = states["waiting"] > 0 or len(found) < self.opened.plan.trials
        return states["running"] > 0 or (is_left and not late) or any(one.is_alive() for one in self.processes)

    def _hire(self, found: list[results.TrialRow], logs: Path) -> None:
        """As many workers as there is work for; a dead one is replaced."""
        gone = [process for process in self.processes if not process.is_alive()]
        self.processes = [process for process in self.processes if process.is_alive()]
        finished = sum(one.state in ("complete", "pruned", "fail") for one in found)
        failed = [process for process in gone if process.exitcode]
        self.deaths = len(failed) if finished > self.finished else self.deaths + len(failed)
        self.finished = finished
        for process in failed:
            self.console.print(f"worker {process.pid} ended with {process.exitcode}: {_last_line(_log(logs, process))}")
        if self.deaths >= _DEATHS:
            raise StudyError(f"{self.deaths} workers died and no trial came to its end: see {logs}")
        if self.opened.plan.deadline is not None and time.time() > self.opened.plan.deadline:
            return
        states = results.counts(found)
        work_left = states["waiting"] + max(0, self.opened.plan.trials - len(found))
        idle = max(0, len(self.processes) - states["running"])
        for _ in range(min(self.workers - len(self.processes), work_left - idle)):
            context = multiprocessing.get_context("spawn")
            process = context.Process(target=_worker_process, args=(self.opened.plan, str(logs)))
            process.start()
            self.processes.append(process)

    def _stop(self) -> None:
        """Let the workers write a checkpoint and end; a second signal ends them at once."""
        for sent in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            alive = [process for process in self.processes if process.is_alive()]
            for process in alive:
                os.kill(process.pid or 0, sent)
            try:
                for process in alive:
                    process.join()
                return
            except KeyboardInterrupt:
                continue

    def _open_run(self) -> RunLog | None:
        """The study's run, to be written by this command; None where another one of this machine is at it already."""
        try:
            run = self.opened.store.resume(self.opened.study.user_attrs[storages.RUN], finished=True)
        except TrackingError:
            return None
        trials = {"budget.trials": self.opened.plan.trials, "budget.hours": self.opened.plan.definition.budget.hours}
        run.set_tags(trials)
        return run

    def _conclude(self, run: RunLog, found: list[results.TrialRow]) -> None:
        """Keep with the study's run what it has led to."""
        study = self.opened.study
        run.log_text(results.frame(found).to_csv(index=False), "trials.csv")
        run.log_metrics({f"trials/{state}": float(number) for state, number in results.counts(found).items()})
        complete = [one for one in found if one.is_complete]
        if not complete:
            return
        top = min(complete, key=lambda one: one.blocking or 0.0)
        run.log_metrics(dict.fromkeys((HEADLINE, BLOCKING), top.blocking or 0.0))
        if top.ci95 is not None:
            run.log_metrics({BLOCKING_CI95: top.ci95})
        note = f"{self.opened.plan.definition.question}\n\n{_note(study.study_name, top, len(complete))}"
        run.set_tags({"mlflow.note.content": note, "best_trial": top.number, "best_run": top.best_run})


def _note(study: str, top: results.TrialRow, complete: int) -> str:
    """What a study's run says of itself, as Markdown."""
    blocking = f"{top.blocking:.5f}" + ("" if top.ci95 is None else f" ± {top.ci95:.5f}")
    settings = "\n".join(f"| {path} | {value} |" for path, value in top.settings.items())
    return (
        f"**Trial {top.number}** blocks {blocking} of the requests, the least of {complete} complete trials.\n\n"
        f"| setting | value |\n| --- | --- |\n{settings}\n\n"
        f"`fusion-rl study best {study}` gives its configuration and its checkpoint."
    )


def _worker_process(plan: Plan, logs: str) -> None:
    """A worker by itself: Ctrl-C is for who started it, and what it prints goes to a file."""
    os.setsid()
    path = Path(logs) / f"worker-{os.getpid()}.log"
    with path.open("a", buffering=1, encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        console = Console(file=file, width=120, highlight=False)
        parent = multiprocessing.parent_process()
        try:
            # it takes no further trial when nobody looks after it any more
            work(plan, console, lambda: parent is None or parent.is_alive())
        except KeyboardInterrupt as error:
            console.print(f"{error}")
        except FusionRLError as error:
            console.print(f"error: {error}", markup=False)
            sys.exit(2)


def _log(logs: Path, process: SpawnProcess) -> Path:
    return logs / f"worker-{process.pid}.log"


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines() if path.is_file() else []
    return f"{lines[-1]} ({path})" if lines else str(path)
