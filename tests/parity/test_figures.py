"""What a report looks like: every line is in the table, every published figure in the plot, each curve ends right."""

from dataclasses import replace

import numpy as np
import pytest

from fusion_rl.parity import exact, published
from fusion_rl.parity.figures import COLOURS, blocking_course_figure, published_figure, report_table
from fusion_rl.parity.line import Line, Verdict, within
from fusion_rl.training.plots import ACCENT


def line(expected: float, found: float, group: str = published.GROUP, not_comparable: str = "") -> Line:
    return within(
        group=group,
        compared=f"a figure of {expected}",
        conditions="none",
        expected=expected,
        expected_half_width=0.002,
        found=found,
        found_half_width=0.001,
        tolerance=0.003,
        tolerance_rests_on="both",
        not_comparable=not_comparable,
    )


LINES = [line(0.02, 0.021), line(0.03, 0.036), line(0.0, 0.001), line(0.04, 0.05, not_comparable="another rule")]


def test_the_table_has_every_line_with_its_verdict_and_brings_out_what_fails() -> None:
    shown = report_table([*LINES, line(1, 1, group="analytic")])
    assert shown.data["verdict"].tolist() == ["passed", "failed", "passed", "not comparable", "passed"]
    assert shown.data["why"].tolist() == ["", "", "", "another rule", ""]
    assert shown.to_html().count("0.036") == 1
    assert ACCENT in shown.to_html()


def test_a_published_figure_is_a_point_with_both_intervals_in_the_colour_of_its_verdict() -> None:
    beside, apart = published_figure([*LINES, line(0.5, 0.5, group="analytic")]).axes
    labels = [text.get_text() for text in beside.get_legend().get_texts()]
    assert labels == ["passed (2)", "failed (1)", "not comparable (1)"]
    passed, failed, _ = beside.containers
    points, _, (across, up) = failed.lines
    assert points.get_xydata().tolist() == [[0.03, 0.036]]
    assert points.get_color() == COLOURS[Verdict.FAILED] == ACCENT
    assert across.get_segments()[0][:, 0] == pytest.approx([0.028, 0.032])
    assert up.get_segments()[0][:, 1] == pytest.approx([0.035, 0.037])
    assert len(passed.lines[0].get_xydata()) == 2
    shares = [share for points in apart.collections for _, share in points.get_offsets().tolist()]
    assert shares == pytest.approx([1 / 3, 1 / 3, 2.0, 10 / 3])
    assert all(axes.get_xlim()[1] > 0.04 for axes in (beside, apart))


def test_the_curve_of_a_public_simulator_runs_into_the_figure_measured_on_it() -> None:
    courses = list(exact.courses())
    assert [course.simulator for course in courses] == ["FUSION", "FUSION", "optical-rl-gym"]
    for course in courses:
        assert course.blocked.mean() == course.expected
    figure = blocking_course_figure(courses)
    assert [axes.get_title() for axes in figure.axes] == ["FUSION", "optical-rl-gym"]
    curve, level, end = figure.axes[0].lines[:3]
    assert curve.get_ydata()[-1] == level.get_ydata()[0] == end.get_ydata()[0] == 251 / 6000
    halfway = np.asarray(curve.get_ydata())[2999]
    assert halfway == courses[0].blocked[:3000].mean()


def test_a_curve_of_other_decisions_misses_the_dot() -> None:
    course = next(exact.courses())
    other = replace(course, blocked=np.roll(course.blocked, 1) & course.blocked)
    curve, _, end = blocking_course_figure([other]).axes[0].lines
    assert curve.get_ydata()[-1] < end.get_ydata()[0]
