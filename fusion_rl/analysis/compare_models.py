"""Models of a run store side by side: what there is, who blocks less at which load, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion_rl.arrays import Floats
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.domains.base import Domain
from fusion_rl.domains.optical import domain
from fusion_rl.errors import ConfigError, PolicyError, TrackingError
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.charts import COLOURS, MARKERS
from fusion_rl.training.compare import paired_half_width
from fusion_rl.training.comparison import Comparison
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.plots import FAINT, INK, QUIET, dress, frame
from fusion_rl.training.policies import Agent, Policy, find

_SCHEME = "models:/"
_SHARES_OF_LOAD = (0.8, 0.9, 1.0, 1.1)
_COLUMNS = (
    "model", "version", "aliases", "algorithm", "topology", "load", "timesteps", "seed", "service_blocking", "ci95",
    "created", "run_id",
)  # fmt: skip


def models_frame(tracking_dir: str | Path) -> pd.DataFrame:
    """Every version of every registered model, newest first; indexed by its address.

    `service_blocking` and `ci95` are of its training's final evaluation, on that training's own network and traffic.

    Raises:
        TrackingError: the store cannot be read.
    """
    store = open_store(tracking_dir, create=False)
    runs = {run.run_id: run for run in store.search_runs()}
    rows = []
    for version in (version for model in store.registered_models() for version in model.versions):
        run = runs.get(version.run_id)  # None where it was deleted
        parameters, metrics, tags = (run.parameters, run.metrics, run.tags) if run else ({}, {}, {})
        rows.append(
            {
                "address": version.uri,
                "model": version.name,
                "version": version.version,
                "aliases": ", ".join(version.aliases),
                **{name: tags.get(name, version.tags.get(name, "")) for name in ("algorithm", "topology", "load")},
                **{name: parameters.get(f"execution.{name}", "") for name in ("timesteps", "seed")},
                "service_blocking": metrics.get("evaluation/service_blocking", np.nan),
                "ci95": metrics.get("evaluation/service_blocking_ci95", np.nan),
                "created": version.created,
                "run_id": version.run_id,
            }
        )
    frame = pd.DataFrame(rows, columns=["address", *_COLUMNS]).set_index("address")
    return frame.sort_values("created", ascending=False, kind="stable")


def choose_policies(tracking_dir: str | Path, given: Sequence[str], newest: int) -> list[Policy]:
    """The policies that are named; the newest registered models of one network where none is.

    Models are called by name and version, without the scheme of their address.

    Args:
        tracking_dir: folder of the run store.
        given: heuristics, checkpoints, addresses in the run store.
        newest: how many models, at most, where nothing is given.

    Raises:
        TrackingError: nothing is given and the store has no registered model.
        FusionRLError: one of them is unknown or cannot be read.
    """
    addresses = list(given) or _newest(tracking_dir, newest)
    found = [find(address, cast(Domain, domain), str(tracking_dir)) for address in addresses]
    return [replace(one, name=short(one.name)) if isinstance(one, Agent) else one for one in found]


def short(address: str) -> str:
    """What to call a policy in a table: a model by name and version, a checkpoint by its run's folder and file."""
    if address.startswith(_SCHEME):
        return address.removeprefix(_SCHEME)
    return "/".join(Path(address).parts[-2:])


def experiment_of(policy: Policy, tracking_dir: str | Path, load_erlang: float = 0.0) -> ExperimentConfig:
    """The experiment that an agent was trained in, with its results in this run store.

    Args:
        policy: an agent.
        tracking_dir: folder of the run store.
        load_erlang: of every scenario, nominal; 0: as trained.

    Raises:
        PolicyError: a heuristic was trained in none.
        ConfigError: the load is below 0.
    """
    if not isinstance(policy, Agent):
        raise PolicyError(f"'{policy.name}' is a heuristic and was trained nowhere: name a checkpoint or a model first")
    if load_erlang < 0:
        raise ConfigError(f"load_erlang is {load_erlang:g}: give a load above 0, or 0 for the agent's own")
    config = policy.config
    execution = config.execution.model_copy(update={"tracking_dir": str(tracking_dir)})
    changed = {"load_erlang": load_erlang} if load_erlang else {}
    scenarios = ScenariosConfig(tuple(scenario.model_copy(update=changed) for scenario in config.scenarios))
    return config.model_copy(update={"execution": execution, "scenarios": scenarios})


def loads_around(config: ExperimentConfig, given: Sequence[float] = ()) -> list[float]:
    """The loads that are given; else 80, 90, 100 and 110 % of the first scenario's, nominal Erlang."""
    return list(given) or [round(share * config.scenarios[0].load_erlang, 1) for share in _SHARES_OF_LOAD]


