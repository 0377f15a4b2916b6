"""Small random worlds whose networks groom, split, protect, fail and model transmission; and their slow twins."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import strategies as st

from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ff_ksp import ff_ksp
from fusion_rl.domains.optical.heuristics.ksp_bf import ksp_bf
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.heuristics.last_fit import last_fit
from fusion_rl.domains.optical.heuristics.random_path import random_path
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.requests import Request, Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import COUNTERS, LIT_NOW, Lane, State
from fusion_rl.domains.optical.world import World
from tests.domains.optical.worlds import EdgeList, edge_lists, make_setting, slow_fibre
from tests.oracles.slow_lightpaths import Candidate, SlowOpticalNetwork
from tests.oracles.slow_simulator import Link

Options = tuple[Any, ...]  # settings to draw one from

FORMATS: dict[str, dict[str, Any]] = {
    "short": {"bits_per_s_per_hz": 4.0, "reach_km": 500.0, "required_snr_db": 19.0},
    "middle": {"bits_per_s_per_hz": 2.5, "reach_km": 1000.0, "required_snr_db": 16.5},
    "long": {"bits_per_s_per_hz": 1.0, "reach_km": None, "required_snr_db": 12.5},
}
GROOMING = tuple({"max_parts": parts} for parts in (1, 2, 3))
SLICING = tuple({"max_segments": count, "split": split} for count in (2, 3, 4) for split in ("equal", "greedy"))
BY_REACH_OR_ACTION = ("by-reach", "by-action")
ANY_FORMAT = (*BY_REACH_OR_ACTION, "by-snr")
FAILURES = ("scheduled", "random")

FAMILIES: dict[str, dict[str, Options]] = {
    "grooming": {
        "grooming": GROOMING,
        "slicing": (None, *SLICING),
        "failures": (None, *FAILURES),
        "format_choice": BY_REACH_OR_ACTION,
    },
    "slicing": {"slicing": SLICING, "failures": (None, None, *FAILURES), "format_choice": BY_REACH_OR_ACTION},
    "protection": {
        "protection": ("1+1",),
        "failures": ("scheduled", *FAILURES),
        "format_choice": BY_REACH_OR_ACTION,
    },
    "failures": {"failures": FAILURES, "format_choice": BY_REACH_OR_ACTION},
    "transmission": {"transmission": (True,), "failures": (None, None, *FAILURES), "format_choice": ANY_FORMAT},
    "transmission, grooming, slicing": {
        "transmission": (True,),
        "grooming": (None, *GROOMING),
        "slicing": SLICING,
        "failures": (None, None, *FAILURES),
        "format_choice": ANY_FORMAT,
    },
    "transmission, protection": {
        "transmission": (True,),
        "protection": ("1+1",),
        "failures": ("scheduled", *FAILURES),
        "format_choice": ANY_FORMAT,
    },
}


@st.composite
def ruled_settings(draw: st.DrawFn, options: Mapping[str, Options], most_slots: int = 30) -> Setting:
    """A network of 3 to 5 nodes with the given rules and traffic that blocks now and then."""
    given_options = {key: draw(st.sampled_from(values)) for key, values in options.items()}
    protected = given_options.get("protection") is not None
    edges = with_all_pairs(draw(edge_lists(4))) if protected else draw(edge_lists(5))
    many = [16, 20] if given_options.get("transmission") else [most_slots, 66]  # its twin weighs every start
    slots = draw(st.one_of(st.integers(4, min(most_slots, *many)), st.sampled_from(many)))
    formats = draw(st.sampled_from([["long", "short"], ["short", "middle", "long"], ["middle", "short"], ["short"]]))
    network: dict[str, Any] = {
        "links": draw(st.sampled_from(["directed", "shared"])),
        "slots": slots,
        "guard_slots": draw(st.integers(0, 2)),
        "reach_table": [FORMATS[name] for name in formats],
        "k_paths": draw(st.integers(3 if protected else 1, 4)),
        "path_order": draw(st.sampled_from(["km", "hops", "hops-per-se"])),
        "restoration": draw(st.sampled_from(["candidate-paths"] * 3 + ["none"])),
        "protection": given_options.get("protection", "none"),
        "slicing": given_options.get("slicing"),
        "format_choice": given_options["format_choice"],
    }
    if grooming := given_options.get("grooming"):
        by_action = network["format_choice"] == "by-action" and draw(st.booleans())
        network["grooming"] = {**grooming, "preference": "by-action" if by_action else "groom-first"}
    if given_options.get("transmission"):
        network["transmission"] = {
            "launch_power_dbm_per_slot": draw(st.sampled_from([-4.1, 0.0, 1.5, 3.0])),
            "margin_db": draw(st.sampled_from([0.0, 1.7])),
            "check_running": draw(st.sampled_from([True, True, False])),
        }
    in_gbps = network["slicing"] or network.get("grooming")
    load_erlang = slots * draw(st.sampled_from([0.1, 0.3] if protected else [0.2, 0.5, 1.0]))
    failures = random_failures(given_options.get("failures"))
    if given_options.get("failures") == "scheduled":
        failures = draw(schedules(edges, 3 if protected else 1))
    return make_setting(
        edges,
        network=network,
        scenario={
            "load_erlang": load_erlang,
            "bandwidth": draw(rates() if in_gbps else st.one_of(rates(), widths())),
            "failures": failures,
        },
    )


def with_all_pairs(edges: EdgeList) -> EdgeList:
    """The same edges and one between any other two nodes, so that there are three disjoint paths and more."""
    nodes = sorted({node for one, other, _ in edges for node in (one, other)})
    others = set(combinations(nodes, 2)) - {(one, other) for one, other, _ in edges}
    return sorted(edges + [(*edge, 300.0) for edge in others])


def rates() -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {"kind": "uniform-integers", "low_gbps": 5, "high_gbps": 60},
            {"kind": "weighted", "values_gbps": [12.5, 37.5, 150, 600], "weights": [4, 3, 2, 1]},
        ]
    )


def widths() -> st.SearchStrategy[dict[str, Any]]:
    return st.just({"kind": "slots", "widths_slots": [1, 2, 5], "weights": [5, 4, 2]})


def random_failures(failures: str | None) -> dict[str, Any] | None:
    return {"kind": "random", "mean_time_between": 60.0, "mean_time_to_repair": 8.0} if failures else None


@st.composite
def schedules(draw: st.DrawFn, edges: EdgeList, at_least: int) -> dict[str, Any]:
    """Failures of a few edges, some at one instant, one of them again when it has just been repaired."""
    events = []
    times = draw(st.sampled_from([[15.0], [15.0], [5.0, 15.0, 20.0]]))
    for one, other, _ in draw(st.lists(st.sampled_from(edges), min_size=at_least, max_size=4, unique=True)):
        at, lasts = draw(st.sampled_from(times)), draw(st.sampled_from([5.0, 15.0, 50.0]))
        events.append({"source": other, "target": one, "at": at, "repair_after": lasts})
    if draw(st.booleans()):
        again = events[-1]
        events.append({**again, "at": again["at"] + again["repair_after"]})
    return {"kind": "scheduled", "events": events}


@kernel
def one_of_five(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """A heuristic by its number in `HEURISTICS`: what serves them is compiled once for all."""
    if options == 0:
        return ksp_ff(world, lane, request, 0)
    if options == 1:
        return ff_ksp(world, lane, request, 0)
    if options == 2:
        return ksp_bf(world, lane, request, 0)
    if options == 3:
        return last_fit(world, lane, request, 0)
    return random_path(world, lane, request, 0)


HEURISTICS = ("ksp-ff", "ff-ksp", "ksp-bf", "last-fit", "random")


def heuristic_of(name: str) -> Heuristic:
    number = HEURISTICS.index(name)
    return Heuristic(one_of_five, lambda _: number)


# ---- the slow twin ----


def slow_candidates(setting: Setting) -> list[Candidate]:
    """The candidates of every pair in the order of the world's paths."""
    network = setting.network
    assert network.reach_table is not None
    best_first = sorted(network.reach_table, key=lambda form: -form.bits_per_s_per_hz)
    by_action = network.grooming is not None and network.grooming.preference == "by-action"
    copies = len(best_first) * (2 if by_action else 1) if network.format_choice != "by-reach" else 1
    found = []
    for path, nodes in enumerate(setting.candidates.nodes):
        names = tuple(setting.topology.nodes[node] for node in nodes)
        length_km = float(setting.candidates.length_km[path])
        reaching = [form for form in best_first if form.reach_km is None or length_km <= form.reach_km]
        copy = path % copies
        if network.format_choice == "by-reach":
            form, usable = (reaching or best_first)[0], bool(reaching)
        else:
            form = best_first[copy // 2 if by_action else copy]
            usable = form in reaching or network.format_choice == "by-snr"
        efficiency = form.bits_per_s_per_hz if usable else 0.0
        found.append(Candidate(names, copy, efficiency, form.required_snr_db, not (by_action and copy % 2)))
    return found


def slow_twin(setting: Setting, requests: Requests) -> SlowOpticalNetwork:
    """The same network, told in node names, with the failures to come."""
    network = setting.network
    candidates: dict[Link, list[Candidate]] = {}
    for candidate in slow_candidates(setting):
        candidates.setdefault((candidate.nodes[0], candidate.nodes[-1]), []).append(candidate)
    transmission = network.transmission
    return SlowOpticalNetwork(
        lengths_km={(edge.source, edge.target): edge.length_km for edge in setting.topology.edges},
        directed=network.links == "directed",
        slots=network.slots,
        guard_slots=network.guard_slots,
        slot_width_ghz=network.slot_width_ghz,
        candidates=candidates,
        max_parts=network.grooming.max_parts if network.grooming else 0,
        max_segments=network.slicing.max_segments if network.slicing else 1,
        greedy=network.slicing is not None and network.slicing.split == "greedy",
        protected=network.protection == "1+1",
        restores=network.restoration == "candidate-paths",
        fibre=slow_fibre(transmission, network.slot_width_ghz) if transmission else None,
        check_running=transmission is not None and transmission.check_running,
        margin_db=transmission.margin_db if transmission else 0.0,
        events=events_of(setting, requests),
    )


def events_of(setting: Setting, requests: Requests) -> list[tuple[float, Link, bool]]:
    """Failures and repairs by edge: those of a schedule as it is given, random ones as they were drawn."""
    edges = [(edge.source, edge.target) for edge in setting.topology.edges]
    failures = setting.scenarios[0].failures
    if failures is not None and failures.kind == "scheduled":
        rows = []
        for event in failures.events:
            edge = (event.source, event.target)
            edge = edge if edge in edges else edge[::-1]
            rows += [(event.at, edge, False), (event.at + event.repair_after, edge, True)]
        return sorted(rows, key=lambda row: (row[0], edges.index(row[1])))
    if requests.events is None:
        return []
    return [
        (time, edges[edge], up) for time, edge, up in zip(*(array.tolist() for array in requests.events), strict=True)
    ]


# ---- what a fast lane holds ----

Lit = tuple[Candidate, int, int, int, int, int]  # start, width, capacity and use in Mb/s, riders


def lightpaths_of(setting: Setting, state: State, lane: int = 0) -> list[Lit]:
    """The lightpaths that are lit, in the order in which they were."""
    candidates = slow_candidates(setting)
    lightpaths = lane_state.view(state, lane).lightpaths
    rows = lightpaths.table[lightpaths.order[: lightpaths.marks[LIT_NOW]]]
    return [
        (candidates[row["path"]], *(int(row[name]) for name in ("start", "width", "capacity", "used", "riders")))
        for row in rows[np.argsort(rows["born"])]
    ]


def slow_lightpaths_of(network: SlowOpticalNetwork) -> list[Lit]:
    return [
        (lp.candidate, lp.slots.start, len(lp.slots), lp.capacity, network.used(lp), len(network.riders(lp)))
        for lp in network.lit()
    ]


def counters_of(state: State, lane: int = 0) -> dict[str, int]:
    """The counters that are not 0."""
    counted = zip(COUNTERS, lane_state.view(state, lane).lightpaths.counters.tolist(), strict=True)
    return {name: count for name, count in counted if count}
