"""Figures of a run: blocking with intervals, the learning curve, and how full each link is.

They are made without pyplot, so no backend is chosen and nothing is left open: a figure is a value that a
notebook shows and a run stores. Every figure names the conditions without which its numbers mean nothing.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator, NullFormatter, PercentFormatter

from fusion_rl.arrays import Floats
from fusion_rl.tracking.base import RunLog
from fusion_rl.training.evaluate import Evaluation

if TYPE_CHECKING:
    from fusion_rl.domains.optical.setting import Setting
    from fusion_rl.domains.optical.topology import Topology

INK, QUIET, FAINT, ACCENT = "#22272e", "#67707c", "#dfe3e8", "#c8442b"
# pale where a link is idle, dark where it is full: also in grey print, and for colour-blind readers
BUSY = LinearSegmentedColormap.from_list("busy", ["#f3d9b1", "#eda263", "#d55b4f", "#8f2d63", "#32164a"])

_WIDTH_IN = 8.6
_DPI = 110  # a notebook beside its list of files then shows a figure at its own size, and a map with its title at once
_HEADER_IN = 1.12  # title and three lines of conditions
_MAP_WIDTH_IN = 6.8  # without the colour bar
_NAME_IN_CIRCLE = 3  # letters of a node's name that fit into its circle
_SMALL_NODES = 60  # up to these, a map is worth the seconds of trying several
_LOG_FROM = 10.0  # largest over smallest mean from which a linear axis would hide the small ones


def blocking_figure(evaluations: Sequence[Evaluation], agent: str | None = None) -> Figure:
    """Service blocking of each policy with its 95 % interval, least blocking on top.

    Args:
        evaluations: all of the same traffic.
        agent: the policy to bring out; None: none.
    """
    rows = sorted(evaluations, key=lambda row: row.service_blocking.mean)
    means, halves = _estimates(rows)
    figure, axes = _framed("Service blocking of each policy", rows[0].conditions, 0.9 + 0.42 * len(rows))
    for y, (row, mean, half) in enumerate(zip(rows, means, halves, strict=True)):
        colour = ACCENT if row.policy == agent else INK
        axes.errorbar(mean, y, xerr=half, fmt="o", color=colour, markersize=7, capsize=4, elinewidth=2, zorder=3)
        axes.annotate(
            f"{mean:.5f} ± {half:.5f}", (1.02, y), xycoords=axes.get_yaxis_transform(), va="center", color=colour
        )
    axes.set_yticks(range(len(rows)), [row.policy for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set(color=ACCENT if row.policy == agent else INK, weight="bold" if row.policy == agent else "normal")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT)
    axes.set_xlabel("share of requests blocked, with 95 % interval")
    scale(axes, "x", means, means + np.nan_to_num(halves))
    return figure


def learning_curve_figure(
    curve: Sequence[tuple[int, float, float]], baselines: Mapping[str, Evaluation], agent: str = "agent"
) -> Figure:
    """Service blocking of the agent while it learned, and of the heuristics as level lines.

    Args:
        curve: (training step, service blocking, half-width of its 95 % interval), at least one.
        baselines: policy -> its evaluation on the traffic of the curve. On other traffic, be it merely more of
            the same, a level line may lie on the wrong side of the curve by chance.
        agent: what to call the agent.
    """
    steps, means, halves = (np.array(column, float) for column in zip(*curve, strict=True))
    lines = sorted(baselines.items(), key=lambda item: item[1].service_blocking.mean)
    levels, _ = _estimates([evaluation for _, evaluation in lines])
    figure, axes = _framed("Blocking while learning", lines[0][1].conditions if lines else {}, 4.2)
    axes.fill_between(steps, means - halves, means + halves, color=ACCENT, alpha=0.18, linewidth=0)
    axes.plot(steps, means, "o-", color=ACCENT, linewidth=2.2, markersize=5.5, label=agent, zorder=3)
    for level in levels:
        axes.axhline(level, color=QUIET, linewidth=1, linestyle=(0, (5, 3)), zorder=1)
    axes.set_xlim(0, steps.max() * 1.02)
    axes.xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    axes.set_xlabel("training steps (requests decided, all lanes)")
    axes.set_ylabel("share of requests blocked")
    everything = np.concatenate([means, levels])
    scale(axes, "y", everything, np.concatenate([means + np.nan_to_num(halves), levels]))
    named = [(name, level, QUIET) for (name, _), level in zip(lines, levels, strict=True)]
    name_at_the_right(axes, [*named, (agent, means[-1], ACCENT)])
    return figure


def utilisation_map(
    setting: "Setting",
    link_utilisation: Floats,
    title: str = "How full each link is",
    conditions: Mapping[str, object] | None = None,
    label: str = "mean share of slots in use",
) -> Figure:
    """The topology with every link coloured by the mean share of its slots in use.

    Args:
        setting: network; directed links are drawn as two arcs, one each way, shared links as one line.
        link_utilisation: in 0..1, [L]; or another share of each link.
        title: first line.
        conditions: of the evaluation that measured it; None: those of the setting's first scenario.
        label: what the share is.
    """
    # even steps of 5 % around what there is, so that the colours are all used
    norm = Normalize(np.floor(link_utilisation.min() * 20) / 20, np.ceil(link_utilisation.max() * 20) / 20)
    figure, axes = map_frame(title, conditions or _conditions(setting), setting.topology)
    draw_topology(axes, setting.topology, BUSY(norm(link_utilisation)))
    bar = figure.colorbar(ScalarMappable(norm, BUSY), ax=axes, shrink=0.75, aspect=28, pad=0.03)
    bar.ax.yaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.set_label(label, color=INK)
    bar.ax.tick_params(labelcolor=INK, color=QUIET)
    bar.outline.set_visible(False)
    return figure


def map_frame(title: str, conditions: Mapping[str, Any], topology: "Topology") -> tuple[Figure, Axes]:
    """A figure with its title and conditions above axes as high as the topology's map needs."""
    across, up = zip(*places_of(topology).values(), strict=True)
    height_in = np.clip(_MAP_WIDTH_IN * (np.ptp(up) / np.ptp(across) + 0.12), 3.2, 6.5)
    return _framed(title, conditions, float(height_in))


