"""Small random worlds for Hypothesis, and the same world for the slow simulator."""

import tempfile
import warnings
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from fusion_rl.arrays import frozen
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.config.transmission import TransmissionConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.orchestrator import VERDICT_NAMES, Decisions
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting, prepare
from tests.oracles.slow_qot import SlowFibre
from tests.oracles.slow_simulator import Decision, SlowNetwork, SlowRequest

EdgeList = list[tuple[str, str, float]]

# The same examples on every machine; kernels compile within the first one, so no deadline.
few_examples = settings(deadline=None, derandomize=True, max_examples=20)
many_examples = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def edge_lists(draw: st.DrawFn, most_nodes: int = 7) -> EdgeList:
    """A connected graph: a random tree, and some edges more. Few different lengths, so that there are ties."""
    count = draw(st.integers(3, most_nodes))
    tree = {(draw(st.integers(0, node - 1)), node) for node in range(1, count)}
    others = [pair for pair in combinations(range(count), 2) if pair not in tree]
    more = set(draw(st.lists(st.sampled_from(others), max_size=8))) if others else set()
    length_km = st.sampled_from([100, 200, 300, 450, 700, 1300])
    return [(str(one), str(other), float(draw(length_km))) for one, other in sorted(tree | more)]


def reach_tables() -> st.SearchStrategy[list[dict[str, float | None]] | None]:
    """No formats; formats for any length; formats that leave long paths out of reach."""
    short: dict[str, float | None] = {"bits_per_s_per_hz": 4.0, "reach_km": 300.0}
    middle: dict[str, float | None] = {"bits_per_s_per_hz": 2.5, "reach_km": 800.0}
    long: dict[str, float | None] = {"bits_per_s_per_hz": 1.0, "reach_km": None}
    return st.sampled_from([None, [short, middle, long], [long, short], [middle, short], [short]])


def bandwidths() -> st.SearchStrategy[dict[str, Any]]:
    """One bandwidth law of each kind."""
    return st.sampled_from(
        [
            {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100},
            {"kind": "uniform-integers", "low_gbps": 10, "high_gbps": 400},
            {"kind": "weighted", "values_gbps": [12.5, 37.5, 150, 1000], "weights": [4, 3, 2, 1]},
            {"kind": "slots", "widths_slots": [1, 2, 5, 66], "weights": [5, 4, 3, 1]},
        ]
    )


@st.composite
def small_settings(draw: st.DrawFn, most_nodes: int = 7, most_slots: int = 140) -> Setting:
    """A network of 3 to 7 nodes with traffic that blocks now and then."""
    edges_of_words = [slots for slots in (63, 64, 65, 127, 128, 129) if slots <= most_slots]
    slots = draw(st.one_of(st.integers(4, most_slots), st.sampled_from(edges_of_words or [4])))
    return make_setting(
        draw(edge_lists(most_nodes)),
        network={
            "links": draw(st.sampled_from(["directed", "shared"])),
            "slots": slots,
            "guard_slots": draw(st.integers(0, 2)),
            "reach_table": draw(reach_tables()),
            "k_paths": draw(st.integers(1, 6)),
            "path_order": draw(st.sampled_from(["km", "hops", "hops-per-se"])),
        },
        scenario={
            "load_erlang": slots * draw(st.sampled_from([0.2, 0.6, 2.0])),
            "holding_truncation": draw(st.sampled_from(["none", "redraw-at-2x-mean"])),
            "bandwidth": draw(bandwidths()),
        },
    )


