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
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import Resolved
from fusion_rl.config.profiles import PROFILES
from fusion_rl.config.save import FILE_NAME, save_resolved
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from fusion_rl.training.ancestry import Parent
    from fusion_rl.training.run import RunResult

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
            metavar="RUN|CHECKPOINT|models:/NAME@ALIAS",
            help="Begin a new run with this model's weights and optimiser, and with its experiment if none is given.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Train an agent, compare it with the usual heuristics on traffic it has not seen, and record the run."""
    with one_line_warnings():

        def resolve(base: str | dict[str, Any] | None) -> Resolved:
            return options.resolve(
                base, network, scenarios, algorithm, reward, execution,
                settings, load, paths_file, seed, timesteps, lanes, device, name, model_name, profile, all_scenarios,
            )  # fmt: skip

        parent = None
        if resume_from is not None and experiment is None:
            parent = _parent(resume_from, _tracking_dir(execution, settings))
            resolved = resolve(parent.experiment())
        else:
            resolved = resolve(experiment)
            if resume_from is not None:
                parent = _parent(resume_from, resolved.config.execution.tracking_dir)
        from fusion_rl.training.run import train as run_training

        log_file = log_file or _log_file(resolved.config.execution.tracking_dir, profile)
        with redirect_stdout(sys.stderr), _console(log_file, resolved.config) as console:
            # whatever a library prints, the result stands alone on stdout
            result = run_training(resolved.config, console=console, resume_from=parent)
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
        again = ["--experiment", str(_recorded_config(result, resolved.config.execution.tracking_dir))]
    _report(result, again, resolved.config.execution.tracking_dir)


def _parent(given: str, tracking_dir: str) -> "Parent":
    from fusion_rl.training.ancestry import find_parent

    return find_parent(given, tracking_dir)


def _recorded_config(result: "RunResult", tracking_dir: str) -> Path:
    """The file that a run keeps its configuration in: what to name where no experiment was."""
    from fusion_rl.tracking.mlflow_store import open_store

    return open_store(tracking_dir).artifact_path(result.run_id, "config") / FILE_NAME


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
def _console(log_file: Path | None, config: ExperimentConfig) -> "Iterator[Console]":
    """Where progress goes; beside a log file, the configuration that it is the log of.

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