def draw_topology(axes: Axes, topology: "Topology", colours: Sequence[Any]) -> None:
    """Draw the nodes with their names, and the links in the colours given, [L]."""
    positions, directed = places_of(topology), topology.direction == "directed"
    crowded = len(topology.nodes) > 30
    for link, colour in zip(topology.links, colours, strict=True):
        axes.add_patch(
            FancyArrowPatch(
                positions[link.source],
                positions[link.target],
                connectionstyle=f"arc3,rad={_bend(positions[link.source], positions[link.target]) if directed else 0}",
                arrowstyle="-|>,head_length=5,head_width=2.6" if directed else "-",
                shrinkA=6 if crowded else 11,
                shrinkB=6 if crowded else 11,
                linewidth=2 if crowded else 3,
                color=colour,
            )
        )
    across, up = zip(*positions.values(), strict=True)
    long_names = max(map(len, topology.nodes)) > _NAME_IN_CIRCLE
    if long_names:
        axes.update_datalim(list(positions.values()))
    else:
        axes.scatter(across, up, s=110 if crowded else 330, color="white", edgecolor=INK, linewidth=1.3, zorder=3)
    around = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": INK} if long_names else None
    for node, place in positions.items():
        size = 6 if crowded else 9
        axes.annotate(node, place, ha="center", va="center", size=size, color=INK, bbox=around, zorder=4)
    axes.set_aspect("equal")
    axes.margins(0.06)
    axes.axis("off")


@lru_cache(maxsize=8)  # laying one out takes a second, and a figure asks more than once
def places_of(topology: "Topology") -> dict[str, tuple[float, float]]:
    """A place on a map that is 1 wide for each node: as its file says, or laid out by the lengths of the edges."""
    return _positions(topology.graph) if topology.places is None else _as_wide_as_one(topology)


