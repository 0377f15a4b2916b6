"""The options that commands share, declared once, and how they become a configuration.

A command takes the ones it needs, as `experiment: Experiment = None`, and hands them to `resolve`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import typer

from fusion_rl.config.load import Resolved, load
from fusion_rl.tuning.definition import PREFIX

_CONCERNS = "Experiment"
_VALUES = "Single values"

Experiment: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--experiment",
        "-e",
        help="Experiment: preset or YAML file [default: deeprmsa-nsfnet].",
        rich_help_panel=_CONCERNS,
    ),
]
Network: TypeAlias = Annotated[
    str | None, typer.Option("--network", help="Network: preset or YAML file.", rich_help_panel=_CONCERNS)
]
Scenarios: TypeAlias = Annotated[
    str | None, typer.Option("--scenarios", help="Traffic: preset or YAML file.", rich_help_panel=_CONCERNS)
]
Algorithm: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--algorithm",
        help="Algorithm: preset, YAML file, or study:NAME for that of a study's best trial.",
        rich_help_panel=_CONCERNS,
    ),
]
Reward: TypeAlias = Annotated[
    str | None, typer.Option("--reward", help="Reward: preset or YAML file.", rich_help_panel=_CONCERNS)
]
Execution: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--execution",
        help="Execution: sanity, quick, production, long, gpu ..., or YAML file.",
        rich_help_panel=_CONCERNS,
    ),
]
Profile: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="local: one lane, first scenario, short. server: all scenarios, a log file, long enough for results.",
        rich_help_panel=_CONCERNS,
    ),
]
AllScenarios: TypeAlias = Annotated[
    bool,
    typer.Option("--all-scenarios", help="All scenarios, with --profile local too.", rich_help_panel=_CONCERNS),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting, as network.k_paths=50 or scenarios.*.load_erlang=210. Repeatable.",
        rich_help_panel=_VALUES,
    ),
]
Load: TypeAlias = Annotated[
    float | None,
    typer.Option("--load", help="Load of all scenarios, nominal Erlang.", rich_help_panel=_VALUES),
]
PathsFile: TypeAlias = Annotated[
    str | None, typer.Option("--paths-file", help="CSV of candidate paths.", rich_help_panel=_VALUES)
]
Seed: TypeAlias = Annotated[int | None, typer.Option("--seed", help="Seed.", rich_help_panel=_VALUES)]
Timesteps: TypeAlias = Annotated[
    int | None, typer.Option("--timesteps", help="Requests decided in training.", rich_help_panel=_VALUES)
]
Lanes: TypeAlias = Annotated[
    int | None, typer.Option("--lanes", help="Networks simulated side by side.", rich_help_panel=_VALUES)
]
Device: TypeAlias = Annotated[str | None, typer.Option("--device", help="cpu, cuda or auto.", rich_help_panel=_VALUES)]
Name: TypeAlias = Annotated[str | None, typer.Option("--name", help="Name of the run.", rich_help_panel=_VALUES)]
ModelName: TypeAlias = Annotated[
    str | None, typer.Option("--model-name", help="Name of the registered model.", rich_help_panel=_VALUES)
]
TrafficSeeds: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--seeds", metavar="N,...", help="Seeds of the traffic, each of --lanes [default: execution.eval_seed]."
    ),
]
Requests: TypeAlias = Annotated[
    int, typer.Option("--requests", min=1, help="Requests that count, over all lanes, at each load and of each seed.")
]
LanesOfSeed: TypeAlias = Annotated[int, typer.Option("--lanes", min=1, help="Independent networks of each seed.")]
Plot: TypeAlias = Annotated[
    str | None, typer.Option("--plot", metavar="FILE", help="Also draw the result into this file (.png, .svg or .pdf).")
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout.")]


def resolve(
    experiment: str | Mapping[str, Any] | None = None,
    network: str | None = None,
    scenarios: str | None = None,
    algorithm: str | None = None,
    reward: str | None = None,
    execution: str | None = None,
    settings: Sequence[str] | None = None,
    load_erlang: float | None = None,
    paths_file: str | None = None,
    seed: int | None = None,
    timesteps: int | None = None,
    lanes: int | None = None,
    device: str | None = None,
    name: str | None = None,
    model_name: str | None = None,
    profile: str | None = None,
    all_scenarios: bool = False,
) -> Resolved:
    """The configuration that the options ask for; `--set` wins over the option of the same setting.

    Raises:
        ConfigError: an option cannot be used.
    """
    single = {
        "scenarios.*.load_erlang": load_erlang,
        "network.paths_file": paths_file,
        "execution.seed": seed,
        "execution.timesteps": timesteps,
        "execution.lanes": lanes,
        "execution.device": device,
        "execution.run_name": name,
        "execution.model_name": model_name,
        "execution.register_model": True if model_name is not None else None,  # a name is for the registry
    }
    given = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in single.items() if value is not None]
    found, lanes_advised = _of_study(algorithm)
    overrides = [*lanes_advised, *given, *(settings or ())]
    concerns = (network, scenarios, found, reward, execution)
    return load(
        experiment,
        *concerns,
        overrides=overrides,
        overrides_from="command line",
        profile=profile,
        all_scenarios=all_scenarios,
    )


def _of_study(algorithm: str | None) -> tuple[str | dict[str, Any] | None, list[str]]:
    """The algorithm that is meant: of `study:NAME` its best trial's, and the lanes that it learned on."""
    if algorithm is None or not algorithm.startswith(PREFIX):
        return algorithm, []
    from fusion_rl.tuning.results import best_of

    config = load(str(best_of(algorithm).config)).config
    return config.algorithm.model_dump(mode="json"), [f"execution.lanes={config.execution.lanes}"]
