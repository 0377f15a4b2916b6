"""The learning part of a run: what is recorded, evaluated and kept while an agent learns, and where it goes on."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain, Estimate
from fusion_rl.errors import TrainingError, TrainingStopped
from fusion_rl.tracking.base import RunLog
from fusion_rl.training import checkpoints, resume
from fusion_rl.training.checkpoints import Kind
from fusion_rl.training.description import headline
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.interrupts import Interrupts

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback

    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.training.early_stopping import EarlyStopping

LOG_EVERY = 4096  # training steps between records of losses, about
OnEvaluation = Callable[[int, Estimate], None]  # (training step, service blocking over all scenarios)
_NEVER = 10**12  # Stable-Baselines3 counts the updates between its records from where a process began


@dataclass
class Learning:
    """An agent, its lanes and its run, while it learns.

    Attributes:
        facts: of the run, to stand in every checkpoint.
        start: state to go on from, as a checkpoint holds it; None: from the first step.
        learned_s: seconds of learning so far, evaluations included.
        evaluating_s: seconds of evaluations in between.
        points: (training step, service blocking, half-width) of these.
        stopping: what ends the training early; None: nothing does.
        callbacks: the user's; `all_callbacks` has ours, too.
        on_evaluation: told of each of these; a TrainingStopped of its ends the training.
    """

    config: ExperimentConfig
    domain: Domain
    agent: "BaseAlgorithm"
    env: "OpticalVecEnv"
    run: RunLog
    folder: checkpoints.Folder
    facts: Mapping[str, Any]
    interrupts: Interrupts
    evaluate: Callable[[], Evaluation]
    start: resume.Tree | None = None
    learned_s: float = 0.0
    evaluating_s: float = 0.0
    points: list[tuple[int, float, float]] = field(default_factory=list)
    callbacks: "Sequence[BaseCallback]" = ()
    all_callbacks: "list[BaseCallback]" = field(default_factory=list)
    stopping: "EarlyStopping | None" = None
    on_evaluation: OnEvaluation | None = None

    @property
    def stopped_early(self) -> str | None:
        """Why training ended before its time, if it did."""
        if self.agent.num_timesteps >= self.config.execution.timesteps:
            return None
        told = None if self.stopping is None else self.stopping.reason
        return told or f"a callback ended it at step {self.agent.num_timesteps:,}"

    @property
    def seconds(self) -> float:
        """Seconds of learning alone, over all processes that had a part in it."""
        return self.learned_s - self.evaluating_s

    def judge_untrained(self) -> None:
        """Record what the agent blocks before it learns; nothing where it goes on, or is judged at the end alone."""
        if self.start is None and self.config.execution.eval_every:
            self.run.log_metrics(headline(self.evaluate()), self.agent.num_timesteps)

    def carry_out(self, console: Console) -> None:
        """Learn all steps, or what is left of them, and write the final checkpoint.

        Raises:
            TrainingError: the weights are no longer finite.
            TrainingStopped: `on_evaluation` wanted no more of it.
            Interrupted: a signal ended it; a checkpoint was written first.
        """
        from stable_baselines3.common.logger import Logger

        from fusion_rl.training.callbacks import RunLogWriter

        self.agent.set_logger(Logger(folder=None, output_formats=[RunLogWriter(self.run)]))
        self._make_callbacks(console)
        if self.start is not None:
            self._go_on(self.start)
            if self.start["is_over"]:
                return
        try:
            self._learn()
        except TrainingStopped:
            raise
        except Exception as error:
            with suppress(Exception):  # the reason matters more than a checkpoint that cannot be written
                path = self._save(Kind.EMERGENCY, is_exact=False)
                error.add_note(f"what the agent was then is kept in {path}")
            raise
        if self.stopped_early is not None:
            console.print(self.stopped_early, highlight=False)
        self._save(Kind.FINAL, is_over=True)

    def _learn(self) -> None:
        agent, steps = self.agent, self.config.execution.timesteps
        with ExitStack() as cleanup:
            cleanup.enter_context(self.interrupts.deferred())
            for callback in self.all_callbacks:
                if hasattr(callback, "stop"):
                    cleanup.callback(callback.stop)
            try:
                agent.learn(
                    steps - agent.num_timesteps if self.start is not None else steps,
                    callback=list(self.all_callbacks),
                    log_interval=_NEVER,
                    reset_num_timesteps=self.start is None,
                )
            except ValueError as error:
                if all(bool(tensor.isfinite().all()) for tensor in agent.policy.state_dict().values()):
                    raise
                raise TrainingError(
                    f"after {agent.num_timesteps} steps the weights are no longer finite: lower algorithm.learning_rate"
                ) from error
        self.learned_s = (time.time_ns() - agent.start_time) / 1e9
        agent.logger.dump(agent.num_timesteps)  # what the last update recorded

    def _make_callbacks(self, console: Console) -> None:
        from fusion_rl.agents.action_values import log_action_values
        from fusion_rl.agents.catalog import callbacks_of
        from fusion_rl.training.callbacks import Checkpointing, Clock, EpisodeBlocking, Every
        from fusion_rl.training.early_stopping import EarlyStopping
        from fusion_rl.training.progress import progress
        from fusion_rl.training.scenarios import ScenarioProgress

        execution = self.config.execution
        bar = progress(execution.timesteps, console) if execution.progress else None
        self.all_callbacks = [
            Clock(lambda: self.learned_s),
            *callbacks_of(self.config.algorithm),
            EpisodeBlocking(),
            Every(self._log_every(), lambda _: log_action_values(self.agent)),
            Every(self._log_every(), self._record),
        ]
        if len(self.config.scenarios) > 1:
            self.all_callbacks.append(ScenarioProgress(self.env.simulator))
        if execution.early_stopping is not None:
            self.stopping = EarlyStopping(execution.early_stopping)
            self.all_callbacks.append(self.stopping)
        if execution.eval_every:
            note = bar.note if bar is not None else None
            self.all_callbacks.append(Every(execution.eval_every, lambda step: self._evaluate_now(step, console, note)))
        self.all_callbacks += self.callbacks
        if bar is not None:
            self.all_callbacks.append(bar)
        self.all_callbacks.append(
            Checkpointing(
                lambda kind, is_exact: self._save(kind, is_exact=is_exact),
                latest_every=execution.checkpoint_every,
                regular_every=execution.checkpoint_regular_every,
                points=self.points,
                interrupts=self.interrupts,
            )
        )

    def _log_every(self) -> int:
        """Steps between records of losses: about LOG_EVERY, and 20 records at least."""
        return max(1, min(LOG_EVERY, self.config.execution.timesteps // 20))

    def _record(self, _: int) -> None:
        self.agent.dump_logs()

    def _evaluate_now(self, step: int, console: Console, note: Callable[[str], None] | None) -> None:
        from fusion_rl.training.callbacks import evaluation_metrics

        started = time.perf_counter()
        evaluation = self.evaluate()
        self.evaluating_s += time.perf_counter() - started
        self.run.log_metrics(headline(evaluation) | evaluation_metrics(evaluation), step)
        estimate = evaluation.service_blocking
        self.points.append((step, estimate.mean, estimate.ci95))
        if self.stopping is not None:
            self.stopping.judge(step, estimate.mean)
            self.run.log_metrics({"early_stopping/waited": self.stopping.waited}, step)
        if note is not None:
            note(f"blocking {estimate}")
        console.print(f"{step:,} steps: blocking {estimate}", highlight=False)
        if self.on_evaluation is not None:
            self.on_evaluation(step, estimate)

    def _go_on(self, start: resume.Tree) -> None:
        resume.restore(self.agent, self.env, self.domain, start, self.all_callbacks)
        resume.go_on_logging(self.agent, start)
        self.run.rewind(start["log_mark"])
        self.learned_s, self.evaluating_s = start["learned_s"], start["evaluating_s"]
        self.points.extend(start["points"])

    def _save(self, kind: Kind, *, is_exact: bool = True, is_over: bool = False) -> Any:
        if not is_over:
            self.learned_s = (time.time_ns() - self.agent.start_time) / 1e9
        keeps_replay = self.config.execution.checkpoint_replay_buffer and not is_over
        state = resume.capture(self.agent, self.env, self.domain, self.all_callbacks, replay_buffer=keeps_replay)
        state |= {
            "log_mark": self.run.mark(),
            "learned_s": self.learned_s,
            "evaluating_s": self.evaluating_s,
            "points": list(self.points),
            "is_over": is_over,
        }
        is_whole = state[resume.REPLAY_BUFFER] is not None or getattr(self.agent, resume.REPLAY_BUFFER, None) is None
        facts = {**self.facts, "replay_buffer": is_whole}
        path = self.folder.save(kind, self.agent, self.config, state, facts, is_exact=is_exact)
        if kind in (Kind.BEST, Kind.FINAL, Kind.REGULAR):
            checkpoints.export_zip(self.agent, self.config, path.with_suffix(".zip"))
        return path
