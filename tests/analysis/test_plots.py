"""Figures show every policy, every link and the conditions, and are complete PNGs."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from fusion_rl.analysis.plots import blocking_figure, describe, learning_curve_figure, utilisation_map
from fusion_rl.config.load import load
from fusion_rl.domains.optical import topology
from fusion_rl.domains.optical.domain import prepare
from fusion_rl.testing import tiny
from fusion_rl.training import plots
from fusion_rl.training.evaluate import Evaluation, evaluate

CONFIG = load("deeprmsa-nsfnet", overrides={"scenarios.0.warmup_requests": 200}).config
SETTING = prepare(CONFIG)
POLICIES = ("ksp-ff", "sp-ff", "random")


@pytest.fixture(scope="module")
def evaluations() -> dict[str, Evaluation]:
    return {name: evaluate(CONFIG, name, requests=4000, lanes=8, setting=SETTING) for name in POLICIES}


def texts(figure: Figure) -> list[str]:
    axes = figure.axes[0]
    return [text.get_text() for text in (*figure.texts, *axes.texts, *axes.get_xticklabels(), *axes.get_yticklabels())]


def drawn(figure: Figure) -> np.ndarray:
    """The figure as pixels, [height, width, 4]."""
    figure.savefig(stream := BytesIO(), format="rgba")
    width, height = (figure.get_size_inches() * figure.dpi).astype(int)
    return np.frombuffer(stream.getvalue(), np.uint8).reshape(height, width, 4)


def test_the_conditions_of_a_figure_say_what_its_numbers_depend_on(evaluations: dict[str, Evaluation]) -> None:
    said = describe(evaluations["ksp-ff"].conditions)
    for part in ("nsfnet", "directed links", "100 slots", "K = 5 by hops-per-se", "250 E nominal", "171.7 E offered"):
        assert part in said
    for part in ("redraw-at-2x-mean", "4,000 requests over 8 lanes", "200 requests a lane", "seed 10000"):
        assert part in said
    assert describe({}) == ""
    assert "truncated" not in describe({"holding_truncation": "none"})


def test_blocking_has_a_row_for_every_policy_least_blocking_on_top(evaluations: dict[str, Evaluation]) -> None:
    figure = blocking_figure(list(evaluations.values()), agent="sp-ff")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ksp-ff", "sp-ff", "random"]
    assert axes.yaxis_inverted()
    assert len(axes.containers) == 3  # a point with its interval each
    points = [container.lines[0].get_xdata()[0] for container in axes.containers]
    assert points == [evaluations[name].service_blocking.mean for name in POLICIES]
    assert [to_hex(container.lines[0].get_color()) == plots.ACCENT for container in axes.containers] == [
        False,
        True,
        False,
    ]
    assert f"{points[0]:.5f} ± {evaluations['ksp-ff'].service_blocking.ci95:.5f}" in texts(figure)


def test_blocking_is_logarithmic_only_where_policies_are_far_apart_and_none_is_zero(
    evaluations: dict[str, Evaluation],
) -> None:
    def with_blocked(share: float) -> Evaluation:
        tally = evaluate(CONFIG, "ksp-ff", requests=800, lanes=8, setting=SETTING).tally
        tally.blocked[:] = share * tally.offered
        return replace(evaluations["ksp-ff"], tally=tally)

    def scale(*shares: float) -> str:
        return blocking_figure([with_blocked(share) for share in shares]).axes[0].get_xscale()

    assert scale(0.01, 0.02) == "linear"
    assert scale(0.001, 0.02) == "log"
    assert scale(0.0, 0.02) == "linear"
    assert scale(0.0, 0.0) == "linear"


def test_the_learning_curve_names_the_agent_and_every_heuristic(evaluations: dict[str, Evaluation]) -> None:
    curve = [(1000, 0.09, 0.01), (2000, 0.06, 0.01), (3000, 0.05, 0.008)]
    figure = learning_curve_figure(curve, evaluations, "maskable-ppo")
    axes = figure.axes[0]
    agent = next(line for line in axes.lines if line.get_label() == "maskable-ppo")
    np.testing.assert_array_equal(agent.get_xydata(), [(step, mean) for step, mean, _ in curve])
    assert len(axes.lines) == 1 + len(POLICIES)
    assert {"maskable-ppo", *POLICIES} <= set(texts(figure))
    assert describe(evaluations["ksp-ff"].conditions) in texts(figure)


def test_a_learning_curve_can_stand_alone() -> None:
    figure = learning_curve_figure([(1000, 0.09, 0.01)], {}, "ppo")
    assert len(figure.axes[0].lines) == 1
    assert "ppo" in texts(figure)


def test_names_beside_lines_keep_apart_and_in_order() -> None:
    heights = np.array([0.1, 0.11, 0.12, 0.5, 0.9])
    placed = plots._apart(heights, 0.06)
    assert (np.diff(placed) >= 0.06 - 1e-12).all()
    np.testing.assert_allclose(placed[3:], heights[3:])


@pytest.mark.parametrize(("direction", "links"), [("directed", 2), ("shared", 1)])
def test_the_map_draws_every_link_once_and_every_node(direction: str, links: int) -> None:
    network = tiny.NETWORK.model_copy(update={"links": direction})
    setting = tiny.prepare(network, [tiny.SCENARIO])
    utilisation = np.linspace(0.11, 0.58, links * len(setting.topology.edges))
    figure = utilisation_map(setting, utilisation, "tiny")
    axes, bar = figure.axes
    arrows = [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]
    assert len(arrows) == utilisation.size
    assert {text.get_text() for text in axes.texts} == set(setting.topology.nodes)
    assert bar.get_ylim() == pytest.approx((0.1, 0.6))
    assert to_hex(arrows[-1].get_edgecolor()) == to_hex(plots.BUSY((0.58 - 0.1) / 0.5))


def test_a_map_of_links_that_are_all_alike_can_be_drawn() -> None:
    setting = tiny.setting()
    drawn(utilisation_map(setting, np.zeros(len(setting.topology.links)), "idle"))


@pytest.mark.parametrize("name", ["nsfnet", "cost239", "usnet", "jpn48"])
def test_a_map_is_the_same_every_time_and_no_node_lies_on_a_foreign_edge(name: str) -> None:
    graph = topology.read(name, "shared").graph
    positions = plots._positions(graph)
    assert positions == plots._positions(graph)
    assert plots._clearance(graph, np.array(list(positions.values()))) > 0.015
    assert positions[next(iter(graph))][0] <= 0


def test_nothing_is_drawn_beyond_the_edge_of_a_figure(evaluations: dict[str, Evaluation]) -> None:
    utilisation = evaluations["ksp-ff"].link_utilisation
    for figure in (
        blocking_figure(list(evaluations.values())),
        learning_curve_figure([(1000, 0.09, 0.01)], evaluations, "maskable-ppo"),
        utilisation_map(SETTING, utilisation, conditions=evaluations["ksp-ff"].conditions),
    ):
        pixels = drawn(figure)
        frame = np.concatenate([pixels[:3].reshape(-1, 4), pixels[-3:].reshape(-1, 4), pixels[:, -3:].reshape(-1, 4)])
        assert (frame == 255).all()
        assert (pixels != 255).any()
