"""`fusion-rl evaluate --loads`: the policies at several loads, as a table, as JSON and as a picture."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fusion_rl.cli.output import log_console, print_json, print_table
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import ConfigError, nearest_hint

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fusion_rl.training.evaluate import Evaluation

_PICTURES = (".png", ".svg", ".pdf")


def parse_loads(text: str) -> list[float]:
    """Loads, Erlang, from numbers with commas between them.

    Raises:
        ConfigError: something between the commas is not a number.
    """
    loads = []
    for part in text.split(","):
        try:
            loads.append(float(part))
        except ValueError:
            raise ConfigError(
                f"--loads takes Erlang with commas between, as 190,210,230: '{part.strip()}' is no number"
            ) from None
    return loads


def parse_numbers(option: str, text: str) -> list[int]:
    """Whole numbers with commas between.

    Raises:
        ConfigError: something between the commas is none.
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = next((part for part in parts if not part.isdigit()), None)
    if wrong is not None:
        raise ConfigError(f"{option} takes whole numbers with commas between, as 1,2,3: '{wrong}' is none")
    return [int(part) for part in parts]


def check_picture(file: str) -> Path:
    """Make sure before an evaluation that its picture can be written.

    Raises:
        ConfigError: the ending is not that of a picture, or the folder cannot be written.
    """
    path = Path(file)
    if path.suffix not in _PICTURES:
        raise ConfigError(f"--plot {file}: unknown ending '{path.suffix}': {nearest_hint(path.suffix, _PICTURES)}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--plot {file}: {path.parent} must be a folder that can be written")
    return path


def write_picture(figure: "Figure", path: Path) -> None:
    """Write a figure, whole or not at all."""
    handle, temporary = tempfile.mkstemp(suffix=path.suffix, prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(temporary)
        os.chmod(temporary, 0o644)  # as other files are; a temporary one is its owner's alone
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sweep(
    config: ExperimentConfig,
    names: Sequence[str],
    loads_erlang: Sequence[float],
    scenario: str | None,
    sizes: dict[str, int],
    trust: bool,
) -> dict[float, list["Evaluation"]]:
    """Evaluate every policy at every load, once all of them are known to exist and to fit."""
    from fusion_rl.envs.make import domain_of
    from fusion_rl.training.loads import at_loads, check_agents, over_loads
    from fusion_rl.training.policies import find

    index = 0 if scenario is None else config.scenarios.names().index(config.scenarios[scenario].name)
    at = at_loads(config, index, loads_erlang)
    domain = domain_of(config)
    policies = [find(name, domain, config.execution.tracking_dir, trust=trust) for name in names]
    seeds = [sizes.get("seed")]
    check_agents(at, domain.prepare(at), policies, seeds, sizes.get("threads"))
    given = {name: size for name, size in sizes.items() if name != "seed"}
    with log_console().status("evaluating") as status:

        def told(load: float, policy: str) -> None:
            status.update(f"evaluating {policy} at {load:g} E")

        return over_loads(config, policies, loads_erlang, scenario=index, seeds=seeds, told=told, **given)


def show(loads: Mapping[float, Sequence["Evaluation"]], picture: Path | None, as_json: bool) -> None:
    """Print a sweep, and draw it where a picture is asked for."""
    if picture is not None:
        from fusion_rl.training.charts import blocking_against_load, draw

        write_picture(draw(blocking_against_load(loads)), picture)
    if as_json:
        print_json(jsonable(loads))
    else:
        print_loads(loads)


def jsonable(loads: Mapping[float, Sequence["Evaluation"]]) -> dict[str, Any]:
    """Every evaluation by load, with its paired difference to the first policy."""
    from fusion_rl.cli.evaluate import against

    return {
        "loads": [
            {"load_erlang": load, "policies": [against(found[0], one) for one in found]}
            for load, found in loads.items()
        ]
    }


def print_loads(loads: Mapping[float, Sequence["Evaluation"]]) -> None:
    """A row for each load, a column for each policy, and how far the others are from the first."""
    from fusion_rl.cli.evaluate import against, describe, interval

    policies = [one.policy for one in next(iter(loads.values()))]
    columns = ["load (E)", *policies, *(f"{name} less {policies[0]}" for name in policies[1:])]
    rows = []
    for load, found in loads.items():
        blocked = [interval(one.service_blocking.mean, one.service_blocking.ci95) for one in found]
        apart = [against(found[0], one)["difference_to_first"] for one in found[1:]]
        rows.append([f"{load:g}", *blocked, *(interval(one["mean"], one["ci95"], sign="+") for one in apart)])
    typer.echo(describe(next(iter(loads.values()))[0], with_load=False))
    print_table(columns, rows)
    typer.echo("service blocking ± 95 %; at each load all policies met the same requests, and differences are paired.")
