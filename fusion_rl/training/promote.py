"""Which version of a registered model counts: an alias moves to one that is better, and to no other.

A challenger meets the champion on the champion's own network and scenarios (unless told otherwise), on traffic that
neither of them was trained, selected or judged on before, and both meet the same requests. It takes over if it blocks
less by more than the half-width of the 95 % interval of the paired difference. The first champion has to beat a
heuristic in the same way: an agent that does not is no reason to run an agent.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import flatten, save_resolved
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError, PolicyError, TrackingError, UnknownNameError
from fusion_rl.tracking.base import BLOCKING
from fusion_rl.tracking.registry import ModelVersion, RegisteredModel, find_version
from fusion_rl.training import checkpoints
from fusion_rl.training.compare import comparison_columns, paired_half_width
from fusion_rl.training.description import YARDSTICK, description, headline, loads_of, standing_of
from fusion_rl.training.evaluate import DEFAULT_LANES, DEFAULT_REQUESTS, Evaluation, evaluate_scenarios
from fusion_rl.training.policies import Agent, Heuristic, Policy, as_policy, require_fit

CHAMPION = "champion"
PROMOTION_SEED = 20_000  # of the traffic: neither the one of training nor the one of evaluations on the way
PROMOTION_TAG = "promotion_of"  # of a run that judged whether an alias moves: the version's address


@dataclass(frozen=True)
class Promotion:
    """What came of a challenge.

    Attributes:
        version: the challenger.
        alias: what it wanted to be.
        defender: who had to be beaten: the address of the version with the alias, or a heuristic.
        challenger, defended: what the two block, on the same traffic.
        difference, ci95: the challenger's blocking less the defender's, and the half-width of its 95 % interval.
        promoted: whether the alias moved.
        run_id: of the run that has all this.
    """

    version: ModelVersion
    alias: str
    defender: str
    challenger: Evaluation
    defended: Evaluation
    difference: float
    ci95: float
    promoted: bool
    run_id: str

    @property
    def told(self) -> str:
        """What came of it, and why, with the figures."""
        moved = f"is {self.alias} now" if self.promoted else f"does not become {self.alias}"
        return f"{self.version.uri} {moved}. {standing_of(self.challenger, self.defended)}"

    def as_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return {
            "name": self.version.name,
            "version": self.version.version,
            "alias": self.alias,
            "promoted": self.promoted,
            "defender": self.defender,
            "difference": {"mean": self.difference, "ci95": self.ci95},
            "challenger": self.challenger.as_dict(),
            "defended": self.defended.as_dict(),
            "run_id": self.run_id,
            "told": self.told,
        }


@dataclass(frozen=True)
class _Match:
    """Two policies and where they meet."""

    config: ExperimentConfig
    challenger: Agent
    defender: Policy


def promote(
    name: str,
    version: str | None = None,
    *,
    alias: str = CHAMPION,
    tracking_dir: str = "mlruns",
    experiment: ExperimentConfig | None = None,
    against: str = YARDSTICK,
    requests: int = DEFAULT_REQUESTS,
    lanes: int = DEFAULT_LANES,
    seed: int = PROMOTION_SEED,
    console: Console | None = None,
) -> Promotion:
    """Move an alias to a version of a registered model, if that is better than the one which has it.

    Args:
        name: of the registered model.
        version: number or alias of the challenger; None: the newest.
        alias: what it would become.
        tracking_dir: folder of the run store.
        experiment: where the two meet; None: network and scenarios that the champion was trained for, or the
            challenger where there is no champion yet.
        against: the heuristic that a first champion has to beat.
        requests: requests of each scenario, over all lanes.
        lanes: independent networks, two at least: the interval is over them.
        seed: of the traffic.
        console: where progress is shown; None: on standard error.

    Raises:
        FusionRLError: no such model, version or heuristic, the version has the alias already, the seed is one that
            a policy was trained or judged with, or a policy does not fit. Nothing is written.
    """
    import torch

    from fusion_rl.tracking.mlflow_store import open_store

    if lanes < 2:
        raise ConfigError(f"lanes is {lanes}: an interval needs two networks at least")
    _check_alias(alias)
    store = open_store(tracking_dir, create=False)
    model = store.registered_model(name)
    challenger = find_version(model, version)
    if alias in challenger.aliases:
        raise TrackingError(f"{challenger.uri} is {alias} already")
    match = _match(model, challenger, alias, experiment, against, tracking_dir, seed)
    domain, config = domain_of(match.config), match.config
    torch.set_num_threads(config.execution.torch_threads)
    setting = domain.prepare(config)
    for one in (match.challenger, match.defender):
        if isinstance(one, Agent):
            shown = config.model_copy(update={"algorithm": one.config.algorithm})
            require_fit(one, domain.make_simulator(shown, setting, 1, 0))
    size: dict[str, Any] = {"requests": requests, "lanes": lanes, "seed": seed, "setting": setting}
    title = f"v{challenger.version} as {alias} of {name}"
    tags = {PROMOTION_TAG: challenger.uri, "topology": setting.topology.name, "algorithm": config.algorithm.name}
    tags["load"] = loads_of(config)
    console = console or Console(stderr=True)
    with store.start(config.execution.experiment_name or config.name, title, flatten(config), tags) as run:
        with tempfile.TemporaryDirectory() as folder:
            run.log_artifact(save_resolved(config, Path(folder) / "config").parent)
        with console.status(f"{challenger.uri} meets {match.defender.name}"):
            ours, theirs = (evaluate_scenarios(config, one, **size) for one in (match.challenger, match.defender))
            difference = ours.service_blocking.mean - theirs.service_blocking.mean
            half = paired_half_width(ours, theirs)
        found = Promotion(
            challenger, alias, match.defender.name, ours, theirs, difference, half, difference < -half, run.run_id
        )
        run.log_metrics(headline(ours) | {"promotion/difference": difference, "promotion/difference_ci95": half})
        run.log_table(comparison_columns(ours, {theirs.policy: theirs}), "comparison.json")
        command = f"fusion-rl models promote {name}/{challenger.version} --alias {alias} --seed {seed}"
        again = [f"{command} --requests {requests} --lanes {lanes}"]
        run.describe(description(ours, {theirs.policy: theirs}, again, opening=found.told))
        run.set_tags({"promoted": str(found.promoted).lower()})
        if found.promoted and store.registered_model(name).aliases.get(alias) != model.aliases.get(alias):
            raise TrackingError(f"alias {alias!r} of {name} was moved meanwhile: promote again, against the new one")
        store.tag_version(challenger, _said_of_version(found, seed))
        if found.promoted:
            store.set_alias(name, alias, challenger.version)
    return found


def _match(
    model: RegisteredModel,
    challenger: ModelVersion,
    alias: str,
    experiment: ExperimentConfig | None,
    against: str,
    tracking_dir: str,
    seed: int,
) -> _Match:
    """Who meets whom, and where.

    Raises:
        FusionRLError: one of them cannot be read or found, or knows this traffic.
    """
    agent = _agent(challenger.uri, tracking_dir)
    agents, defender = [agent], None
    if alias in model.aliases:
        defender = _agent(find_version(model, alias).uri, tracking_dir)
        agents.append(defender)
    config = experiment or agents[-1].config
    for one in agents:
        trained = one.config.execution
        if seed in (trained.seed, trained.eval_seed):
            use = "trained" if seed == trained.seed else "judged while it was trained"
            raise PolicyError(f"{one.name} was {use} with seed {seed}: promotion needs traffic that is new to it")
    execution = config.execution.model_copy(update={"tracking_dir": tracking_dir})
    config = config.model_copy(update={"execution": execution, "algorithm": agent.config.algorithm})
    if defender is not None:
        return _Match(config, agent, defender)
    domain = domain_of(config)
    if against not in domain.heuristic_names():
        raise UnknownNameError("heuristic", against, domain.heuristic_names())
    return _Match(config, agent, Heuristic(against))


def _agent(uri: str, tracking_dir: str) -> Agent:
    from fusion_rl.tracking.mlflow_store import open_store

    stored = open_store(tracking_dir, create=False).stored_policy(uri)
    checkpoint = checkpoints.read(stored.checkpoint, trust=True)  # the store's models are taken as one's own
    return as_policy(uri, checkpoint.agent, checkpoint.config)


def _said_of_version(found: Promotion, seed: int) -> dict[str, object]:
    """What the version's page says of its last challenge."""
    return {
        "promotion": found.told,
        "promotion.run": found.run_id,
        "promotion.against": found.defender,
        "promotion.seed": seed,
        f"promotion.{BLOCKING}": f"{found.challenger.service_blocking}",
        "promotion.difference": f"{found.difference:+.5f} ± {found.ci95:.5f}",
    }


def _check_alias(alias: str) -> None:
    """MLflow's rules, told before anything is served.

    Raises:
        ConfigError: no alias can be called so.
    """
    is_version = alias.isdigit() or (alias[:1] in "vV" and alias[1:].isdigit())
    if not alias.replace("-", "").replace("_", "").isalnum() or is_version or alias.lower() == "latest":
        raise ConfigError(
            f"alias {alias!r} cannot be used: letters, digits, - and _, neither 'latest' nor like a version"
        )
