"""Curves as data, drawn alike whatever they show: how a training went, and blocking against load.

A chart says what is to be seen; `draw` makes a picture of it, `fusion_rl.training.interactive` a page, and
`metrics_text` the numbers.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fusion_rl.arrays import Floats
from fusion_rl.tracking.base import MetricPoint
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.plots import ACCENT, FAINT, INK, QUIET, dress, frame, scale

if TYPE_CHECKING:
    from fusion_rl.training.comparison import Reference

PREFIXES = ("rollout/", "train/", "evolution/")  # of the metrics that tell how a training went
_STEPS = "training steps (requests decided, all lanes)"
COLOURS = (INK, "#2f6f9f", "#8f2d63", "#4b7f3a", "#b07d1e", "#67707c", "#3d8c84", "#a05a2c")
MARKERS = "osD^vPX*"
_BESIDE = 0.15  # of a load: how far from those compared a published figure may be, to be drawn
_SMOOTHED_SHARE = 0.1  # of the points: what a smoothed curve is the mean of


@dataclass(frozen=True)
class Series:
    """A curve.

    Attributes:
        x, y: its points.
        half: half-width of the 95 % interval of each; None: there is none.
        is_raw: what a smoothed curve was made of, in the background.
        is_level: a line that the others are to be held against.
        is_accent: the one to bring out.
        is_published: points that others published, without a line: they were not measured with the rest.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    half: Sequence[float] | None = None
    is_raw: bool = False
    is_level: bool = False
    is_accent: bool = False
    is_published: bool = False


@dataclass(frozen=True)
class Panel:
    """Curves on the same axes.

    Attributes:
        label: of the y axis.
        may_be_log: where the values are far apart, and all above 0, from which they count.
    """

    label: str
    series: Sequence[Series]
    may_be_log: bool = False


@dataclass(frozen=True)
class Chart:
    """Panels under one title.

    Attributes:
        name: of its file.
        conditions: what the numbers hold under.
    """

    name: str
    title: str
    x_label: str
    panels: Sequence[Panel]
    conditions: Mapping[str, Any] = field(default_factory=dict)


# chart -> title, and its panels: label of the y axis, metrics with their names, whether they are smoothed
_OF_HISTORY: dict[str, tuple[str, tuple[tuple[str, dict[str, str], bool], ...]]] = {
    "reward": (
        "Reward while learning, exploration included",
        (
            ("reward of an episode", {"rollout/episode_reward": "episodes"}, True),
            ("share of requests blocked", {"rollout/service_blocking": "episodes"}, True),
        ),
    ),
    "exploration": (
        "Exploration and schedules",
        (
            ("share of random actions", {"rollout/exploration_rate": "exploration"}, False),
            ("entropy of the policy, negative", {"train/entropy_loss": "entropy loss"}, False),
            ("weight of the entropy bonus", {"train/ent_coef": "entropy coefficient"}, False),
            ("learning rate", {"train/learning_rate": "learning rate"}, False),
            ("clip range", {"train/clip_range": "clip range"}, False),
        ),
    ),
    "generations": (
        "Generations while learning",
        (
            (
                "share of its requests that a member blocks",
                {
                    "evolution/member_blocking_max": "worst member",
                    "evolution/member_blocking_mean": "mean",
                    "evolution/member_blocking_min": "best member",
                },
                False,
            ),
            ("step size", {"evolution/step_size": "step size"}, False),
        ),
    ),
    "action_values": (
        "What the agent holds actions to be worth",
        (
            (
                "value, mean over lanes",
                {"train/action_value_best": "best allowed action", "train/action_value_mean": "all allowed actions"},
                False,
            ),
        ),
    ),
}


