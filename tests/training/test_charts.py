"""What is drawn of a real training: every curve with its numbers, as pictures, as a page, and as JSON."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.agents.action_values import action_values
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import MetricPoint
from fusion_rl.tracking.mlflow_store import Store, open_store
from fusion_rl.training import charts, interactive
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.loads import over_loads
from fusion_rl.training.result import RunResult
from fusion_rl.training.run import train
from tests.agents.worlds import agent_of, seen_after, settings_of

LOADS = (4.0, 8.0)
POLICY_GRADIENT, VALUE_BASED = "maskable-ppo", "masked-dqn"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return open_store(tmp_path_factory.mktemp("charts"))


@pytest.fixture(scope="module")
def results(store: Store) -> dict[str, RunResult]:
    """A tiny training of each kind of agent."""
    folder = str(Path(store.uri.removeprefix("sqlite:///")).parent)
    small = {
        "timesteps": 2400, "eval_every": 600, "eval_requests": 100, "eval_lanes": 2, "final_requests": 200,
        "parity_requests": 100,
        "final_lanes": 2, "final_loads": LOADS, "progress": False, "register_model": False, "tracking_dir": folder,
    }  # fmt: skip
    found = {}
    for name in (POLICY_GRADIENT, VALUE_BASED):
        config = experiment(settings_of(name))
        found[name] = train(config.model_copy(update={"execution": config.execution.model_copy(update=small)}))
    return found


@pytest.fixture(scope="module")
def history(store: Store, results: dict[str, RunResult]) -> dict[str, dict[str, list[MetricPoint]]]:
    """What the runs logged while they learned."""

    def of(run_id: str) -> dict[str, list[MetricPoint]]:
        names = [name for name in store.find_run(run_id).metrics if name.startswith(charts.PREFIXES)]
        return {name: store.metric_history(run_id, name) for name in names}

    return {name: of(result.run_id) for name, result in results.items()}


@pytest.mark.parametrize(
    ("name", "pictures"),
    [
        (POLICY_GRADIENT, {"reward", "losses", "exploration"}),
        (VALUE_BASED, {"reward", "losses", "exploration", "action_values"}),
    ],
)
def test_a_run_holds_its_pictures_and_their_numbers(
    name: str, pictures: set[str], store: Store, results: dict[str, RunResult]
) -> None:
    folder = store.artifact_path(results[name].run_id, "plots")
    always = {"blocking", "learning_curve", "utilisation", "blocking_against_load"}
    assert {path.stem for path in folder.glob("*.png")} == always | pictures
    assert (folder / "interactive.html").is_file()
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.glob("*.png"))
    told = json.loads((folder / "metrics.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert told["evaluation"]["service_blocking"]["mean"] == results[name].evaluation.service_blocking.mean
    assert set(told["baselines"]) == set(results[name].baselines)
    curve = told["charts"]["learning_curve"]["share of requests blocked"][results[name].evaluation.policy]
    assert curve["x"] == [step for step, _, _ in results[name].learning_curve]
    assert curve["y"] == [blocking for _, blocking, _ in results[name].learning_curve]
    assert set(told["charts"]) == pictures | {"learning_curve", "blocking_against_load"}


def find_panel(chart: charts.Chart, label: str) -> charts.Panel:
    return next(panel for panel in chart.panels if panel.label == label)


def chart_of(history: Mapping[str, Any], name: str) -> charts.Chart:
    return next(chart for chart in charts.of_history(history, {"topology": "tiny"}) if chart.name == name)


def test_generations_of_an_evolution_are_shown_with_their_spread() -> None:
    names = ("member_blocking_max", "member_blocking_mean", "member_blocking_min", "step_size")
    logged = {f"evolution/{name}": [MetricPoint(name, n / 8, 100, 0), MetricPoint(name, n / 16, 200, 0)]
              for n, name in enumerate(names)}  # fmt: skip
    members, step_size = chart_of(logged, "generations").panels
    assert [one.name for one in members.series] == ["worst member", "mean", "best member"]
    assert list(step_size.series[0].y) == [3 / 8, 3 / 16]


def test_reward_is_shown_raw_and_smoothed(history: dict[str, Any]) -> None:
    logged = history[POLICY_GRADIENT]["rollout/episode_reward"]
    assert len(logged) >= 3
    raw, smooth = find_panel(chart_of(history[POLICY_GRADIENT], "reward"), "reward of an episode").series
    assert raw.is_raw
    assert [(x, y) for x, y in zip(raw.x, raw.y, strict=True)] == [(one.step, one.value) for one in logged]
    np.testing.assert_allclose(smooth.y, charts.smoothed(raw.y))
    figure = charts.draw(chart_of(history[POLICY_GRADIENT], "reward"))
    drawn = [line for line in figure.axes[0].lines if line.get_label() == "episodes"]
    np.testing.assert_array_equal(drawn[0].get_ydata(), raw.y)
    assert figure.axes[0].get_ylabel() == "reward of an episode"
    assert "Reward while learning, exploration included" in [text.get_text() for text in figure.texts]


def test_every_loss_has_a_panel(history: dict[str, Any]) -> None:
    panels = {panel.label for panel in chart_of(history[POLICY_GRADIENT], "losses").panels}
    assert panels == {"loss", "policy gradient loss", "value loss"}
    assert {panel.label for panel in chart_of(history[VALUE_BASED], "losses").panels} == {"loss"}


def test_exploration_is_what_the_agent_has_of_it(history: dict[str, Any]) -> None:
    labels = {panel.label for panel in chart_of(history[POLICY_GRADIENT], "exploration").panels}
    assert {"entropy of the policy, negative", "learning rate", "clip range"} <= labels
    [rate] = find_panel(chart_of(history[VALUE_BASED], "exploration"), "share of random actions").series
    assert rate.y[0] > rate.y[-1]


def test_the_worth_of_actions_is_logged_for_agents_that_learn_it(history: dict[str, Any]) -> None:
    [panel] = chart_of(history[VALUE_BASED], "action_values").panels
    best, mean = panel.series
    assert (best.name, mean.name) == ("best allowed action", "all allowed actions")
    assert all(b >= m for b, m in zip(best.y, mean.y, strict=True))
    assert len(set(best.y)) > 1
    assert "train/action_value_best" not in history[POLICY_GRADIENT]


@pytest.mark.parametrize("name", ["dqn", "masked-qr-dqn", "q-learning", "ucb", "ppo"])
def test_action_values_are_those_that_decide(name: str) -> None:
    agent, env = agent_of(name)
    agent.learn(200)
    seen = seen_after(env, 20)
    values = action_values(agent, seen)
    if name == "ppo":
        assert values is None
        return
    assert values is not None
    assert values.shape == (env.num_envs, env.action_space.n)  # type: ignore[attr-defined]
    decided, _ = agent.predict(seen, deterministic=True)
    np.testing.assert_array_equal(values.argmax(axis=1), decided)


def test_blocking_against_load_has_a_curve_for_each_policy_on_the_same_traffic() -> None:
    config = experiment(settings_of(POLICY_GRADIENT))
    found = over_loads(config, ["ksp-ff", "random"], [8.0, 4.0], requests=800, lanes=8)
    assert list(found) == [4.0, 8.0]
    chart = charts.blocking_against_load(found, "random")
    [panel] = chart.panels
    assert [one.name for one in panel.series] == ["ksp-ff", "random"]
    for number, one in enumerate(panel.series):
        estimates = [found[load][number].service_blocking for load in (4.0, 8.0)]
        assert (one.y, one.half) == ([e.mean for e in estimates], [e.ci95 for e in estimates])
        assert one.y[0] < one.y[1]
    figure = charts.draw(chart)
    axes = figure.axes[0]
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"ksp-ff", "random"}
    np.testing.assert_array_equal(axes.containers[0].lines[0].get_xdata(), [4.0, 8.0])
    assert axes.get_xlabel() == "nominal load (Erlang)"
    assert not any("nominal" in text.get_text() for text in figure.texts)  # no load is the figure's


def test_loads_share_their_random_numbers() -> None:
    config = experiment(settings_of(POLICY_GRADIENT))
    found = over_loads(config, ["ksp-ff"], [8.0, 8.0 + 1e-9], requests=800, lanes=8)
    blocked = [one[0].tally.blocking_by_lane() for one in found.values()]
    np.testing.assert_array_equal(*blocked)


def test_values_that_are_no_numbers_are_left_out_and_null(results: dict[str, RunResult]) -> None:
    points = [MetricPoint("train/loss", value, step, 0) for step, value in enumerate([1.0, float("nan"), 3.0])]
    chart = chart_of({"train/loss": points}, "losses")
    assert chart.panels[0].series[0].y == [1.0, 3.0]
    evaluation: Evaluation = results[POLICY_GRADIENT].evaluation
    broken = charts.Chart("odd", "Odd", "x", [charts.Panel("y", [charts.Series("s", [1.0], [float("inf")])])])
    assert json.loads(charts.metrics_text(evaluation, {}, [broken]))["charts"]["odd"]["y"]["s"]["y"] == [None]


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200))
def test_a_smoothed_curve_stays_within_the_raw_one(values: list[float]) -> None:
    found = charts.smoothed(values)
    assert found.shape == (len(values),)
    assert found[0] == values[0]
    assert (found >= min(values) - 1e-6).all()
    assert (found <= max(values) + 1e-6).all()


def test_the_page_shows_the_same_curves_and_needs_nothing_else(history: dict[str, Any]) -> None:
    drawn = charts.of_history(history[VALUE_BASED], {"topology": "tiny"})
    for chart in drawn:
        figure = interactive.interactive(chart)
        series = [one for panel in chart.panels for one in panel.series]
        assert [trace.name for trace in figure.data] == [one.name for one in series]
        for trace, one in zip(figure.data, series, strict=True):
            np.testing.assert_array_equal(trace.y, one.y)
    page = interactive.page(drawn, "a <run>")
    assert page.count("<!doctype html>") == 1
    assert "a &lt;run&gt;" in page
    assert 'src="http' not in page