def make_setting(
    edges: EdgeList, network: Mapping[str, Any] | None = None, scenario: Mapping[str, Any] | None = None
) -> Setting:
    """A setting on these edges, read from a file as any other."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="k_paths=")  # small graphs have few paths
        file = Path(folder) / "small.csv"
        rows = [f"{one},{other},{km}" for one, other, km in edges]
        file.write_text("\n".join(["source,target,length_km", *rows]))
        traffic = {
            "name": "small",
            "load_erlang": 10.0,
            "bandwidth": {"kind": "slots", "widths_slots": [1], "weights": [1]},
        }
        return prepare(
            NetworkConfig.model_validate({"topology": str(file), **(network or {})}),
            [ScenarioConfig.model_validate({**traffic, **(scenario or {})})],
        )


@st.composite
def requests_with_ties(draw: st.DrawFn, setting: Setting, count: int) -> Requests:
    """Requests at whole times, so that arrivals and departures fall together."""
    lists = st.lists
    gaps = draw(lists(st.integers(0, 2), min_size=count, max_size=count))
    holdings = draw(lists(st.integers(0, 40), min_size=count, max_size=count))
    pairs = draw(lists(st.integers(0, len(setting.world.pair_source) - 1), min_size=count, max_size=count))
    classes = draw(lists(st.integers(0, len(setting.world.class_gbps) - 1), min_size=count, max_size=count))
    return Requests(
        arrival=frozen(np.cumsum(gaps).astype(np.float64)),
        holding=frozen(np.array(holdings, np.float64)),
        pair=frozen(np.array(pairs, np.int32)),
        bandwidth_class=frozen(np.array(classes, np.int32)),
        key=draw(st.integers(0, 2**63 - 1)),
        number=0,
    )


def fast_decisions(setting: Setting, heuristic: str, requests: Requests) -> tuple[list[Decision], LaneServer]:
    """What the fast simulator decides, and the lane it leaves."""
    server = LaneServer(setting.world, HEURISTICS[heuristic], setting.typical_erlang)
    return readable(setting, server.serve(requests)), server


def readable(setting: Setting, decisions: Decisions) -> list[Decision]:
    """Decisions as verdict names, node names and starts."""
    names = setting.topology.nodes
    rows = zip(*(array.tolist() for array in decisions), strict=True)
    return [
        (VERDICT_NAMES[verdict], tuple(names[node] for node in setting.candidates.nodes[path]), start)
        if path >= 0
        else (VERDICT_NAMES[verdict], None, None)
        for verdict, path, start in rows
    ]


def slow_network(setting: Setting) -> SlowNetwork:
    """The same world, told in node names."""
    names = setting.topology.nodes
    formats = setting.network.reach_table
    candidates: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for path in setting.candidates.nodes:
        candidates.setdefault((names[path[0]], names[path[-1]]), []).append(tuple(names[node] for node in path))
    return SlowNetwork(
        lengths_km={(edge.source, edge.target): edge.length_km for edge in setting.topology.edges},
        directed=setting.network.links == "directed",
        slots=setting.network.slots,
        guard_slots=setting.network.guard_slots,
        slot_width_ghz=setting.network.slot_width_ghz,
        reach_table=None if formats is None else [(form.bits_per_s_per_hz, form.reach_km) for form in formats],
        candidates=candidates,
        bandwidths=list(zip(setting.classes.gbps.tolist(), setting.classes.slots.tolist(), strict=True)),
    )


def slow_fibre(config: TransmissionConfig, slot_width_ghz: float) -> SlowFibre:
    """The same fibre in SI units."""
    return SlowFibre(
        longest_span_m=config.span_km * 1e3,
        loss_db_per_m=config.attenuation_db_per_km / 1e3,
        dispersion_s_per_m2=config.dispersion_ps_per_nm_km * 1e-12 / (1e-9 * 1e3),
        gamma_per_w_m=config.nonlinear_coefficient_per_w_km / 1e3,
        noise_figure_db=config.noise_figure_db,
        frequency_hz=config.centre_frequency_thz * 1e12,
        density_w_per_hz=10 ** (config.launch_power_dbm_per_slot / 10) / 1e3 / (slot_width_ghz * 1e9),
    )


def slow_requests(setting: Setting, requests: Requests) -> list[SlowRequest]:
    """The same requests, told in node names and Gb/s."""
    names, world = setting.topology.nodes, setting.world
    in_slots = setting.scenarios[0].bandwidth.kind == "slots"
    return [
        SlowRequest(
            arrival=float(requests.arrival[t]),
            holding=float(requests.holding[t]),
            source=names[world.pair_source[requests.pair[t]]],
            target=names[world.pair_target[requests.pair[t]]],
            gbps=(gbps := float(world.class_gbps[requests.bandwidth_class[t]])),
            width_slots=round(gbps / setting.network.slot_width_ghz) if in_slots else 0,
            key=requests.key,
            number=requests.number + t,
        )
        for t in range(requests.arrival.size)
    ]


def slots_in_use(setting: Setting, state: lane_state.State, lane: int = 0) -> dict[tuple[str, str], set[int]]:
    """Slots in use by link, as the slow simulator keeps them; idle links left out."""
    occupancy = lane_state.occupancy(state, setting.world, lane)
    return {
        (link.source, link.target): set(np.flatnonzero(row).tolist())
        for link, row in zip(setting.topology.links, occupancy, strict=True)
        if row.any()
    }
