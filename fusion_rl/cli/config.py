"""`fusion-rl config`: see, check and list configurations, without running anything."""

from pathlib import Path
from typing import Annotated

import typer

from fusion_rl.cli import options
from fusion_rl.cli.output import one_line_warnings, print_json, print_table
from fusion_rl.config import yaml_text
from fusion_rl.config.load import dump, flatten, load, preset_names, preset_summary
from fusion_rl.config.save import write_concerns, write_experiment
from fusion_rl.config.sources import CONCERNS
from fusion_rl.errors import ConfigError

app = typer.Typer(help="See, check and list configurations.", no_args_is_help=False, invoke_without_command=True)


@app.callback()
def _help_when_nothing_is_asked(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def show(
    experiment: options.Experiment = None,
    network: options.Network = None,
    scenarios: options.Scenarios = None,
    algorithm: options.Algorithm = None,
    reward: options.Reward = None,
    execution: options.Execution = None,
    settings: options.Settings = None,
    load_erlang: options.Load = None,
    paths_file: options.PathsFile = None,
    seed: options.Seed = None,
    timesteps: options.Timesteps = None,
    lanes: options.Lanes = None,
    device: options.Device = None,
    name: options.Name = None,
    model_name: options.ModelName = None,
    profile: options.Profile = None,
    all_scenarios: options.AllScenarios = False,
    as_json: options.Json = False,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print YAML that --experiment reads back.")] = False,
) -> None:
    """Print every setting, and where its value came from."""
    if as_json and as_yaml:
        raise ConfigError("--json and --yaml cannot both be printed: choose one")
    resolved = options.resolve(
        experiment, network, scenarios, algorithm, reward, execution,
        settings, load_erlang, paths_file, seed, timesteps, lanes, device, name, model_name, profile, all_scenarios,
    )  # fmt: skip
    values = flatten(resolved.config)
    if as_json:
        print_json({key: {"value": value, "origin": resolved.origin[key]} for key, value in values.items()})
    elif as_yaml:
        typer.echo(dump(resolved.config), nl=False)
    else:
        rows = [(key, "null" if value is None else value, resolved.origin[key]) for key, value in values.items()]
        print_table(("setting", "value", "from"), rows)


@app.command()
def validate(
    experiment: Annotated[str, typer.Argument(help="Experiment: preset or YAML file.")],
    settings: options.Settings = None,
    as_json: options.Json = False,
) -> None:
    """Check an experiment; the first thing wrong is named, with exit code 2."""
    resolved = options.resolve(experiment, settings=settings)
    from fusion_rl.envs.make import create_sim_env

    create_sim_env(resolved.config)  # reads the topology, finds the paths, makes observation, action and reward
    if as_json:
        print_json({"experiment": resolved.config.name, "valid": True, "settings": len(resolved.origin)})
    else:
        typer.echo(f"{resolved.config.name}: all {len(resolved.origin)} settings can be used")


@app.command()
def presets(
    concern: Annotated[
        str | None, typer.Argument(help="experiment, network, scenarios, algorithm, reward or execution.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the presets of one concern, or of all, and what they are."""
    concerns = ("experiment", *CONCERNS) if concern is None else (concern,)
    found = {key: {name: preset_summary(key, name) for name in preset_names(key)} for key in concerns}
    if as_json:
        print_json(found)
    else:
        rows = [(key, name, about) for key, names in found.items() for name, about in names.items()]
        print_table(("concern", "preset", "what it is"), rows)


@app.command("import")
def import_ini(
    file: Annotated[Path, typer.Argument(help="A FUSION configuration (ini).")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Experiment file (.yaml), or a folder for a file of each concern."),
    ] = None,
    topology: Annotated[
        str | None, typer.Option("--topology", help="Network, by name or file, where the ini's is not known here.")
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Turn a FUSION configuration into an experiment; every key that it could not use is listed, with the reason."""
    from fusion_rl.parity.fusion_import import read_ini

    with one_line_warnings():
        imported = read_ini(file, topology)
        config = load(imported.experiment).config
    text = ""
    if output is None:
        text = yaml_text.text(imported.experiment)
    elif output.suffix in (".yaml", ".yml"):
        write_experiment(imported.experiment, output)
    else:
        write_concerns(config, output)
    if as_json:
        print_json({"experiment": imported.experiment, "keys": imported.notes, "written": output})
        return
    typer.echo(text, nl=False)
    rows = [(f"[{note.section}] {note.key}", note.value, note.setting or "-", note.why) for note in imported.notes]
    print_table(("key", "value", "became", "remark"), rows, err=True)
    left = len(imported.left_out)
    typer.echo(f"{len(rows) - left} keys were used and {left} were not; {output or 'nothing was written'}", err=True)
