"""`fusion-rl train`: one agent, trained, compared with the heuristics and recorded."""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import options
from fusion_rl.cli.evaluate import print_comparison, print_scenarios
from fusion_rl.cli.output import log_console, one_line_warnings, print_json
from fusion_rl.cli.ui import DEFAULT_FOLDER
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import Resolved
from fusion_rl.config.profiles import PROFILES
from fusion_rl.config.save import FILE_NAME, save_resolved
from fusion_rl.errors import ConfigError
from fusion_rl.tuning.definition import PREFIX

if TYPE_CHECKING:
    from rich.console import Console

    from fusion_rl.tracking.base import RunRecord
    from fusion_rl.training.ancestry import Parent
    from fusion_rl.training.result import RunResult

_YARDSTICK = "ksp-ff"  # the heuristic that published agents are measured against


def train(
    experiment: options.Experiment = None,
    network: options.Network = None,
    scenarios: options.Scenarios = None,
    algorithm: options.Algorithm = None,
    reward: options.Reward = None,
    execution: options.Execution = None,
    settings: options.Settings = None,
    load: options.Load = None,
    paths_file: options.PathsFile = None,
    seed: options.Seed = None,
    timesteps: options.Timesteps = None,
    lanes: options.Lanes = None,
    device: options.Device = None,
    name: options.Name = None,
    model_name: options.ModelName = None,
    profile: options.Profile = None,
    all_scenarios: options.AllScenarios = False,
    log_file: Annotated[
        Path | None,
        typer.Option(
            "--log-file", help="Where progress goes [--profile server: TRACKING_DIR/logs/WHEN/train.log; else stderr]."
        ),
    ] = None,
    resume_from: Annotated[
        str | None,
        typer.Option(
            "--resume-from",
            metavar="RUN|CHECKPOINT|models:/NAME@ALIAS|study:NAME",
            help="Begin a new run with this model's weights and optimiser, and with its experiment if none is given.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="RUN",
            help="Go on with a run that was stopped or killed: its id or name, or its folder of checkpoints. "
            "It keeps its own settings.",
        ),
    ] = None,
    resume_if_begun: Annotated[
        bool,
        typer.Option(
            "--resume-if-begun",
            help="Begin the run of this --name, or go on with it: for a job that may be run again with the same words.",
        ),
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Read a .zip of Stable-Baselines3's, which can run code of its writer's.")
    ] = False,
    tracking_dir: Annotated[
        str | None, typer.Option("--tracking-dir", help="Folder of the run to resume [default: mlruns].")
    ] = None,
    eval_only: Annotated[
        str | None,
        typer.Option(
            "--eval-only",
            metavar="POLICY",
            help="Train nothing: judge this agent as after training (checkpoint, models:/NAME@ALIAS, runs:/ID/PATH), "
            "in a run of its own.",
        ),
    ] = None,
    sanity_checks: Annotated[
        bool, typer.Option("--sanity-checks/--no-sanity-checks", help="Look at every part before training.")
    ] = True,
    as_json: options.Json = False,
) -> None:
    """Train an agent, compare it with the usual heuristics on traffic it has not seen, and record the run."""
    if not sanity_checks:
        settings = ["execution.sanity_checks=false", *(settings or ())]
    asked = (
        network, scenarios, algorithm, reward, execution,
        settings, load, paths_file, seed, timesteps, lanes, device, name, model_name, profile,
    )  # fmt: skip

    def resolve(base: str | dict[str, Any] | None) -> Resolved:
        return options.resolve(base, *asked, all_scenarios)

    parent = None
    with one_line_warnings(), _next_step_told():
        if eval_only is not None:
            learned = {
                "--algorithm": algorithm, "--reward": reward, "--seed": seed, "--timesteps": timesteps,
                "--lanes": lanes, "--device": device, "--resume": resume, "--tracking-dir": tracking_dir,
                "--model-name": model_name, "--log-file": log_file, "--resume-from": resume_from,
                "--resume-if-begun": resume_if_begun or None,
            }  # fmt: skip
            _judge(
                eval_only,
                resolve(experiment).config,
                [name for name, given in learned.items() if given is not None],
                trust,
                as_json,
            )
            return
        if resume is not None:
            others = (experiment, *asked, resume_from, all_scenarios or None, resume_if_begun or None, trust or None)
            result = _resume(resume, tracking_dir, log_file, any(option is not None for option in others))
            experiment = str(result.checkpoint.parent / "config" / FILE_NAME)
        elif tracking_dir is not None:
            raise ConfigError("--tracking-dir goes with --resume: a new run takes --set execution.tracking_dir=FOLDER")
        else:
            if resume_from is not None and experiment is None:
                parent = _parent(resume_from, _tracking_dir(execution, settings), trust)
                resolved = resolve(parent.experiment())
            else:
                resolved = resolve(experiment)
                if resume_from is not None:
                    parent = _parent(resume_from, resolved.config.execution.tracking_dir, trust)
            tracking_dir = resolved.config.execution.tracking_dir
            begun = _begun(resolved.config) if resume_if_begun else None
            if begun is not None and begun.status == "FINISHED":
                _say_finished(begun, as_json)
                return
            from fusion_rl.training import run

            log_file = log_file or _log_file(tracking_dir, profile)
            with redirect_stdout(sys.stderr), _console(log_file, resolved.config) as console:
                # whatever a library prints, the result stands alone on stdout
                if begun is not None:
                    result = run.resume(begun.run_id, tracking_dir=tracking_dir, console=console)
                else:
                    result = run.train(resolved.config, console=console, resume_from=parent)
    if as_json:
        print_json(result.as_dict())
        return
    same_setting = {
        "--experiment": experiment,
        "--network": network,
        "--scenarios": scenarios,
        "--load": load,
        "--paths-file": paths_file,
    }
    again = [str(word) for option, value in same_setting.items() if value is not None for word in (option, value)]
    again += [word for setting in settings or () for word in ("--set", setting)]
    if parent is not None and experiment is None:
        again = ["--experiment", str(result.checkpoint.parent / "config" / FILE_NAME)]
    _report(result, again, tracking_dir or DEFAULT_FOLDER)