def log_run_figures(
    run: RunLog,
    setting: Any,
    evaluation: Evaluation,
    baselines: Mapping[str, Evaluation],
    curve: Sequence[tuple[int, float, float]],
    curve_baselines: Mapping[str, Evaluation] | None = None,
    loads: Mapping[float, Sequence[Evaluation]] | None = None,
) -> None:
    """Store a run's figures with it, and the numbers that they show, under plots/.

    Args:
        run: receives them.
        setting: what was simulated.
        evaluation: the trained agent's.
        baselines: policy -> its evaluation, on the same traffic.
        curve: evaluations of the agent while it learned, as `learning_curve_figure` takes them.
        curve_baselines: the baselines on the curve's traffic; None: the curve stands alone.
        loads: load, Erlang -> evaluations of the agent and the baselines at it.
    """
    from fusion_rl.training import charts, interactive

    drawn = charts.of_history(run.history(*charts.PREFIXES), evaluation.conditions)
    if loads:
        drawn.append(charts.blocking_against_load(loads, evaluation.policy))
    for chart in drawn:
        run.log_figure(charts.draw(chart), f"plots/{chart.name}.png")
    if curve:
        drawn.insert(0, charts.learning_curve(curve, curve_baselines or {}, evaluation.policy))
    if drawn:
        run.log_text(interactive.page(drawn, f"{evaluation.policy}: {run.run_name}"), "plots/interactive.html")
    run.log_text(charts.metrics_text(evaluation, baselines, drawn), "plots/metrics.json")
    run.log_figure(blocking_figure([evaluation, *baselines.values()], evaluation.policy), "plots/blocking.png")
    if curve:
        figure = learning_curve_figure(curve, curve_baselines or {}, evaluation.policy)
        run.log_figure(figure, "plots/learning_curve.png")
    if evaluation.link_utilisation is not None:
        title = f"How full {evaluation.policy} keeps each link"
        figure = utilisation_map(setting, evaluation.link_utilisation, title, evaluation.conditions)
        run.log_figure(figure, "plots/utilisation.png")


def describe(conditions: Mapping[str, Any]) -> str:
    """The conditions of a blocking figure in up to three lines: network, traffic, size of the evaluation.

    Conditions that are not given are left out.
    """
    if str(conditions.get("path_order", "")).startswith("file "):
        conditions = {**conditions, "path_order": f"file {Path(str(conditions['path_order'])).name}"}
    whole = conditions.get("holding_truncation") == "none"
    holding = "exponential holding" + ("" if whole else " truncated ({holding_truncation})")
    network = ("{topology}", "{links} links", "{slots} slots, guard {guard_slots}", "K = {k_paths} by {path_order}")
    traffic = ("{load_erlang:g} E nominal, {offered_erlang:.4g} E offered", holding)
    lanes = "on one lane" if conditions.get("lanes") == 1 else "over {lanes} lanes"
    size = (f"{{requests:,}} requests {lanes}", "warm-up of {warmup_requests:,} requests a lane", "seed {seed}")
    lines = [" · ".join(_known(phrases, conditions)) for phrases in (network, traffic, size)]
    return "\n".join(line for line in lines if line)


def _known(phrases: Sequence[str], conditions: Mapping[str, Any]) -> list[str]:
    known = []
    for phrase in phrases:
        try:
            known.append(phrase.format_map(conditions))
        except KeyError:
            continue
    return known


def _conditions(setting: "Setting") -> dict[str, Any]:
    from fusion_rl.domains.optical.domain import conditions

    return conditions(setting, 0)


def frame(title: str, conditions: Mapping[str, Any], plot_height_in: float) -> Figure:
    """A figure with its title and conditions flush left above room for plots."""
    height_in = plot_height_in + _HEADER_IN
    below_header = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - _HEADER_IN / height_in))
    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout=below_header, facecolor="white")
    figure.text(0.02, 1 - 0.14 / height_in, title, size=14, weight="bold", color=INK, va="top")
    figure.text(0.02, 1 - 0.45 / height_in, describe(conditions), size=8.5, color=QUIET, va="top", linespacing=1.35)
    return figure


