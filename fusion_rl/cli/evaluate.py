"""`fusion-rl evaluate`: what policies block, all of them on the same traffic."""

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli import loads as cli_loads
from fusion_rl.cli import options
from fusion_rl.cli.output import log_console, one_line_warnings, print_json, print_table
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.training.evaluate import Evaluation

DEFAULT_POLICY = "ksp-ff"
RULES = ("format_choice", "grooming", "slicing", "protection", "restoration", "transmission", "failures")


def evaluate(
    policy: Annotated[
        list[str] | None,
        typer.Option(
            "--policy",
            "-p",
            help="Heuristic, checkpoint, models:/NAME@ALIAS, models:/NAME/VERSION or runs:/ID/PATH. "
            f"Repeatable: several are compared with the first [default: {DEFAULT_POLICY}].",
        ),
    ] = None,
    experiment: options.Experiment = None,
    network: options.Network = None,
    scenarios: options.Scenarios = None,
    settings: options.Settings = None,
    load: options.Load = None,
    paths_file: options.PathsFile = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", metavar="NAME", help="Which of the scenarios [default: the first].")
    ] = None,
    all_scenarios: Annotated[
        bool, typer.Option("--all-scenarios", help="Every scenario by itself, each of --requests, and all together.")
    ] = False,
    requests: Annotated[
        int | None, typer.Option(min=1, help="Requests that count, over all lanes [default: 200000].")
    ] = None,
    lanes: Annotated[int | None, typer.Option(min=1, help="Independent networks [default: 16].")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the traffic [default: execution.eval_seed].")] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Cores to use [default: all; for an agent execution.torch_threads]."),
    ] = None,
    record: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="Also write the requests as a trace (.csv or .parquet), to be replayed with "
            "--set scenarios.NAME.trace=FILE.",
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Read zips of Stable-Baselines3's, too; reading one can run its writer's code."),
    ] = False,
    loads: Annotated[
        str | None,
        typer.Option(
            metavar="ERLANG,...",
            help="Sweep the scenario's load, as 190,210,230,250: all policies meet the same. `compare` also "
            "takes several seeds, tells ratios and the load carried, and records the result.",
        ),
    ] = None,
    plot: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Also draw the result (.png, .svg or .pdf), over --loads if given."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Serve traffic with one policy or several, and count what they block."""
    if all_scenarios and (scenario is not None or record is not None):
        raise ConfigError(
            f"--all-scenarios and {'--record' if scenario is None else '--scenario'} cannot both be given"
        )
    with one_line_warnings():
        resolved = options.resolve(
            experiment, network, scenarios, settings=settings, load_erlang=load, paths_file=paths_file
        )
        if load is not None:
            _refuse_load_of_traces(resolved.config, scenario)
        sizes = {"requests": requests, "lanes": lanes, "seed": seed, "threads": threads}
        given = {name: size for name, size in sizes.items() if size is not None}
        picture = None if plot is None else cli_loads.check_picture(plot)
        names = policy or [DEFAULT_POLICY]
        if loads is not None:
            beside = {"--load": load is not None, "--record": record is not None, "--all-scenarios": all_scenarios}
            if any(beside.values()):
                clash = ", ".join(option for option, is_given in beside.items() if is_given)
                raise ConfigError(f"--loads and {clash} cannot both be given: leave one of them out")
            asked = cli_loads.parse_loads(loads)
            with redirect_stdout(sys.stderr):
                found = cli_loads.sweep(resolved.config, names, asked, scenario, given, trust)
            cli_loads.show(found, picture, as_json)
            return
        with redirect_stdout(sys.stderr):
            numbers = range(len(resolved.config.scenarios)) if all_scenarios else [_number(resolved.config, scenario)]
            evaluations = _evaluate_all(resolved.config, names, numbers, given, record, trust)
    if picture is not None:
        from fusion_rl.training.plots import blocking_figure

        cli_loads.write_picture(blocking_figure(evaluations), picture)
    first, *others = evaluations
    if as_json and others:
        print_json({"policies": [against(first, evaluation) for evaluation in evaluations]})
    elif as_json:
        print_json(first.as_dict())
    elif others:
        print_comparison(first, others)
    else:
        _print_one(first)
    if first.parts and not as_json:
        print_scenarios(first, others, None)


