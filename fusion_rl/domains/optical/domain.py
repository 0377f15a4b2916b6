"""The optical domain as the layers above know it: see `fusion_rl.domains.base.Domain`."""

from dataclasses import replace

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import trace_files
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.metrics import Gauge, Tally
from fusion_rl.domains.optical.pipelines.orchestrator import Decisions
from fusion_rl.domains.optical.refusals import Refusals
from fusion_rl.domains.optical.rollout import LaneServer, Rollout, recorded, run
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.setting import prepare as prepare_setting
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.snapshot import restore, snapshot

__all__ = ["restore", "snapshot"]  # part of the domain as they are; the rest is defined here

BASELINES = ("mscl", "ksp-ff", "ff-ksp", "ksp-bf", "least-congested", "sp-ff", "random")


def prepare(config: ExperimentConfig) -> Setting:
    """Network and scenarios, made ready once and shared by everything that simulates them."""
    return prepare_setting(config.network, config.scenarios)


def make_simulator(
    config: ExperimentConfig,
    setting: Setting,
    num_lanes: int,
    seed: int,
    *,
    scenario: int | None = None,
    warmup_requests: int | None = None,
    episode_requests: int | None = None,
    by_decision: bool = False,
) -> OpticalSimulator:
    """The simulator that a configuration's observation, action codec and reward ask for."""
    return OpticalSimulator(
        setting,
        num_lanes=num_lanes,
        observation=config.algorithm.observation,
        action=config.algorithm.action,
        reward=config.reward,
        seed=seed,
        scenario=scenario,
        warmup_requests=warmup_requests,
        episode_requests=episode_requests,
        by_decision=by_decision,
    )


def heuristic_names() -> tuple[str, ...]:
    """Policies that need no training."""
    return HEURISTICS.names()


def run_heuristic(
    setting: Setting,
    policy: str | Heuristic,
    *,
    requests: int,
    lanes: int,
    seed: int,
    scenario: int,
    threads: int | None,
    count_refusals: bool = False,
) -> Rollout:
    """Serve a scenario's traffic with a heuristic, by name or as it is; see `rollout.run`."""
    refusals = Refusals(setting, lanes, setting.scenarios[scenario].warmup_requests) if count_refusals else None
    served = run(
        setting,
        HEURISTICS[policy] if isinstance(policy, str) else policy,
        requests=requests,
        lanes=lanes,
        seed=seed,
        scenario=scenario,
        threads=threads,
        on_served=refusals,
    )
    if refusals is None:
        return served
    seconds = served.seconds - float(refusals.seconds_by_lane.sum()) / served.threads
    return replace(served, refused=int(refusals.by_lane.sum()), seconds=seconds)


def make_tally(setting: Setting, scenario: int, requests: int, lanes: int) -> Tally:
    """Counts for what an agent does with a scenario's traffic."""
    return Tally(lanes, -(-requests // lanes), setting.scenarios[scenario].warmup_requests)


def replay(setting: Setting, decisions: Decisions, *, seed: int, scenario: int = 0) -> Decisions:
    """Serve the first traffic of lane 0 with decisions made before, and say what became of each request."""
    count = decisions.verdict.size
    server = LaneServer(setting.world, Heuristic(recorded, lambda _: decisions), setting.typical_erlang)
    return server.serve(setting.models[scenario].stream(seed, 0, 0).take(count))


def check_traffic(setting: Setting, *, requests: int, lanes: int, scenario: int, record: str | None = None) -> None:
    """Make sure before an evaluation of this size that there are the requests, and that they can be recorded."""
    model = setting.models[scenario]
    model.require(range(lanes), model.scenario.warmup_requests - (-requests // lanes))
    if record is not None:
        trace_files.check_writable(record)


def record_traffic(setting: Setting, file: str, *, requests: int, lanes: int, seed: int, scenario: int) -> int:
    """Write the requests that an evaluation of this size serves as a trace; returns how many there are."""
    model = setting.models[scenario]
    count = model.scenario.warmup_requests - (-requests // lanes)
    model.require(range(lanes), count)
    served = [model.stream(seed, lane, 0).take(count) for lane in range(lanes)]
    trace_files.write(file, served, setting.topology, setting.classes)
    return lanes * count


def make_gauge(setting: Setting) -> Gauge:
    """Room for samples of utilisation and fragmentation."""
    return Gauge(setting.world.link_length_km.size)


def conditions(setting: Setting, scenario: int) -> dict[str, object]:
    """What a blocking figure of this scenario must name to mean anything."""
    network, traffic, model = setting.network, setting.scenarios[scenario], setting.models[scenario]
    reach = network.reach_table
    return {
        "topology": setting.topology.name,
        "links": network.links,
        "slots": network.slots,
        "guard_slots": network.guard_slots,
        "reach_table": [[f.bits_per_s_per_hz, f.reach_km] for f in reach] if reach is not None else None,
        "k_paths": network.k_paths,
        "path_order": network.path_order if network.paths_file is None else f"file {network.paths_file}",
        **_rules(network, traffic),
        "scenario": traffic.name,
        "load_erlang": model.load_erlang,
        "offered_erlang": model.offered_erlang,
        **_laws(traffic),
        "warmup_requests": traffic.warmup_requests,
    }


def _rules(network: NetworkConfig, scenario: ScenarioConfig) -> dict[str, object]:
    """What makes a network more than one lightpath for each request; nothing where it is not."""
    optional = {
        "grooming": network.grooming,
        "slicing": network.slicing,
        "transmission": network.transmission,
        "failures": scenario.failures,
    }
    told: dict[str, object] = {name: given.model_dump() for name, given in optional.items() if given is not None}
    if network.format_choice != "by-reach":
        told["format_choice"] = network.format_choice
    if network.protection != "none":
        told["protection"] = network.protection
    if scenario.failures is not None:
        told["restoration"] = network.restoration
    if network.transmission is not None and network.reach_table is not None:
        told["required_snr_db"] = [[f.bits_per_s_per_hz, f.required_snr_db] for f in network.reach_table]
    return told


def _laws(scenario: ScenarioConfig) -> dict[str, object]:
    """Where requests come from: a trace, or laws; truncation is one of exponential holding times alone."""
    if scenario.trace is not None:
        return {"trace": scenario.trace}
    laws: dict[str, object] = {"arrivals": scenario.arrivals.kind, "holding": scenario.holding.kind}
    if scenario.holding.kind == "exponential":
        laws["holding_truncation"] = scenario.holding_truncation
    return laws
