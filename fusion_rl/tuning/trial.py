"""One trial: its trainings, under its own run in MLflow, gone on with from where a worker left them.

A study's run holds its trials' runs, and a trial's run those of its trainings, one a seed. A trial's run has the
settings that are searched as its parameters, so that MLflow's parallel coordinates show nothing else, and what came
out as its metrics, named as those of a training. It ends as the trial does: complete FINISHED, failed FAILED, pruned
KILLED with the reason in `fusion_rl.stopped`; `trial.state` says which in Optuna's words.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.trial import Trial, TrialState
from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten, save_resolved
from fusion_rl.domains.base import Estimate
from fusion_rl.errors import StudyError, TrainingStopped
from fusion_rl.intervals import t_half_width
from fusion_rl.tracking.base import BLOCKING as HEADLINE
from fusion_rl.tracking.base import RunLog, RunRecord, RunStatus
from fusion_rl.training.description import loads_of
from fusion_rl.training.run import can_resume, resume, train
from fusion_rl.tuning.spaces import Space

if TYPE_CHECKING:
    from fusion_rl.tracking.mlflow_store import Store
    from fusion_rl.training.learn import OnEvaluation

STUDY_TAG, TRIAL_TAG, SEED_TAG, STATE_TAG = "study", "trial", "trial.seed", "trial.state"
WORKER, LEFT = "worker", "left"  # a trial's attributes: the process at work on it; how often one died at that
LEFT_MOST = 5  # a trial whose worker died more often is taken for what kills them
BLOCKING, BLOCKING_CI95 = "evaluation/service_blocking", "evaluation/service_blocking_ci95"
SECONDS = "training/seconds"
_STEPS_PER_SECOND = "training/steps_per_second"


class TakenOver(TrainingStopped):
    """Another worker goes on with the trial, having taken this one for dead."""


@dataclass(frozen=True)
class Outcome:
    """What a trial led to.

    Attributes:
        blocking: share of requests blocked, the mean over its seeds.
        ci95: half-width of its 95 % interval: over seeds, or over the traffic's lanes where there is one seed.
        seconds: of training, the mean over its seeds.
        runs: those of its trainings, by seed.
        best_run: that of the training with the least blocking.
    """

    blocking: float
    ci95: float
    seconds: float
    runs: list[str]
    best_run: str


def searched_by(config: ExperimentConfig) -> dict[str, str]:
    """Tags that people search runs by, named as those of a training."""
    topology = Path(str(flatten(config)["network.topology"])).stem
    return {"algorithm": config.algorithm.name, "topology": topology, "load": loads_of(config)}


@dataclass(frozen=True)
class Trials:
    """Carries out the trials of a study.

    Attributes:
        space: what is searched.
        store: the run store.
        study_run: the study's run.
        worker: tags that name this process.
        console: where progress is shown.
    """

    space: Space
    store: "Store"
    study_run: str
    worker: dict[str, str]
    console: Console

    def carry_out(self, trial: Trial) -> Outcome:
        """Train every seed of a trial, or what is left of it, and record what came out.

        Raises:
            TrainingStopped: it was pruned.
            TakenOver: another worker has it now.
            Exception: whatever made it fail.
        """
        values = self.space.suggest(trial)
        with self._open(trial, values) as run:
            trial.set_user_attr("run_id", run.run_id)
            try:
                if (left := trial.user_attrs.get(LEFT, 0)) > LEFT_MOST:
                    raise StudyError(f"its worker died {left} times: trial {trial.number} is taken for the cause")
                outcome = self._train_all(trial, values, run)
            except TakenOver:
                raise
            except TrainingStopped:
                run.set_tags({STATE_TAG: TrialState.PRUNED.name})
                raise
            except Exception:
                run.set_tags({STATE_TAG: TrialState.FAIL.name})
                raise
            run.log_metrics({HEADLINE: outcome.blocking, BLOCKING: outcome.blocking, SECONDS: outcome.seconds})
            if np.isfinite(outcome.ci95):
                run.log_metrics({BLOCKING_CI95: outcome.ci95})
            run.set_tags({STATE_TAG: TrialState.COMPLETE.name, "best_run": outcome.best_run})
        return outcome

    def _open(self, trial: Trial, values: dict[str, Any]) -> RunLog:
        """The trial's run: a new one, or the one that a worker left."""
        found = self._under(self.study_run, TRIAL_TAG, trial.number)
        if found is not None:
            return self.store.resume(found.run_id, finished=True)
        name = self.space.definition.name
        config = self.space.configuration(values)
        tags = {STUDY_TAG: name, TRIAL_TAG: trial.number, **searched_by(config)}
        run = self.store.start(f"study {name}", f"trial {trial.number}", values, tags, self.study_run)
        with tempfile.TemporaryDirectory() as folder:
            save_resolved(config, Path(folder) / "config")
            run.log_artifact(Path(folder) / "config")
        return run

    def _train_all(self, trial: Trial, values: dict[str, Any], run: RunLog) -> Outcome:
        records: list[RunRecord] = []
        for seed in range(self.space.definition.seeds):
            records.append(self._train(trial, values, run.run_id, seed, [one.metrics[BLOCKING] for one in records]))
        blocking = np.array([record.metrics[BLOCKING] for record in records])
        steps = self.space.definition.budget.timesteps
        return Outcome(
            blocking=float(blocking.mean()),
            ci95=t_half_width(blocking) if blocking.size > 1 else records[0].metrics.get(BLOCKING_CI95, float("nan")),
            seconds=float(np.mean([steps / record.metrics[_STEPS_PER_SECOND] for record in records])),
            runs=[record.run_id for record in records],
            best_run=records[int(blocking.argmin())].run_id,
        )

    def _train(self, trial: Trial, values: dict[str, Any], run_id: str, seed: int, before: list[float]) -> RunRecord:
        """One training of a trial, from its beginning or from where it was left; nothing where it has finished."""
        config = self.space.configuration(values, seed, f"trial {trial.number} seed {seed}")
        look, tracking_dir = self._look(trial, seed, before), config.execution.tracking_dir
        found = self._under(run_id, SEED_TAG, seed)
        if found is not None and found.status is RunStatus.FINISHED:
            return found
        if found is not None and can_resume(tracking_dir, found.run_id):
            result = resume(found.run_id, tracking_dir=tracking_dir, console=self.console, on_evaluation=look)
        else:
            if found is not None:
                self.console.print(f"run {found.run_id} left nothing here to go on from: its training begins again")
            result = train(
                config,
                console=self.console,
                resume_from=self.space.definition.start_from,
                on_evaluation=look,
                parent_run_id=run_id,
                tags={STUDY_TAG: self.space.definition.name, TRIAL_TAG: str(trial.number), SEED_TAG: str(seed)},
            )
        return self.store.find_run(result.run_id)

    def _look(self, trial: Trial, seed: int, before: list[float]) -> "OnEvaluation | None":
        """Tells Optuna of the evaluations of a training, and ends it where the trial has fallen behind.

        Steps are told as multiples of what lies between two evaluations, whatever the length of a rollout, so that
        trials can be compared; those of later seeds follow those of the earlier ones.
        """
        definition = self.space.definition
        is_told = len(definition.objectives) == 1  # Optuna takes no values in between of several

        def look(step: int, blocking: Estimate) -> None:
            if trial.user_attrs[WORKER] != self.worker:
                raise TakenOver(f"trial {trial.number} is carried out by another worker now")
            if not is_told:
                return
            every = self.space.base.execution.eval_every
            at = seed * definition.budget.timesteps + every * (step // every)
            if at not in trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
                trial.report(float(np.mean([*before, blocking.mean])), at)
            if trial.should_prune():
                raise TrainingStopped(f"pruned after {step:,} steps of seed {seed}: blocking {blocking.mean:.5f}")

        return look

    def _under(self, run_id: str, tag: str, value: int) -> RunRecord | None:
        """The run below another one with this tag, the newest."""
        wanted = f"tags.`mlflow.parentRunId` = '{run_id}' and tags.`{tag}` = '{value}'"
        found = self.store.search_runs(f"study {self.space.definition.name}", wanted)
        return found[0] if found else None