def _number(config: ExperimentConfig, scenario: str | None) -> int:
    return 0 if scenario is None else config.scenarios.names().index(config.scenarios[scenario].name)


def print_comparison(reference: "Evaluation", others: Sequence["Evaluation"]) -> None:
    """Print policies, least blocking first, and how far each is from the reference on the same traffic."""
    from fusion_rl.training.compare import comparison_columns

    columns = comparison_columns(reference, {str(i): other for i, other in enumerate(others)})
    keys = ("policy", "service_blocking", "ci95", "bit_rate_blocking", "difference_to_agent", "difference_ci95")
    rows = []
    for name, mean, half, bit_rate, apart, apart_half in zip(*(columns[key] for key in keys), strict=True):
        difference = "" if name == reference.policy else interval(apart, apart_half, sign="+")
        rows.append((name, interval(mean, half), f"{bit_rate:.5f}", difference))
    typer.echo(describe(reference))
    print_table(("policy", "service blocking", "bit-rate blocking", f"difference to {reference.policy}"), rows)
    typer.echo("± is the half-width of a 95 % interval; differences are paired: both policies met the same requests.")


def print_scenarios(reference: "Evaluation", others: Sequence["Evaluation"], requests: dict[str, int] | None) -> None:
    """Print what each policy blocks of each scenario by itself.

    Args:
        reference: the policy that the others are compared with.
        others: on the same scenarios.
        requests: scenario -> its requests that were decided in training; None: nothing was trained.
    """
    policies = [reference, *others]
    rows = []
    for name, part in reference.by_scenario.items():
        trained = () if requests is None else (f"{requests[name]:,}",)
        blocking = (
            interval(p.service_blocking.mean, p.service_blocking.ci95) for p in (e.by_scenario[name] for e in policies)
        )
        rows.append((name, f"{part.conditions['load_erlang']:g}", *trained, *blocking))
    trained_column = () if requests is None else ("requests in training",)
    print_table(("scenario", "load (E)", *trained_column, *(policy.policy for policy in policies)), rows)


def interval(mean: float, half_width: float, sign: str = "", decimals: int = 5) -> str:
    """A mean with its interval, as text; without enough lanes there is none, and of nothing at all an upper bound."""
    if mean == 0 and half_width > 0 and not sign:
        return f"0 (at most {half_width:.1e})"
    half = f"{half_width:.{decimals}f}"
    if half_width != half_width:
        half = "no interval"
    elif half_width > 0 and float(half) == 0:
        half = f"{half_width:.1e}"
    return f"{mean:{sign}.{decimals}f} ± {half}"


def describe(evaluation: "Evaluation", *, with_load: bool = True) -> str:
    """The conditions that an evaluation's figures hold under, in a line."""
    told: dict[str, Any] = evaluation.conditions
    load = f"{told['load_erlang']:g} E nominal ({told['offered_erlang']:.0f} E offered), " if with_load else ""
    return (
        f"{told['topology']}, {told['links']} links, {told['slots']} slots, K={told['k_paths']} "
        f"by {told['path_order']}, {load}"
        f"{told['requests']:,} requests on {told['lanes']} lanes after {told['warmup_requests']:,} each to warm up, "
        f"seed {told['seed']}" + "".join(f"; {name}: {_plain(told[name])}" for name in RULES if name in told)
    )