def dress(axes: Axes) -> Axes:
    """Axes as all figures have them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(color=QUIET, labelcolor=INK)
    axes.set_axisbelow(True)
    return axes


def _framed(title: str, conditions: Mapping[str, Any], plot_height_in: float) -> tuple[Figure, Axes]:
    figure = frame(title, conditions, plot_height_in)
    return figure, dress(figure.add_subplot())


def _estimates(evaluations: Sequence[Evaluation]) -> tuple[Floats, Floats]:
    estimates = [evaluation.service_blocking for evaluation in evaluations]
    return np.array([one.mean for one in estimates]), np.array([one.ci95 for one in estimates])


def scale(axes: Axes, which: str, means: Floats, tops: Floats) -> None:
    """From zero; or logarithmic where the means are far apart and none is zero."""
    set_scale, set_limits = getattr(axes, f"set_{which}scale"), getattr(axes, f"set_{which}lim")
    axis = getattr(axes, f"{which}axis")
    if means.min() > 0 and means.max() / means.min() >= _LOG_FROM:
        set_scale("log")
        set_limits(means.min() / 1.6, tops.max() * 1.4)
        axis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_minor_formatter(NullFormatter())
    else:
        set_limits(0, (tops.max() or 1.0) * 1.08)
        axis.set_major_locator(MaxNLocator(6))


def name_at_the_right(axes: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Write each line's name beside its right end, apart from its neighbours and with a leader to its line."""
    names, levels, colours = zip(*sorted(lines, key=lambda line: line[1]), strict=True)
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = np.array([to_axes.transform((axes.get_xlim()[1], level))[1] for level in levels])
    for name, height, place, colour in zip(names, heights, _apart(heights, 0.062), colours, strict=True):
        axes.annotate(
            name,
            xy=(1.0, height),
            xytext=(1.045, place),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            size=9,
            color=colour,
            weight="bold" if colour == ACCENT else "normal",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 0},
        )


def _apart(heights: Floats, gap: float) -> Floats:
    """Ascending heights moved as little as an even push from below and above allows, at least a gap apart."""
    steps = gap * np.arange(heights.size)
    up = np.maximum.accumulate(heights - steps) + steps
    down = np.minimum.accumulate((heights - steps)[::-1])[::-1] + steps
    return np.asarray((up + down) / 2)


def _bend(start: tuple[float, float], end: tuple[float, float]) -> float:
    """How much to bend an arc so that the two of an edge run equally far apart on long and short edges."""
    return min(0.16, 0.035 / math.dist(start, end))


def _as_wide_as_one(topology: "Topology") -> dict[str, tuple[float, float]]:
    """The places that the topology's file gives its nodes, scaled so that the map is 1 wide."""
    places = np.array(topology.places)
    places = (places - places.min(axis=0)) / (np.ptp(places[:, 0]) or 1.0)
    return {node: (float(x), float(y)) for node, (x, y) in zip(topology.nodes, places, strict=True)}


def _positions(graph: "nx.Graph") -> dict[str, tuple[float, float]]:
    """Places for the nodes: wider than high, first node at the upper left, the same every time.

    A map to scale heaps up the nodes of a dense region, and one that has all edges alike may lay a node on an
    edge that passes it. Of several scalings the map is taken whose nodes lie clearest.
    """
    powers = (0.8, 0.4, 0.1, 0.0) if len(graph) <= _SMALL_NODES else (0.1,)
    places = max((_layout(graph, power) for power in powers), key=lambda found: _clearance(graph, found))
    return {node: (float(x), float(y)) for node, (x, y) in zip(graph, places, strict=True)}


def _layout(graph: "nx.Graph", power: float) -> Floats:
    """Places of the nodes, [N, 2], 1 wide; distances follow a power of the lengths."""
    scaled = nx.Graph()
    scaled.add_nodes_from(graph)
    scaled.add_weighted_edges_from((one, other, km**power) for one, other, km in graph.edges(data="length_km"))
    places = np.array(list(nx.kamada_kawai_layout(scaled, weight="weight").values()))
    places = places - places.mean(axis=0)
    places = places @ np.linalg.svd(places, full_matrices=False)[2].T
    places = places * np.where(places[0] * (-1, 1) < 0, -1, 1)
    return np.asarray(places / np.ptp(places[:, 0]))


def _clearance(graph: "nx.Graph", places: Floats) -> float:
    """Smallest distance of a node from an edge that is not its own."""
    number = {node: n for n, node in enumerate(graph)}
    smallest = np.inf
    for one, other in graph.edges:
        start, along = places[number[one]], places[number[other]] - places[number[one]]
        others = np.delete(places, [number[one], number[other]], axis=0)
        share = np.clip((others - start) @ along / (along @ along), 0, 1)
        distances = np.linalg.norm(others - start - share[:, None] * along, axis=1)
        smallest = min(smallest, distances.min(initial=np.inf))
    return float(smallest)
