"""How cost grows: one panel for each axis that was measured, in nanoseconds a request or step (or in MB)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from fusion_rl.analysis.benchmarks.measure import Measurement
from fusion_rl.training.plots import ACCENT, FAINT, INK, QUIET

_ACROSS = 3
_PANEL_IN = (3.9, 3.0)
_HEADER_IN = 0.95
_COLOURS = (ACCENT, INK, QUIET)


@dataclass(frozen=True)
class Panel:
    """What a benchmark's figures are drawn as.

    Attributes:
        title: of the panel.
        unit: of the cost.
        along: the condition that grows; None: a bar for each figure.
        label: of that axis, or the words that are left out of the bars' names.
    """

    title: str
    unit: str
    label: str
    along: str | None = None


PANELS: Mapping[str, Panel] = {
    "rollout": Panel("Heuristics", "ns a request", "rollout "),
    "paths": Panel("Candidate paths", "ns a request", "candidate paths of a pair, K", "k_paths"),
    "slots": Panel("Spectrum", "ns a request", "slots of a link", "slots"),
    "topologies": Panel("Network", "ns a request", "nodes", "nodes"),
    "lanes": Panel("Lanes of a rollout", "ns a request", "lanes, on one thread", "lanes"),
    "threads": Panel("Threads", "ns a request", "threads", "threads"),
    "env-lanes": Panel("Lanes of the batched environment", "ns a step", "lanes", "lanes"),
    "observations": Panel("Observations", "ns a step", "observation "),
    "codecs": Panel("Action codecs", "ns a step", "codec "),
    "memory-lanes": Panel("Memory of the batched environment", "MB", "lanes", "lanes"),
}


def drawable(names: Iterable[str]) -> list[str]:
    """Those of the benchmarks that there is a panel for."""
    return [name for name in names if name in PANELS]


def cost_figure(measurements: Sequence[Measurement], told: Mapping[str, Any]) -> Figure:
    """Draw what was measured.

    Args:
        measurements: of which at least one belongs to a benchmark in PANELS.
        told: the machine, as `machine` tells it.
    """
    groups: dict[str, list[Measurement]] = {}
    for one in measurements:
        if one.conditions["benchmark"] in PANELS and one.unit != "ratio":
            groups.setdefault(one.conditions["benchmark"], []).append(one)
    across = min(_ACROSS, len(groups))
    down = -(-len(groups) // across)
    width_in, height_in = max(across * _PANEL_IN[0], 7.0), down * _PANEL_IN[1] + _HEADER_IN
    below_header = ConstrainedLayoutEngine(rect=(0.01, 0.01, 0.98, 1 - _HEADER_IN / height_in))
    figure = Figure(figsize=(width_in, height_in), dpi=130, layout=below_header, facecolor="white")
    figure.text(0.02, 1 - 0.12 / height_in, "What a request costs", size=14, weight="bold", color=INK, va="top")
    figure.text(0.02, 1 - 0.44 / height_in, _conditions(measurements, told), size=8, color=QUIET, va="top")
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, (name, group) in zip(grid, groups.items(), strict=False):
        _draw(axes, PANELS[name], group)
    for axes in grid[len(groups) :]:
        axes.axis("off")
    return figure


def cost(measurement: Measurement) -> tuple[float, float, float]:
    """What one request, step or process costs: (median, least, most); ns for a speed, else in its own unit."""
    told = measurement.conditions
    if not measurement.unit.endswith("/s"):
        return measurement.value, told["min"], told["max"]
    return 1e9 / measurement.value, 1e9 / told["max"], 1e9 / told["min"]


def _conditions(measurements: Sequence[Measurement], told: Mapping[str, Any]) -> str:
    busiest = max(one.conditions["load_average"] for one in measurements)
    seen = next(one.conditions for one in measurements if one.conditions["benchmark"] in PANELS)
    return (
        f"{seen['experiment']}, K = 5, 100 slots, 250 E (more with more slots or links), one thread where nothing else "
        f"is said\nmedian, least and most of {seen['repetitions']} · {told['cpu']}, {told['usable_cores']} cores, "
        f"load average to {busiest:.1f}"
    )


def _draw(axes: Axes, panel: Panel, group: Sequence[Measurement]) -> None:
    axes.set_title(panel.title, size=10, weight="bold", color=INK, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)
    axes.tick_params(color=QUIET, labelcolor=INK, labelsize=8)
    axes.set_axisbelow(True)
    if panel.along is None:
        _bars(axes, panel, group)
    else:
        _lines(axes, panel, panel.along, group)


def _bars(axes: Axes, panel: Panel, group: Sequence[Measurement]) -> None:
    """A dot for each figure, on a logarithmic axis: the dearest may cost a hundred times the cheapest."""
    names = [one.name.removeprefix(panel.label).removesuffix(" K=5") for one in group]
    for y, one in enumerate(group):
        median, least, most = cost(one)
        axes.plot([least, most], [y, y], color=QUIET, linewidth=1.5)
        axes.plot(median, y, "o", color=ACCENT, markersize=5)
        axes.annotate(_short(median), (median, y), (0, 4), textcoords="offset points", ha="center", size=7, color=INK)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.8)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    _plain_ticks(axes.xaxis)
    axes.grid(axis="x", color=FAINT)
    axes.set_xlabel(panel.unit, size=8)


def _lines(axes: Axes, panel: Panel, along: str, group: Sequence[Measurement]) -> None:
    """A line for each heuristic; both axes logarithmic, so that a straight line is a power."""
    by_heuristic: dict[str, list[Measurement]] = {}
    for one in group:
        by_heuristic.setdefault(one.conditions.get("heuristic", ""), []).append(one)
    for colour, (name, ones) in zip(_COLOURS, by_heuristic.items(), strict=False):
        places = [one.conditions[along] for one in ones]
        medians, least, most = zip(*map(cost, ones), strict=True)
        axes.vlines(places, least, most, color=colour, linewidth=1.2)
        axes.plot(places, medians, "o-", color=colour, linewidth=1.8, markersize=4.5, label=name)
        for place, median in zip(places, medians, strict=True):
            axes.annotate(
                _short(median), (place, median), (0, 6), textcoords="offset points", ha="center", size=7, color=INK
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.12, 0.3)
    places = sorted({one.conditions[along] for one in group})
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _plain_ticks(axes.yaxis)
    axes.grid(color=FAINT)
    axes.set_xlabel(panel.label, size=8)
    axes.set_ylabel(panel.unit, size=8)
    if len(by_heuristic) > 1:
        axes.legend(frameon=False, fontsize=7)


def _plain_ticks(axis: Any) -> None:
    """Numbers rather than powers of ten."""
    write: Callable[[float, int], str] = lambda value, _: _short(value)  # noqa: E731
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(write))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
