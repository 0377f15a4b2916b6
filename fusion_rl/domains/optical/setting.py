"""A setting: one network and its scenarios, made ready to simulate."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import paths, topology, trace_files, traces, traffic, world
from fusion_rl.errors import TrafficError


@dataclass(frozen=True)
class Setting:
    """What every user of the simulator shares.

    Attributes:
        network, scenarios: the configuration it was made from.
        topology: nodes and links.
        candidates: the candidate paths, with their nodes.
        classes: the bandwidths that requests can have.
        world: the arrays that the kernels read.
        models: one traffic model a scenario, or its trace.
    """

    network: NetworkConfig
    scenarios: tuple[ScenarioConfig, ...]
    topology: topology.Topology
    candidates: paths.CandidatePaths
    classes: traffic.BandwidthClasses
    world: world.World
    models: tuple[traffic.TrafficModel | traces.TraceModel, ...]

    @cached_property
    def candidates_sha256(self) -> str:
        """Digest of the candidate paths in their order."""
        return hashlib.sha256(repr(self.candidates.nodes).encode()).hexdigest()

    def traffic_sha256(self, *entropy: int, requests: int = 10_000) -> str:
        """Digest of the first requests of every scenario for given seeds, to tell traffic apart by."""
        digests = [traffic.digest(model.stream(*entropy).take(requests)) for model in self.models]
        return hashlib.sha256("".join(digests).encode()).hexdigest()

    def path_names(self, path: int) -> str:
        """A candidate path as node names joined by dashes."""
        return "-".join(self.topology.nodes[node] for node in self.candidates.nodes[path])

    @property
    def typical_erlang(self) -> float:
        """The largest number of services that one scenario offers at a time, on average."""
        return float(np.max([scenario.offered_erlang for scenario in self.scenarios]))


def prepare(network: NetworkConfig, scenarios: Iterable[ScenarioConfig]) -> Setting:
    """Read the topology, find the candidate paths, and check that the scenarios fit the network.

    Raises:
        ConfigError, TopologyError, TrafficError, UnknownNameError: what was given cannot be simulated.
    """
    scenarios = tuple(scenarios)
    read = topology.read(network.topology, network.links)
    replayed = {
        s.name: trace_files.read(s.trace, read, network.slot_width_ghz) for s in scenarios if s.trace is not None
    }
    for trace in replayed.values():
        if network.reach_table is None and not trace.slots.all():
            raise TrafficError(
                f"network.reach_table is null (no formats), so trace {trace.file} must give width_slots, not Gb/s"
            )
    others = {
        pair for trace in replayed.values() for pair in zip(trace.gbps.tolist(), trace.slots.tolist(), strict=True)
    }
    classes = traffic.bandwidth_classes(scenarios, network.slot_width_ghz, others)
    models = tuple(
        traces.TraceModel(scenario, replayed[scenario.name], classes, read)
        if scenario.name in replayed
        else traffic.TrafficModel(scenario, read, classes, network.slot_width_ghz)
        for scenario in scenarios
    )
    fail = any(scenario.failures is not None for scenario in scenarios)
    candidates = paths.find(network, read)
    return Setting(
        network=network,
        scenarios=scenarios,
        topology=read,
        candidates=candidates,
        classes=classes,
        world=world.build(network, read, candidates, classes, fail),
        models=models,
    )