def of_history(history: Mapping[str, Sequence[MetricPoint]], conditions: Mapping[str, Any]) -> list[Chart]:
    """The charts that a training's metrics allow: reward, losses, exploration and schedules, values of actions.

    Args:
        history: metric -> its values by step.
        conditions: of the training.
    """
    described = dict(_OF_HISTORY)
    losses = [name for name in history if name.startswith("train/") and "loss" in name and name != "train/entropy_loss"]
    panels = tuple((_words(name), {name: _words(name)}, True) for name in losses)
    described["losses"] = ("Losses", panels)
    told = {name: conditions[name] for name in ("topology", "links", "slots", "guard_slots") if name in conditions}
    charts = []
    for chart, (title, rows) in described.items():
        drawn = [_panel(label, metrics, smoothed, history) for label, metrics, smoothed in rows]
        shown = [panel for panel in drawn if panel.series]
        if shown:
            charts.append(Chart(chart, title, _STEPS, shown, told))
    return charts


def learning_curve(curve: Sequence[tuple[int, float, float]], baselines: Mapping[str, Evaluation], agent: str) -> Chart:
    """Blocking of the agent while it learned, and of the heuristics as level lines; see `learning_curve_figure`."""
    steps, means, halves = (list(column) for column in zip(*curve, strict=True))
    ends = [min(steps), max(steps)]
    levels = {name: one.service_blocking.mean for name, one in baselines.items()}
    series = [Series(agent, steps, means, halves, is_accent=True)]
    series += [Series(name, ends, [level, level], is_level=True) for name, level in levels.items()]
    conditions = next(iter(baselines.values())).conditions if baselines else {}
    panel = Panel("share of requests blocked", series, may_be_log=True)
    return Chart("learning_curve", "Blocking while learning", _STEPS, [panel], conditions)


def blocking_against_load(loads: Mapping[float, Sequence[Evaluation]], agent: str | None = None) -> Chart:
    """Blocking of policies over the load that the same network is offered.

    Args:
        loads: nominal load, Erlang -> evaluations of the same policies at it, on the same traffic.
        agent: the policy to bring out; None: none.
    """
    at = sorted(loads)
    series = []
    for policy in [one.policy for one in loads[at[0]]]:
        found = [next(one for one in loads[load] if one.policy == policy).service_blocking for load in at]
        halves = [one.ci95 for one in found]
        series.append(Series(policy, at, [one.mean for one in found], halves, is_accent=policy == agent))
    conditions = {key: value for key, value in loads[at[0]][0].conditions.items() if not key.endswith("_erlang")}
    panel = Panel("share of requests blocked", series, may_be_log=True)
    return Chart("blocking_against_load", "Blocking against load", "nominal load (Erlang)", [panel], conditions)


def comparison_chart(
    loads: Mapping[float, Sequence[Evaluation]], references: Sequence["Reference"], agent: str | None = None
) -> Chart:
    """`blocking_against_load`, and the figures that others published as points, which name their conditions."""
    chart = blocking_against_load(loads, agent)
    lowest, highest = min(loads) * (1 - _BESIDE), max(loads) * (1 + _BESIDE)
    references = [one for one in references if lowest <= one.load_erlang <= highest]
    published = []
    for name in dict.fromkeys(one.name for one in references):
        rows = [one for one in references if one.name == name]
        x, y = [one.load_erlang for one in rows], [one.blocking for one in rows]
        halves = [one.half_width or 0.0 for one in rows]
        told = f"{name}, published ({rows[0].conditions})"
        published.append(Series(told, x, y, halves if any(halves) else None, is_published=True))
    panel = replace(chart.panels[0], series=[*chart.panels[0].series, *published])
    return replace(chart, name="comparison", title="Policies compared", panels=[panel])


