"""Each concern's model takes what makes sense and refuses the rest."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.scenarios import ScenarioConfig, ScenariosConfig
from fusion_rl.errors import UnknownNameError

RATES = {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100}
STEPS = {"kind": "piecewise", "period": 24}
WIDTHS = {"kind": "slots", "widths_slots": [1, 2], "weights": [3, 1]}


def scenario(**values: Any) -> ScenarioConfig:
    return ScenarioConfig.model_validate({"name": "busy", "load_erlang": 250, "bandwidth": RATES, **values})


def experiment(**values: Any) -> ExperimentConfig:
    complete: dict[str, Any] = {
        "name": "tiny",
        "network": {"topology": "nsfnet", "reach_table": [{"bits_per_s_per_hz": 1}]},
        "scenarios": [{"name": "busy", "load_erlang": 250, "bandwidth": RATES}],
        "algorithm": {"name": "a2c"},
    }
    return ExperimentConfig.model_validate({**complete, **values})


def test_truncated_holding_times_offer_the_known_share_of_the_nominal_load() -> None:
    truncated = scenario(holding_truncation="redraw-at-2x-mean")
    # mean of an exponential of mean 1 given that it is below 2: integral of t e^-t from 0 to 2, over 1 - e^-2
    mean = (1 - 3 * math.exp(-2)) / (1 - math.exp(-2))
    assert truncated.offered_erlang == pytest.approx(250 * mean)
    assert truncated.offered_erlang == pytest.approx(171.7, abs=0.1)
    assert scenario().offered_erlang == 250
    assert scenario(mean_holding_time=5).arrival_rate == 50


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"load_erlang": 0}, "greater than 0"),
        ({"load_erlang": -1}, "greater than 0"),
        ({"load_erlang": math.nan}, "finite"),
        ({"load_erlang": True}, "load_erlang|yes or no"),
        ({"slots": 100}, "belongs in `network`"),
        ({"topology": "nsfnet"}, "belongs in `network`"),
        ({"k_paths": 5}, "belongs in `network`"),
        ({"laod_erlang": 3}, "did you mean 'load_erlang'"),
        ({"name": "7"}, "pattern"),
        ({"name": "a.b"}, "pattern"),
        ({"warmup_requests": -1}, "greater than or equal to 0"),
        ({"holding_truncation": "truncate"}, "redraw-at-2x-mean"),
        ({"arrivals": "bursty"}, "poisson"),
        ({"arrivals": "on-off"}, "mean_on_time"),
        ({"arrivals": {**STEPS, "steps": [[1, 1]]}}, "must begin at 0"),
        ({"arrivals": {**STEPS, "steps": [[0, 1], [5, 2], [5, 1]]}}, "times must rise"),
        ({"arrivals": {**STEPS, "steps": [[0, 1], [24, 2]]}}, "stay below the period"),
        ({"arrivals": {**STEPS, "steps": [[0, 1], [5, -1]]}}, "load factor -1 is below 0"),
        ({"arrivals": {**STEPS, "steps": [[0, 0]]}}, "all load factors are 0"),
        ({"arrivals": {**STEPS, "steps": []}}, "at least 1"),
        ({"arrivals": {"kind": "sinusoidal", "amplitude": 1.5, "period": 24}}, "less than or equal to 1"),
        ({"arrivals": {"kind": "sinusoidal", "amplitude": 0.5, "period": 0}}, "greater than 0"),
        ({"holding": "exponental"}, "'exponential'"),
        ({"holding": {"kind": "log-normal", "sigma": 0}}, "greater than 0"),
        ({"holding": "deterministic", "holding_truncation": "redraw-at-2x-mean"}, "for exponential holding times"),
        ({"pairs": {"kind": "gravity", "weights": {"1": 1.0}}}, "at least two nodes"),
        ({"pairs": {"kind": "gravity", "weights": {"1": 1, "2": 1}, "distance_exponent": -1}}, "greater than or equal"),
        ({"bandwidth": {**RATES, "low_gbps": 200}}, "above high_gbps"),
        ({"bandwidth": {**WIDTHS, "weights": [1]}}, "one weight for each"),
        ({"bandwidth": {**WIDTHS, "weights": [0, 0]}}, "all weights are 0"),
        ({"bandwidth": {**WIDTHS, "widths_slots": [2, 2]}}, "more than once"),
        ({"bandwidth": {"kind": "weighted", "values_gbps": [-5], "weights": [1]}}, "greater than 0"),
        ({"pairs": {"kind": "node-weights", "weights": {"1": 1.0}}}, "at least two nodes"),
    ],
)
def test_a_scenario_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        scenario(**values)


def test_a_law_without_values_may_be_given_by_its_kind() -> None:
    assert scenario(arrivals="poisson") == scenario(arrivals={"kind": "poisson"}) == scenario()
    assert scenario(holding="deterministic").holding.kind == "deterministic"
    daily = scenario(arrivals={"kind": "sinusoidal", "amplitude": 0.5, "period": 24})
    assert (daily.arrival_rate, daily.offered_erlang) == (25, 250), "the mean over time stays"


def test_scenarios_are_read_by_position_by_name_and_in_a_loop() -> None:
    first, second = scenario(name="quiet"), scenario(name="busy")
    scenarios = ScenariosConfig((first, second))
    assert scenarios[1] is second
    assert scenarios["quiet"] is first
    assert list(scenarios) == [first, second]
    assert len(scenarios) == 2
    with pytest.raises(UnknownNameError, match="did you mean 'busy'"):
        scenarios["bussy"]


def test_scenarios_have_names_of_their_own_and_are_not_none() -> None:
    with pytest.raises(ValidationError, match="two scenarios have the name 'busy'"):
        ScenariosConfig((scenario(), scenario()))
    with pytest.raises(ValidationError, match="give at least one"):
        ScenariosConfig(())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"links": "undirected"}, "'directed' or 'shared'"),
        ({"slots": 0}, "greater than or equal to 1"),
        ({"slots": 5000}, "less than or equal to 4096"),
        ({"k_paths": 0}, "greater than or equal to 1"),
        ({"reach_table": []}, "is empty"),
        ({"reach_table": [{"bits_per_s_per_hz": 0}]}, "greater than 0"),
        ({"reach_table": [{"bits_per_s_per_hz": 1}, {"bits_per_s_per_hz": 1}]}, "more than once"),
        (
            {"reach_table": [{"name": "a", "bits_per_s_per_hz": 1}, {"name": "a", "bits_per_s_per_hz": 2}]},
            "format name 'a' more than once",
        ),
        ({"k_path": 5}, "did you mean 'k_paths'"),
    ],
)
def test_a_network_refuses(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NetworkConfig.model_validate({"topology": "nsfnet", **values})


def test_a_reward_pays_more_for_serving_than_for_blocking() -> None:
    with pytest.raises(ValidationError, match="must be above block"):
        RewardConfig(success=0.0, block=0.0)


def test_training_and_evaluation_do_not_share_a_seed() -> None:
    with pytest.raises(ValidationError, match="held out"):
        ExecutionConfig(seed=5, eval_seed=5)


def test_a_configuration_cannot_be_changed() -> None:
    config = experiment()
    with pytest.raises(ValidationError, match="frozen"):
        config.network.slots = 7


def test_bit_rates_need_formats() -> None:
    plain = {"topology": "nsfnet", "reach_table": None}
    with pytest.raises(ValidationError, match="scenario 'busy' must give widths in slots"):
        experiment(network=plain)
    widths = [{"name": "busy", "load_erlang": 250, "bandwidth": WIDTHS}]
    assert experiment(network=plain, scenarios=widths).network.reach_table is None


def test_a_batch_divides_what_is_collected_and_fits_what_is_kept() -> None:
    ppo = {"name": "ppo", "n_steps": 64, "batch_size": 1024}
    assert experiment(algorithm=ppo, execution={"lanes": 16}).execution.lanes == 16
    with pytest.raises(ValidationError, match=r"batch_size \(1024\) must divide .* \(64 x 3 = 192\)"):
        experiment(algorithm=ppo, execution={"lanes": 3})
    with pytest.raises(ValidationError, match=r"buffer_size \(10\) must hold"):
        experiment(algorithm={"name": "dqn", "buffer_size": 10})


@pytest.mark.parametrize("model", [NetworkConfig, ScenarioConfig, RewardConfig, ExecutionConfig])
def test_every_setting_says_what_it_is(model: type[Any]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
