"""Traffic: (scenario, seed) -> requests. The only place that draws random numbers for the simulator.

Every lane has its own stream, and a stream draws each quantity from a generator of its own. What a lane meets
therefore depends on the scenario and its seeds alone: not on what any agent does, on the number of lanes, or
on how many requests are drawn at a time.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import networkx as nx
import numpy as np

from fusion_rl.arrays import Floats, Ints, frozen
from fusion_rl.config.scenarios import (
    GravityPairs,
    MatrixPairs,
    NodeWeightPairs,
    ScenarioConfig,
    SlotBandwidth,
    UniformBandwidth,
    WeightedBandwidth,
)
from fusion_rl.config.times import DeterministicHolding, ExponentialHolding, LogNormalHolding
from fusion_rl.domains.optical.arrivals import make_clock
from fusion_rl.domains.optical.failures import failures_of
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.errors import TrafficError


@dataclass(frozen=True)
class BandwidthClasses:
    """The distinct bandwidths of one or several scenarios.

    Attributes:
        gbps: bit rates, [C]; for a class given in slots, what those carry at 1 bit/s/Hz.
        slots: widths, [C]; 0 for a class given by its bit rate.
    """

    gbps: Floats
    slots: Ints

    def index(self, gbps: float, slots: int) -> int:
        """The class of a bandwidth that is among them."""
        return int(np.flatnonzero((self.gbps == gbps) & (self.slots == slots))[0])


def _shares(scenario: ScenarioConfig, slot_width_ghz: float) -> list[tuple[float, int, float]]:
    """(Gb/s, width in slots or 0, share of the requests) of each bandwidth of a scenario."""
    bandwidth = scenario.bandwidth
    match bandwidth:
        case UniformBandwidth():
            values = range(bandwidth.low_gbps, bandwidth.high_gbps + 1)
            return [(float(gbps), 0, 1.0 / len(values)) for gbps in values]
        case WeightedBandwidth():
            total = sum(bandwidth.weights)
            return [(g, 0, w / total) for g, w in zip(bandwidth.values_gbps, bandwidth.weights, strict=True)]
        case SlotBandwidth():
            total = sum(bandwidth.weights)
            return [
                (width * slot_width_ghz, width, weight / total)
                for width, weight in zip(bandwidth.widths_slots, bandwidth.weights, strict=True)
            ]


def bandwidth_classes(
    scenarios: Sequence[ScenarioConfig], slot_width_ghz: float, others: Iterable[tuple[float, int]] = ()
) -> BandwidthClasses:
    """The distinct bandwidths of all scenarios, and others (Gb/s, width in slots or 0), in ascending order."""
    drawn = {(gbps, slots) for scenario in scenarios for gbps, slots, _ in _shares(scenario, slot_width_ghz)}
    distinct = sorted(drawn.union(others))
    return BandwidthClasses(
        gbps=np.array([gbps for gbps, _ in distinct], np.float64),
        slots=np.array([slots for _, slots in distinct], np.int32),
    )


def _pair_weights(scenario: ScenarioConfig, topology: Topology) -> Floats | None:
    """Share of the requests of each ordered pair, [R]; None where all are alike."""
    count = len(topology.nodes)
    match scenario.pairs:
        case NodeWeightPairs(weights=by_name):
            unknown = sorted(set(by_name) - set(topology.nodes))
            if unknown:
                raise TrafficError(
                    f"scenario '{scenario.name}': node weights for {unknown}, which topology '{topology.name}' "
                    f"does not have; its nodes are {', '.join(topology.nodes)}"
                )
            per_node = np.array([by_name.get(node, 0.0) for node in topology.nodes])
            matrix = np.outer(per_node, per_node)
            if isinstance(scenario.pairs, GravityPairs):
                # relative to the longest distance: no power of a length in km gets out of hand
                distance = _distances_km(topology)
                np.fill_diagonal(distance, distance.max())
                matrix = matrix * (distance / distance.max()) ** -scenario.pairs.distance_exponent
        case MatrixPairs(file=file):
            try:
                matrix = np.loadtxt(file, delimiter=",", ndmin=2)
            except (OSError, ValueError) as error:
                raise TrafficError(f"scenario '{scenario.name}': matrix {file} cannot be read: {error}") from error
            if matrix.shape != (count, count):
                raise TrafficError(
                    f"scenario '{scenario.name}': matrix {file} has shape {matrix.shape}, topology "
                    f"'{topology.name}' needs ({count}, {count})"
                )
        case _:
            return None
    if not np.isfinite(matrix).all() or (matrix < 0).any():
        raise TrafficError(f"scenario '{scenario.name}': source-destination weights must be finite and not negative")
    weights = matrix[topology.pair_source, topology.pair_target]
    if weights.sum() <= 0:
        raise TrafficError(f"scenario '{scenario.name}': the source-destination weights leave no pair with traffic")
    return np.asarray(weights / weights.sum(), np.float64)


def _distances_km(topology: Topology) -> Floats:
    """Length of the shortest path between any two nodes, [N, N]."""
    lengths = dict(nx.all_pairs_dijkstra_path_length(topology.graph, weight="length_km"))
    return np.array([[lengths[source][target] for target in topology.nodes] for source in topology.nodes])


class TrafficModel:
    """A scenario made ready to draw requests on one topology.

    Args:
        scenario: what to draw.
        topology: where; its ordered pairs number the sources and destinations.
        classes: the bandwidth classes of the world, which contain the scenario's.
        slot_width_ghz: width of one FSU.

    Raises:
        TrafficError: weights name unknown nodes, have the wrong shape or leave no traffic.
    """

    def __init__(
        self, scenario: ScenarioConfig, topology: Topology, classes: BandwidthClasses, slot_width_ghz: float
    ) -> None:
        self.scenario = scenario
        self.topology = topology
        failures_of(scenario, topology, ())  # a schedule that names no edge fails here
        self.load_erlang = scenario.load_erlang
        self.offered_erlang = scenario.offered_erlang
        self.draw_holding = _holding_law(scenario)
        self.mean_gap = 1.0 / scenario.arrival_rate
        shares = _shares(scenario, slot_width_ghz)
        self.class_ids = np.array([classes.index(gbps, slots) for gbps, slots, _ in shares], np.int32)
        self._class_edges = _edges(np.array([share for *_, share in shares]))
        self.num_pairs = len(topology.pair_source)
        weights = _pair_weights(scenario, topology)
        self._pair_edges = None if weights is None else _edges(weights)

    def stream(self, *entropy: int) -> "Stream":
        """The requests that go with the scenario's seed and further seeds (run, lane, episode ...)."""
        return Stream(self, (self.scenario.seed, *entropy))

    def require(self, lanes: Sequence[int], requests: int) -> None:
        """Any run finds enough requests: a stream has no end. (A trace has one.)"""


