"""Benchmarks name their conditions, take turns, and are drawn as what a request costs."""

from dataclasses import replace

import pytest

from fusion_rl.analysis.benchmarks import BENCHMARKS, QUICK, Measurement, chosen, machine, run
from fusion_rl.analysis.benchmarks.measure import TARGETS, alternating
from fusion_rl.analysis.benchmarks.memory import kept_mb
from fusion_rl.analysis.benchmarks.plot import PANELS, cost, cost_figure, drawable
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.errors import UnknownNameError

TINY = replace(
    QUICK,
    repetitions=2,
    requests=2_000,
    thread_requests=2_000,
    seconds=0.01,
    steps=512,
    topologies=("nsfnet", "cost239"),
)


@pytest.fixture(scope="module")
def found() -> list[Measurement]:
    return run(("rollout", "slots", "topologies", "threads", "memory-lanes"), TINY)


def test_a_figure_names_all_that_it_depends_on(found: list[Measurement]) -> None:
    for one in found:
        told = one.conditions
        assert {"timed", "topology", "slots", "k_paths", "load_erlang", "lanes", "load_average", "cpu"} <= told.keys()
        assert told["min"] <= one.value <= told["max"]
    by_name = {one.name: one.conditions for one in found}
    assert (by_name["slots mscl S=320"]["slots"], by_name["slots mscl S=320"]["load_erlang"]) == (320, 800.0)
    assert by_name["topology cost239, 11 nodes"]["nodes"] == 11


def test_every_heuristic_is_measured(found: list[Measurement]) -> None:
    measured = [one.conditions["heuristic"] for one in found if one.conditions["benchmark"] == "rollout"]
    assert measured == list(HEURISTICS)


def test_targets_stand_beside_the_figures_that_they_are_for(found: list[Measurement]) -> None:
    targets = {one.name: one.conditions["target"] for one in found if one.conditions["target"]}
    assert targets == {name: TARGETS[name] for name in targets}
    assert {"rollout ksp-ff K=5", "rollout mscl K=5"} <= targets.keys()


def test_things_that_are_compared_take_turns() -> None:
    log: list[str] = []
    results = alternating([lambda: log.append("one") or len(log), lambda: log.append("two") or len(log)], 3)
    assert log == ["one", "two"] * 3
    assert results == [[1, 3, 5], [2, 4, 6]]


def test_logging_costs_a_small_share_of_learning() -> None:
    [share] = run(("logging",), replace(TINY, repetitions=1, learning_steps=16_384))
    assert share.conditions["metric_values"] >= 20
    assert 0 < share.value < 0.1  # a short training: `fusion-rl bench --only logging` has the figure


def test_more_lanes_take_more_memory_in_proportion() -> None:
    few, many = kept_mb(16), kept_mb(64)
    assert 3.5 < many / few < 4.5


def test_the_figure_has_a_panel_for_each_axis_and_a_point_for_each_figure(found: list[Measurement]) -> None:
    figure = cost_figure(found, machine())
    drawn = [axes for axes in figure.axes if axes.has_data()]
    assert [axes.get_title(loc="left") for axes in drawn] == [
        PANELS[name].title for name in ("rollout", "slots", "topologies", "threads", "memory-lanes")
    ]
    assert [label.get_text() for label in drawn[0].get_yticklabels()] == list(HEURISTICS)
    network = drawn[2].lines[0]
    topologies = [one for one in found if one.conditions["benchmark"] == "topologies"]
    assert list(network.get_xdata()) == [one.conditions["nodes"] for one in topologies] == [14, 11]
    assert list(network.get_ydata()) == pytest.approx([1e9 / one.value for one in topologies])


def test_a_speed_is_drawn_as_nanoseconds_and_other_figures_as_they_are() -> None:
    told = {"min": 1e6, "max": 4e6}
    assert cost(Measurement("a", 2e6, "requests/s", told)) == (500.0, 250.0, 1000.0)
    assert cost(Measurement("a", 2e6, "MB", told)) == (2e6, 1e6, 4e6)


def test_every_panel_belongs_to_a_benchmark() -> None:
    assert set(PANELS) <= set(BENCHMARKS)
    assert drawable(["start-up", "paths"]) == ["paths"]


def test_a_benchmark_is_chosen_once_and_an_unknown_one_refused() -> None:
    assert chosen(["lanes", "paths", "lanes"]) == ["lanes", "paths"]
    assert chosen() == list(BENCHMARKS)
    with pytest.raises(UnknownNameError, match="did you mean 'lanes'"):
        chosen(["lane"])