def _evaluate_all(
    config: ExperimentConfig,
    names: Sequence[str],
    numbers: Sequence[int],
    sizes: dict[str, Any],
    record: str | None,
    trust: bool,
) -> list["Evaluation"]:
    """Evaluate every policy on some scenarios, once all are known to exist and to fit; record what they served."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from fusion_rl.envs.make import domain_of
    from fusion_rl.training.evaluate import DEFAULT_LANES, DEFAULT_REQUESTS, together
    from fusion_rl.training.evaluate import evaluate as evaluate_policy
    from fusion_rl.training.loads import check_agents
    from fusion_rl.training.policies import Agent, find

    domain = domain_of(config)
    policies = [find(name, domain, config.execution.tracking_dir, trust=trust) for name in names]
    setting = domain.prepare(config)
    lanes, requests = sizes.get("lanes", DEFAULT_LANES), sizes.get("requests", DEFAULT_REQUESTS)
    for number in numbers:
        domain.check_traffic(setting, requests=requests, lanes=lanes, scenario=number, record=record)
    check_agents(config, setting, policies, [sizes.get("seed")], sizes.get("threads"))
    served = sum(lanes * (config.scenarios[number].warmup_requests - (-requests // lanes)) for number in numbers)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
    evaluations = []
    with Progress(*columns, console=log_console(), transient=True) as progress:
        for policy in policies:
            # a heuristic is done within seconds and does not say how far it is
            total = served if isinstance(policy, Agent) else None
            task = progress.add_task(policy.name, total=total)

            def advance(count: int, task: Any = task) -> None:
                progress.advance(task, count)

            parts = [
                evaluate_policy(config, policy, scenario=number, setting=setting, progress=advance, **sizes)
                for number in numbers
            ]
            evaluations.append(together(parts))
            progress.remove_task(task)
    if record is not None:
        seed = sizes.get("seed", config.execution.eval_seed)
        count = domain.record_traffic(setting, record, requests=requests, lanes=lanes, seed=seed, scenario=numbers[0])
        log_console().print(f"recorded {count:,} requests in {record}", markup=False)
    return evaluations


def _refuse_load_of_traces(config: ExperimentConfig, scenario: str | None) -> None:
    """Say so where --load would change nothing.

    Raises:
        ConfigError: the scenario replays a trace.
    """
    chosen = config.scenarios[0 if scenario is None else scenario]
    if chosen.trace is not None:
        raise ConfigError(f"--load cannot change what trace {chosen.trace} offers: leave it out")


def against(first: "Evaluation", evaluation: "Evaluation") -> dict[str, Any]:
    """An evaluation as JSON types, with its paired difference to the first."""
    from fusion_rl.training.compare import paired_half_width

    difference = (evaluation.tally.blocking_by_lane() - first.tally.blocking_by_lane()).mean()
    paired = {"mean": difference, "ci95": paired_half_width(evaluation, first)}
    return evaluation.as_dict() | {"difference_to_first": paired}


def _print_one(evaluation: "Evaluation") -> None:
    shown = evaluation.as_dict()
    service, bit_rate = shown.pop("service_blocking"), shown.pop("bit_rate_blocking")
    shown.pop("scenarios", None)  # they have a table of their own
    if not shown.get("refused_requests"):
        shown.pop("refused_requests", None)  # what is said is that there were some
    reasons = ", ".join(f"{name} {count:,}" for name, count in shown.pop("block_reasons").items())
    rows = [
        ("policy", shown.pop("policy")),
        ("service blocking", f"{interval(service['mean'], service['ci95'])} (95 %, {shown.pop('ci_method')})"),
        ("bit-rate blocking", interval(bit_rate["mean"], bit_rate["ci95"])),
        ("blocked requests", f"{shown.pop('blocked_requests'):,} ({reasons})"),
        ("requests a second", f"{shown.pop('requests_per_second'):,.0f}"),
        *((key.replace("_", " "), _plain(value)) for key, value in shown.items()),
    ]
    print_table(("", "result and conditions"), rows)


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items() if not isinstance(part, list | tuple))
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)