def _edges(shares: Floats) -> Floats | None:
    """Upper edges of the unit interval's parts, without the last; None where the parts are equal."""
    return None if np.allclose(shares, shares[0]) else np.cumsum(shares / shares.sum())[:-1]


def _draw(generator: np.random.Generator, edges: Floats | None, choices: int, count: int) -> Ints:
    if edges is None:
        return generator.integers(choices, size=count, dtype=np.int32)
    return np.searchsorted(edges, generator.random(count), side="right").astype(np.int32)


def _holding_law(scenario: ScenarioConfig) -> Callable[[np.random.Generator, int], Floats]:
    """The function that draws holding times: (generator, count) -> [count]."""
    mean = scenario.mean_holding_time
    match scenario.holding:
        case ExponentialHolding() if scenario.holding_truncation == "none":
            return lambda generator, count: generator.standard_exponential(count) * mean
        case ExponentialHolding():
            # Redrawing an exponential while it is >= 2 x its mean gives this law; its inverse takes one draw each.
            return lambda generator, count: np.log1p(generator.random(count) * np.expm1(-2.0)) * -mean
        case DeterministicHolding():
            return lambda _, count: np.full(count, mean)
        case LogNormalHolding(sigma=sigma):
            return lambda generator, count: np.exp(generator.standard_normal(count) * sigma - sigma**2 / 2) * mean


def traffic_key(entropy: tuple[int, ...]) -> int:
    """The key of the requests that go with these seeds."""
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0] >> np.uint64(1))


class Stream:
    """One lane's requests, without end.

    Args:
        model: what to draw.
        entropy: the seeds.
    """

    def __init__(self, model: TrafficModel, entropy: tuple[int, ...]) -> None:
        self.model = model
        self._gaps, self._holdings, self._pairs, self._bandwidths, bursts = (
            np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(entropy).spawn(5)
        )
        self._clock = make_clock(model.scenario.arrivals, bursts)
        self._key = traffic_key(entropy)
        self._steady_time = 0.0  # the last arrival, had the rate been its mean at all times
        self._last_arrival = 0.0
        self._drawn = 0
        self._failures = failures_of(model.scenario, model.topology, entropy)

    def take(self, count: int) -> Requests:
        """The next requests, as read-only arrays [count]."""
        model = self.model
        arrival = self._draw_arrivals(count)
        requests = Requests(
            arrival=frozen(arrival),
            holding=frozen(model.draw_holding(self._holdings, count)),
            pair=frozen(_draw(self._pairs, model._pair_edges, model.num_pairs, count)),
            bandwidth_class=frozen(
                model.class_ids[_draw(self._bandwidths, model._class_edges, model.class_ids.size, count)]
            ),
            key=self._key,
            number=self._drawn,
            events=None if self._failures is None else self._failures.until(float(arrival[-1])),
        )
        self._drawn += count
        return requests

    def _draw_arrivals(self, count: int) -> Floats:
        gaps = self._gaps.standard_exponential(count) * self.model.mean_gap
        gaps[0] += self._steady_time
        steady = np.cumsum(gaps)
        self._steady_time = float(steady[-1])
        if self._clock is None:
            return steady
        arrival = self._clock(steady)
        arrival[0] = max(arrival[0], self._last_arrival)
        np.maximum.accumulate(arrival, out=arrival)  # rounding must not let time go backwards
        self._last_arrival = float(arrival[-1])
        return arrival


def digest(requests: Requests) -> str:
    """SHA-256 of what was asked for, to name a traffic trace by."""
    sha = hashlib.sha256()
    for array in (requests.arrival, requests.holding, requests.pair, requests.bandwidth_class):
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()