def _begun(config: ExperimentConfig) -> "RunRecord | None":
    from fusion_rl.training.begun import find_begun

    with redirect_stdout(sys.stderr):
        return find_begun(config)


def _say_finished(begun: "RunRecord", as_json: bool) -> None:
    if as_json:
        print_json({"run_id": begun.run_id, "name": begun.run_name, "has_finished_before": True})
        return
    typer.echo(f"run {begun.run_id} ({begun.run_name}) has finished before: nothing is left to do")


def _judge(policy: str, config: ExperimentConfig, out_of_place: list[str], trust: bool, as_json: bool) -> None:
    if out_of_place:
        raise ConfigError(f"--eval-only trains nothing: leave out {', '.join(out_of_place)}")
    from fusion_rl.training.judge import judge

    with redirect_stdout(sys.stderr):
        found = judge(config, policy, trust=trust, console=log_console())
    if as_json:
        print_json(found.as_dict())
        return
    print_comparison(found.evaluation, list(found.baselines.values()))
    if found.evaluation.parts:
        print_scenarios(found.evaluation, list(found.baselines.values()), None)
    typer.echo(f"{'run':<11} {found.run_id} ({found.name})")


def _resume(run: str, tracking_dir: str | None, log_file: Path | None, other_options: bool) -> "RunResult":
    if other_options:
        raise ConfigError("--resume goes on with a run's own settings: leave the other options out, or start a new run")
    from fusion_rl.training.run import resume

    with redirect_stdout(sys.stderr), _console(log_file, None) as console:
        return resume(run, tracking_dir=tracking_dir or DEFAULT_FOLDER, console=console)


@contextmanager
def _next_step_told() -> Iterator[None]:
    """Say of a run that was ended before its end how it is gone on with."""
    try:
        yield
    except BaseException as error:
        for note in getattr(error, "__notes__", ()):
            typer.secho(" ".join(str(note).split()), fg=typer.colors.YELLOW, err=True)
        raise


def _parent(given: str, tracking_dir: str, trust: bool) -> "Parent":
    from fusion_rl.training.ancestry import find_parent

    if given.startswith(PREFIX):
        from fusion_rl.tuning.results import best_of

        given = str(best_of(given).checkpoint)
    return find_parent(given, tracking_dir, trust=trust)


def _tracking_dir(execution: str | None, settings: list[str] | None) -> str:
    """The run store that the options name, whatever the experiment is."""
    named = [setting for setting in settings or () if setting.partition("=")[0].strip() == "execution.tracking_dir"]
    return options.resolve(execution=execution, settings=named).config.execution.tracking_dir


def _log_file(tracking_dir: str, profile: str | None) -> Path | None:
    """Where a profile that is quiet writes its progress."""
    if profile is None or not PROFILES[profile].log_file:
        return None
    return Path(tracking_dir) / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}" / "train.log"


@contextmanager
def _console(log_file: Path | None, config: ExperimentConfig | None) -> "Iterator[Console]":
    """Where progress goes; beside a log file, the configuration that it is the log of, if it is not kept yet.

    Raises:
        ConfigError: the file cannot be written.
    """
    if log_file is None:
        yield log_console()
        return
    from rich.console import Console

    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        file = log_file.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"--log-file {log_file} cannot be written: {error.strerror}") from error
    if config is not None:
        save_resolved(config, log_file.parent)
    typer.echo(f"progress: {log_file}", err=True)
    with file:
        console = Console(file=file, width=120, highlight=False)
        try:
            yield console
        except BaseException as error:
            console.print(f"{type(error).__name__}: {error}", markup=False)
            raise


def _report(result: "RunResult", setting_options: list[str], tracking_dir: str) -> None:
    """Print what came out, and what to do next."""
    from fusion_rl.analysis.runs import comparison, standing

    print_comparison(result.evaluation, list(result.baselines.values()))
    if result.evaluation.parts:
        print_scenarios(result.evaluation, list(result.baselines.values()), result.training_requests)
    if _YARDSTICK in result.baselines:
        typer.echo(standing(comparison(result), result.evaluation.policy, _YARDSTICK))
    if result.parity_disagreements:
        typer.secho(
            f"warning: the three routes through the simulator disagree on {result.parity_disagreements} requests; "
            "this is a bug, please report it",
            fg=typer.colors.YELLOW,
            err=True,
        )
    evaluate = ["fusion-rl", "evaluate", *setting_options, "--policy", str(result.checkpoint)]
    evaluate += ["--all-scenarios"] * bool(result.evaluation.parts)
    browse = ["fusion-rl", "ui", "--tracking-dir", tracking_dir]
    lines = {
        "run": f"{result.run_id} ({result.name})",
        "speed": f"{result.steps_per_second:,.0f} steps a second over {result.timesteps:,} steps",
        "checkpoint": result.checkpoint,
        "model": result.model,
        "next": f"{shlex.join(browse)}   browse this run and others",
        "": f"{shlex.join(evaluate)}   judge the agent again",
    }
    for head, text in lines.items():
        typer.echo(f"{head:<11} {text}")