def paired_differences(met: Mapping[float, Sequence[Evaluation]], reference: str) -> pd.DataFrame:
    """How much more than a reference each other policy blocks at each load, lane by lane on the same requests.

    One row a load and policy: what it blocks, `difference` to the reference and `ci95`, the half-width of the
    difference's 95 % interval; `verdict` is "better", "worse" or "no telling", of the reference.

    Args:
        met: load -> evaluations on the same traffic, as `over_loads` gives them.
        reference: a policy among them.

    Raises:
        ConfigError: the reference is not among them.
    """
    rows = []
    for load, evaluations in met.items():
        own = next((one for one in evaluations if one.policy == reference), None)
        if own is None:
            raise ConfigError(f"{reference} is not among {', '.join(one.policy for one in evaluations)}")
        for other in (one for one in evaluations if one.policy != reference):
            apart: Floats = other.tally.blocking_by_lane() - own.tally.blocking_by_lane()
            difference, half = float(apart.mean()), paired_half_width(other, own)
            told = abs(difference) > half
            rows.append(
                {
                    "load_erlang": load,
                    "policy": other.policy,
                    "service_blocking": other.service_blocking.mean,
                    "difference": difference,
                    "ci95": half,
                    "verdict": ("better" if difference > 0 else "worse") if told else "no telling",
                }
            )
    return pd.DataFrame(rows).set_index(["load_erlang", "policy"])


def differences_figure(met: Mapping[float, Sequence[Evaluation]], reference: str) -> Figure:
    """The paired differences to a reference over the load, with their 95 % intervals.

    Raises:
        ConfigError: the reference is not among the policies.
    """
    rows = paired_differences(met, reference)
    conditions = next(iter(met.values()))[0].conditions
    told = {key: value for key, value in conditions.items() if not key.endswith("_erlang")}
    figure = frame(f"Blocked more than by {reference}", told, 4.0)
    axes = dress(figure.add_subplot())
    policies = list(dict.fromkeys(rows.index.get_level_values("policy")))
    loads = np.array(sorted(met), float)
    step = np.diff(loads).min(initial=np.inf) if loads.size > 1 else 1.0
    for number, policy in enumerate(policies):
        of_one = rows.xs(policy, level="policy").sort_index()
        aside = (number - (len(policies) - 1) / 2) * 0.06 * step  # bars at one load would hide each other
        axes.errorbar(
            of_one.index.to_numpy(float) + aside,
            of_one["difference"].to_numpy(float),
            yerr=of_one["ci95"].fillna(0.0).to_numpy(float),
            fmt=f"{MARKERS[number % len(MARKERS)]}-",
            color=COLOURS[number % len(COLOURS)],
            capsize=3,
            linewidth=1.6,
            markersize=5,
            label=policy,
        )
    axes.axhline(0, color=QUIET, linewidth=1)
    axes.annotate(reference, (1.01, 0), xycoords=axes.get_yaxis_transform(), va="center", size=9, color=QUIET)
    axes.set_xticks(loads, [f"{load:g}" for load in loads])
    axes.grid(axis="y", color=FAINT)
    axes.set(xlabel="nominal load (Erlang)", ylabel="difference in the share of requests blocked")
    axes.legend(frameon=False, labelcolor=INK, fontsize=9)
    return figure


def comparison_frame(result: Comparison) -> pd.DataFrame:
    """What a comparison measured: one row a load and policy, indexed by both.

    `difference` and `ratio` are to the first policy, paired on the same requests, each with the half-width of its 95 %
    interval beside it. `utilisation` and `fragmentation` are means over links and time.
    """
    rows = pd.DataFrame(result.columns()).set_index(["load_erlang", "policy"])
    usage = pd.DataFrame([one.usage for found in result.loads.values() for one in found], index=rows.index)
    measured = rows[["service_blocking", "ci95", "difference", "difference_ci95", "ratio", "ratio_ci95"]]
    return measured.join(usage[["utilisation", "fragmentation"]]).join(rows["requests_per_second"].round())


def published_frame(result: Comparison) -> pd.DataFrame:
    """What others published of the same network and traffic, with its conditions: not on these requests."""
    columns = ["name", "kind", "load_erlang", "blocking", "conditions", "source"]
    return pd.DataFrame([vars(one) for one in result.references], columns=columns).set_index(["load_erlang", "name"])


def _newest(tracking_dir: str | Path, count: int) -> list[str]:
    """Addresses of the newest versions, of the network that the newest of all was trained on."""
    frame = models_frame(tracking_dir)
    if frame.empty:
        raise TrackingError(
            f"no model is registered in {tracking_dir}: train one (`00_start_here` does), or name checkpoints"
        )
    return [str(address) for address in frame.index[frame["topology"] == frame["topology"].iloc[0]][:count]]
