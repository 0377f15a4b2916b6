"""A report to look at: a table, our figures against published ones, and how blocking runs along requests."""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion_rl.parity import published
from fusion_rl.parity.exact import Course
from fusion_rl.parity.line import Line, Verdict
from fusion_rl.training.plots import ACCENT, FAINT, INK, QUIET

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

COLOURS = {Verdict.PASSED: INK, Verdict.FAILED: ACCENT, Verdict.NOT_COMPARABLE: QUIET}
_LINEAR_UP_TO = 1e-4  # below, the logarithmic axes are linear: some published figures are 0
_HIGHEST_TICK = 1.0


def report_table(lines: Sequence[Line]) -> "Styler":
    """One row a line: what was compared, the tolerance, the verdict; failing lines are brought out."""
    rows = pd.DataFrame(
        {
            "what was compared": [line.compared for line in lines],
            "conditions": [line.conditions for line in lines],
            "expected": [line.expected for line in lines],
            "ours": [line.found for line in lines],
            "may differ by": [line.tolerance for line in lines],
            "rests on": [line.tolerance_rests_on for line in lines],
            "verdict": [str(line.verdict) for line in lines],
            "why": [line.reason for line in lines],
        }
    )
    formats: Any = dict.fromkeys(("expected", "ours", "may differ by"), "{:.6g}")
    return rows.style.format(formats).map(lambda verdict: f"color: {COLOURS[Verdict(verdict)]}", subset=["verdict"])


def published_figure(lines: Sequence[Line]) -> Figure:
    """Left, our blocking against the published one, both with their intervals; right, how far apart they are.

    Args:
        lines: of a report; those of other groups are passed over.
    """
    rows = [line for line in lines if line.group == published.GROUP]
    figure = Figure(figsize=(10.5, 5.2), layout="constrained")
    figure.suptitle("Our service blocking against published figures", color=INK, weight="bold")
    beside, apart = figure.subplots(1, 2)
    for verdict in Verdict:
        of_verdict = [line for line in rows if line.verdict is verdict]
        if not of_verdict:
            continue
        expected, expected_half, found, found_half, tolerance = np.array(
            [(r.expected, r.expected_half_width, r.found, r.found_half_width, r.tolerance) for r in of_verdict]
        ).T
        style: Any = {"fmt": "o", "markersize": 4, "elinewidth": 1, "color": COLOURS[verdict], "alpha": 0.8}
        label = f"{verdict} ({len(of_verdict)})"
        beside.errorbar(expected, found, xerr=expected_half, yerr=found_half, label=label, **style)
        apart.scatter(expected, (found - expected) / tolerance, s=18, color=COLOURS[verdict], zorder=3)
    beside.axline((0, 0), slope=1, color=QUIET, linewidth=0.8)
    beside.set_yscale("symlog", linthresh=_LINEAR_UP_TO)
    beside.set_ylim(0)
    beside.set_ylabel("our service blocking")
    beside.legend(frameon=False)
    apart.axhspan(-1, 1, color=FAINT, zorder=0)
    apart.margins(y=0.1)
    apart.axhline(0, color=QUIET, linewidth=0.8)
    apart.set_ylabel("(ours - published) / what they may differ by")
    for axes in (beside, apart):
        axes.set_xscale("symlog", linthresh=_LINEAR_UP_TO)
        axes.set_xlim(0, 1.3 * max((line.expected for line in rows), default=1.0))
        axes.set_xlabel("published service blocking")
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def blocking_course_figure(courses: Sequence[Course]) -> Figure:
    """The share of requests blocked so far along the requests of other simulators, and where those ended.

    Args:
        courses: those of one simulator side by side, as `exact.courses` gives them.
    """
    panels = [(name, list(of_one)) for name, of_one in groupby(courses, key=lambda course: course.simulator)]
    figure = Figure(figsize=(10.5, 4.0), layout="constrained")
    figure.suptitle("Blocking along the request number, on the requests of other simulators", color=INK, weight="bold")
    for axes, (name, of_one) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for course, colour in zip(of_one, (INK, ACCENT), strict=False):
            count = course.blocked.size
            share = np.cumsum(course.blocked) / np.arange(1, count + 1)
            axes.plot(np.arange(1, count + 1), share, color=colour, linewidth=1.4, label=course.conditions)
            axes.axhline(course.expected, color=colour, linewidth=0.8, linestyle=(0, (5, 3)))
            axes.plot(count, course.expected, "o", color=colour, markersize=6, clip_on=False)
        axes.set_title(name, color=INK)
        axes.set_xlim(0, of_one[0].blocked.size)
        axes.set_ylim(0, min(_HIGHEST_TICK, 1.6 * max(course.expected for course in of_one)))
        axes.set_xlabel("requests served")
        axes.set_ylabel("share blocked so far")
        axes.legend(frameon=False, loc="upper left")
        axes.spines[["top", "right"]].set_visible(False)
    return figure