def draw(chart: Chart) -> Figure:
    """The chart as a picture."""
    down = -(-len(chart.panels) // 2)
    across = min(2, len(chart.panels))
    height_in = (4.2 if across == 1 else 2.9 * down) + 0.18 * max(map(_lines_below, chart.panels), default=0)
    figure = frame(chart.title, chart.conditions, height_in)
    grid = figure.subplots(down, across, squeeze=False).ravel()
    for axes, panel in zip(grid, chart.panels, strict=False):
        _draw_panel(dress(axes), panel, chart.x_label)
    for axes in grid[len(chart.panels) :]:
        axes.axis("off")
    return figure


def metrics_text(evaluation: Evaluation, baselines: Mapping[str, Evaluation], charts: Sequence[Chart]) -> str:
    """What the figures of a run show, as JSON: evaluations, and every curve by chart and panel."""
    content = {
        "evaluation": evaluation.as_dict(),
        "baselines": {name: one.as_dict() for name, one in baselines.items()},
        "charts": {
            chart.name: {
                panel.label: {
                    one.name: {"x": one.x, "y": one.y} | ({} if one.half is None else {"ci95": one.half})
                    for one in panel.series
                    if not one.is_level
                }
                for panel in chart.panels
            }
            for chart in charts
        },
    }
    return json.dumps(plain(content), indent=1, allow_nan=False)


def smoothed(values: Sequence[float]) -> Floats:
    """Mean of each value and those before it, over a tenth of all (three at least)."""
    window = max(3, round(len(values) * _SMOOTHED_SHARE))
    sums = np.concatenate([[0.0], np.cumsum(np.asarray(values, float))])
    last = np.arange(1, sums.size)
    first = np.maximum(last - window, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first))


def _panel(label: str, metrics: Mapping[str, str], smooth: bool, history: Mapping[str, Sequence[MetricPoint]]) -> Panel:
    series = []
    for metric, name in metrics.items():
        points = [point for point in history.get(metric, ()) if math.isfinite(point.value)]
        if not points:
            continue
        x, y = [float(point.step) for point in points], [point.value for point in points]
        series.append(Series(name, x, y, is_raw=smooth))
        if smooth:
            series.append(Series(f"{name}, smoothed", x, smoothed(y).tolist(), is_accent=True))
    return Panel(label, series)


def _words(metric: str) -> str:
    return metric.removeprefix("train/").replace("_", " ")


def _draw_panel(axes: Axes, panel: Panel, x_label: str) -> None:
    colours = iter(COLOURS * len(panel.series))
    marks = iter(MARKERS * len(panel.series))
    for one in panel.series:
        if one.is_raw or one.is_level:
            style = {"linewidth": 1, "linestyle": (0, (5, 3))} if one.is_level else {"linewidth": 0.9, "alpha": 0.7}
            axes.plot(one.x, one.y, color=QUIET, label=one.name, zorder=1, **style)
            continue
        colour = ACCENT if one.is_accent else next(colours)
        mark = "" if len(one.x) > 30 else next(marks)
        axes.errorbar(
            one.x,
            one.y,
            yerr=one.half,
            color=colour,
            marker=mark,
            markersize=5,
            markerfacecolor="white" if one.is_published else None,
            linestyle="" if one.is_published else "-",
            capsize=3,
            linewidth=2,
            label=one.name,
            zorder=3 if one.is_accent else 2,
        )
    axes.grid(axis="y", color=FAINT)
    axes.set_xlabel(x_label, size=9)
    axes.set_ylabel(panel.label, size=9)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}")
    if panel.may_be_log:
        means = np.concatenate([np.asarray(one.y, float) for one in panel.series])
        tops = np.concatenate([np.add(one.y, np.nan_to_num(one.half or 0.0)) for one in panel.series])
        scale(axes, "y", means, tops)
    if len(panel.series) > 1:
        # points of others are named at length, and lie where nothing says there is room beside them
        below: Any = {"loc": "upper left", "bbox_to_anchor": (0.0, -0.12)} if _lines_below(panel) else {}
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, **below)


def _lines_below(panel: Panel) -> int:
    """Lines of a legend that stands below the axes; 0: it has room among the curves."""
    return len(panel.series) if any(one.is_published for one in panel.series) else 0


def plain(value: Any) -> Any:
    """The value in the types of JSON, what is not a number as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
