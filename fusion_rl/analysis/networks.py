"""A network before anybody decides anything: its map, the candidate paths of a pair, and its traffic."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusion_rl.arrays import Ints64
from fusion_rl.domains.optical.domain import conditions
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.errors import UnknownNameError
from fusion_rl.training.charts import COLOURS
from fusion_rl.training.plots import (
    ACCENT,
    BUSY,
    FAINT,
    INK,
    QUIET,
    draw_topology,
    dress,
    frame,
    map_frame,
    places_of,
    utilisation_map,
)

_MOST_DRAWN = 8  # candidate paths that a map can show apart
_APART = 0.011  # by which lines of paths that share a link are moved apart, as a share of the map's width
_MOST_LENGTHS = 60  # edges up to which their lengths do not hide the map


def network_table(setting: Setting) -> pd.DataFrame:
    """What a network is, as one column of facts: nodes, edges, lengths, spectrum, candidate paths."""
    topology, network, world = setting.topology, setting.network, setting.world
    lengths = [edge.length_km for edge in topology.edges]
    reachable = world.path_efficiency > 0
    facts = {
        "topology": topology.name,
        "nodes": len(topology.nodes),
        "edges": len(topology.edges),
        "links (spectra of their own)": f"{len(topology.links)} {topology.direction}",
        "edge lengths": f"{min(lengths):g} to {max(lengths):g} km, {np.mean(lengths):.0f} km on average",
        "slots of a link": f"{network.slots} of {network.slot_width_ghz:g} GHz, {network.guard_slots} of each "
        "allocation a guard",
        "ordered pairs": len(world.pair_source),
        "candidate paths": f"{len(world.path_hops)}, {network.k_paths} of a pair at most, by {network.path_order}",
        "hops of a candidate": f"{world.path_hops.min()} to {world.path_hops.max()}, {world.path_hops.mean():.2f} on "
        "average",
        "candidates beyond every reach": int((~reachable).sum()),
    }
    return pd.DataFrame({"": facts})


def topology_map(setting: Setting) -> Figure:
    """The topology with the length of every edge in km, and every link coloured by how many pairs need it first."""
    topology, title = setting.topology, f"{setting.topology.name}: the links that the shortest ways need"
    label = "share of the pairs whose first candidate path uses the link"
    figure = utilisation_map(setting, candidate_share(setting), title, _told(setting), label)
    if len(topology.edges) <= _MOST_LENGTHS:
        places = places_of(topology)
        for edge in topology.edges:
            middle = np.mean([places[edge.source], places[edge.target]], axis=0)
            box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}
            length = f"{edge.length_km:g}"
            figure.axes[0].annotate(length, middle, ha="center", va="center", size=7, color=QUIET, bbox=box)
    return figure


def candidate_share(setting: Setting) -> Any:
    """Share of the pairs whose best-ranked candidate path uses each link, [L]."""
    world = setting.world
    best = world.path_first[:-1]
    counts = np.zeros(world.link_length_km.size)
    for path in best:
        counts[world.path_links[world.link_first[path] : world.link_first[path + 1]]] += 1
    return counts / best.size


def pair_number(setting: Setting, source: str, destination: str) -> int:
    """The ordered pair of two nodes.

    Raises:
        UnknownNameError: one of them is no node, or both are the same.
    """
    nodes = setting.topology.nodes
    for node in (source, destination):
        if node not in nodes:
            raise UnknownNameError("node", node, nodes, f"topology {setting.topology.name}")
    if source == destination:
        raise UnknownNameError("destination", destination, [node for node in nodes if node != source], f"from {source}")
    world = setting.world
    here = (world.pair_source == nodes.index(source)) & (world.pair_target == nodes.index(destination))
    return int(np.flatnonzero(here)[0])


def candidate_paths(setting: Setting, source: str, destination: str) -> pd.DataFrame:
    """The candidate paths of a pair, best first, indexed by rank from 0.

    `slots` are those that the smallest and the largest bandwidth of the traffic take, guard slots included; "-" where
    no format reaches.

    Raises:
        UnknownNameError: one of the two is no node, or both are the same.
    """
    world, rows = setting.world, []
    for path in _candidates(setting, pair_number(setting, source, destination)):
        widths = world.path_width[path]
        rows.append(
            {
                "path": setting.path_names(path),
                "hops": int(world.path_hops[path]),
                "km": float(world.path_length_km[path]),
                "bits/s/Hz": float(world.path_efficiency[path]),
                "slots": f"{widths.min()} to {widths.max()}" if widths.min() > 0 else "-",
            }
        )
    return pd.DataFrame(rows).rename_axis("rank")


def candidate_paths_map(setting: Setting, source: str, destination: str) -> Figure:
    """The candidate paths of a pair on the map, side by side where they share a link; the first eight at most.

    Raises:
        UnknownNameError: one of the two is no node, or both are the same.
    """
    topology = setting.topology
    paths = _candidates(setting, pair_number(setting, source, destination))[:_MOST_DRAWN]
    figure, axes = map_frame(f"Candidate paths from {source} to {destination}", _told(setting), topology)
    draw_topology(axes, topology, [FAINT] * len(topology.links))
    colours = [ACCENT, *COLOURS]
    for rank, path in reversed(list(enumerate(paths))):
        aside = rank - (len(paths) - 1) / 2
        draw_path(axes, setting, path, colours[rank], aside, f"{rank}: {setting.path_names(path)}")
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=9, labelcolor=INK, title="rank: path",
                loc="center left", bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    return figure


def draw_path(axes: Axes, setting: Setting, path: int, colour: str, aside: float, label: str) -> None:
    """Draw a candidate path on a map.

    Args:
        axes: of the map.
        setting: network.
        path: its number.
        colour: of the line.
        aside: by how many widths of a line it runs beside the links.
        label: in the legend.
    """
    places = places_of(setting.topology)
    nodes = [setting.topology.nodes[node] for node in setting.candidates.nodes[path]]
    for number, (one, other) in enumerate(pairwise(nodes)):
        ends = np.array([places[one], places[other]]) + _sideways(places[one], places[other]) * aside * _APART
        told = label if number == 0 else None
        axes.plot(*ends.T, color=colour, linewidth=2.4, label=told, solid_capstyle="round", zorder=2)


def traffic_table(setting: Setting, requests: int, *, seed: int = 1, scenario: int = 0) -> pd.DataFrame:
    """The first requests of a scenario's traffic, one row each: arrival, holding, from, to, gbps.

    Raises:
        TrafficError: a trace has fewer.
    """
    world, nodes = setting.world, np.array(setting.topology.nodes)
    model = setting.models[scenario]
    model.require([0], requests)
    asked = model.stream(seed, 0, 0).take(requests)
    columns = {
        "arrival": asked.arrival,
        "holding": asked.holding,
        "from": nodes[world.pair_source[asked.pair]],
        "to": nodes[world.pair_target[asked.pair]],
        "gbps": world.class_gbps[asked.bandwidth_class],
    }
    return pd.DataFrame(columns).rename_axis("request")


def services_offered(requests: pd.DataFrame) -> Ints64:
    """How many of the earlier requests would still run at each arrival, were none of them blocked, [T]."""
    departures = np.sort((requests["arrival"] + requests["holding"]).to_numpy())
    arrivals = requests["arrival"].to_numpy()
    return np.asarray(np.arange(arrivals.size) - np.searchsorted(departures, arrivals, side="right"))


def traffic_figure(setting: Setting, requests: int, *, seed: int = 1, scenario: int = 0) -> Figure:
    """A scenario's traffic in four panels: services offered over time, holding times, bit rates, pairs.

    Raises:
        TrafficError: a trace has fewer requests.
    """
    drawn, model = traffic_table(setting, requests, seed=seed, scenario=scenario), setting.models[scenario]
    told = {**_told(setting, scenario), "seed": seed}
    figure = frame(f"The first {requests:,} requests of scenario '{model.scenario.name}'", told, 5.8)
    over_time, holding, rates, pairs = figure.subplots(2, 2).ravel()
    dress(over_time).plot(drawn["arrival"], services_offered(drawn), color=INK, linewidth=0.7)
    over_time.axhline(model.offered_erlang, color=ACCENT, linewidth=1.4, linestyle=(0, (5, 3)))
    over_time.annotate("offered load", (1.0, model.offered_erlang), xycoords=over_time.get_yaxis_transform(),
                       ha="right", va="bottom", color=ACCENT, size=8,
                       bbox={"facecolor": "white", "edgecolor": "none", "pad": 1, "alpha": 0.8})  # fmt: skip
    over_time.set(xlabel="time", ylabel="services, if none is blocked", ylim=(0, None))
    dress(holding).hist(drawn["holding"], bins=50, color=QUIET)
    holding.axvline(drawn["holding"].mean(), color=ACCENT, linewidth=1.4, linestyle=(0, (5, 3)))
    holding.set(xlabel="holding time", ylabel="requests")
    values, counts = np.unique(drawn["gbps"], return_counts=True)
    dress(rates).bar(values, counts, width=0.8 * np.diff(values).min(initial=np.ptp(values) or 1.0), color=QUIET)
    rates.set(xlabel="bit rate (Gb/s)", ylabel="requests")
    image = dress(pairs).imshow(_by_pair(drawn, setting.topology.nodes), cmap=BUSY, aspect="auto")
    ticks = range(0, len(setting.topology.nodes), -(-len(setting.topology.nodes) // 15))
    for axis in (pairs.xaxis, pairs.yaxis):
        axis.set_ticks(ticks, [setting.topology.nodes[node] for node in ticks], size=7)
    pairs.set(xlabel="destination", ylabel="source")
    figure.colorbar(image, ax=pairs, label="requests").outline.set_visible(False)
    return figure


def _by_pair(requests: pd.DataFrame, nodes: Sequence[str]) -> Any:
    """Requests of each source (row) and destination (column); nan where there is no such pair."""
    counts = pd.crosstab(requests["from"], requests["to"]).reindex(index=nodes, columns=nodes, fill_value=0)
    matrix = counts.to_numpy(float, copy=True)
    np.fill_diagonal(matrix, np.nan)
    return matrix


def _candidates(setting: Setting, pair: int) -> list[int]:
    """Path numbers of a pair's routes, each once where it is listed for several formats."""
    first, last = setting.world.path_first[pair : pair + 2]
    return list(range(int(first), int(last), setting.world.formats))


def _sideways(one: tuple[float, float], other: tuple[float, float]) -> Any:
    """The unit vector across an edge, the same one from both ends."""
    first, last = sorted([one, other])
    along = np.subtract(last, first)
    return np.array([-along[1], along[0]]) / np.hypot(*along)


def _told(setting: Setting, scenario: int = 0) -> dict[str, object]:
    """Conditions of a network and its traffic; nothing has been counted yet, so no warm-up."""
    said = conditions(setting, scenario)
    return {key: value for key, value in said.items() if key != "warmup_requests"}
