"""Settings of the algorithms: their classes' own names and defaults, schedules in place of numbers, and refusals."""

import inspect
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.load import flatten, load
from fusion_rl.config.schedule import LAWS, LinearLaw, Rate, Share
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.tracking.sb3_classes import MASKED, SB3_CLASSES, sb3_class

LINEAR = {"kind": "linear", "start": 3e-4, "end": 1e-5}


@pytest.mark.parametrize("name", ALGORITHM_MODELS)
def test_hyperparameters_are_arguments_of_the_class_with_its_defaults(name: str) -> None:
    owners = [owner for owner in sb3_class(name).__mro__ if "__init__" in vars(owner)]
    theirs: dict[str, inspect.Parameter] = {}
    for owner in reversed(owners):
        theirs |= inspect.signature(owner).parameters
    ours = ALGORITHM_MODELS[name].model_validate({"name": name}).hyperparameters()
    assert ours, "there is something to set"
    assert {key: theirs[key].default for key in ours if key != "exploration"} == {
        key: value for key, value in ours.items() if key != "exploration"
    }
    assert "exploration" not in ours or "exploration" in theirs


def test_every_algorithm_has_a_class_and_a_preset_of_its_name() -> None:
    assert list(SB3_CLASSES) == list(ALGORITHM_MODELS)
    assert set(ALGORITHM_MODELS) >= MASKED
    for name in ALGORITHM_MODELS:
        assert load("deeprmsa-nsfnet", algorithm=name).config.algorithm.name == name


@pytest.mark.parametrize("model", [*ALGORITHM_MODELS.values(), *LAWS])
def test_every_setting_of_an_algorithm_says_what_it_is(model: type[Any]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description and name != "kind"] == [
        name for name in ("name",) if name in model.model_fields and not model.model_fields["name"].description
    ]


def test_a_schedule_is_a_number_or_a_law() -> None:
    assert load(overrides={"algorithm.learning_rate": 2e-3}).config.algorithm.learning_rate == 2e-3
    given = load(overrides={"algorithm.learning_rate": LINEAR})
    assert given.config.algorithm.learning_rate == LinearLaw(start=3e-4, end=1e-5)
    assert flatten(given.config)["algorithm.learning_rate.end"] == 1e-5
    parts = [f"algorithm.learning_rate.{key}={value}" for key, value in LINEAR.items()]
    assert load(overrides=["algorithm.learning_rate={kind: linear, start: 1, end: 0}", *parts]).config == given.config


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("learning_rate", 0, "greater than 0"),
        ("learning_rate", "fast", "valid number"),
        ("learning_rate", True, "yes or no"),
        ("learning_rate", {"kind": "linaer", "start": 1, "end": 0}, "unknown kind of schedule 'linaer': did you mean"),
        ("learning_rate", {"start": 1, "end": 0}, "needs its kind: choose from constant, linear"),
        ("learning_rate", {"kind": "linear", "start": 1}, "end"),
        ("learning_rate", {"kind": "linear", "start": -1, "end": 0}, "greater than or equal to 0"),
        ("learning_rate", {"kind": "exponential", "start": 1, "decay_rate": 0}, "greater than 0"),
        ("learning_rate", {"kind": "cosine", "start": 1, "ent": 0}, "did you mean 'end'"),
        ("ent_coef", -0.1, "greater than or equal to 0"),
        ("clip_range", {"kind": "linear", "start": "x", "end": 0}, "valid number"),
        ("clip_range_vf", 0, "greater than 0"),
    ],
)
def test_a_bad_schedule_is_one_clear_line(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        load(overrides={f"algorithm.{setting}": value})
    assert f"algorithm.{setting}" in str(raised.value)


@pytest.mark.parametrize("value", [1.5, {"kind": "linear", "start": 2, "end": 0}, {"kind": "constant", "value": 1.1}])
@pytest.mark.parametrize("algorithm", ["dqn", "q-learning", "epsilon-greedy"])
def test_a_share_is_at_most_one(algorithm: str, value: Any) -> None:
    with pytest.raises(ConfigError, match="is above 1: this is a share"):
        load(algorithm=algorithm, overrides={"algorithm.exploration": value})


NONSENSE = st.one_of(
    st.none(),
    st.booleans(),
    st.text(max_size=5),
    st.lists(st.floats(), max_size=2),
    st.floats(),
    st.dictionaries(st.sampled_from(["kind", "start", "end", "x"]), st.sampled_from(["linear", 1, -1, ""])),
)


@given(NONSENSE)
def test_anything_else_is_refused_and_nothing_else_is_raised(value: Any) -> None:
    for kind in (Rate, Share):
        try:
            found: Any = TypeAdapter(kind).validate_python(value)
        except ValidationError:
            continue
        assert isinstance(found, LAWS) or found >= 0


def test_a_change_of_algorithm_keeps_what_the_other_one_has_too() -> None:
    ours = {"name": "ppo", "net_arch": [8], "observation": "unified", "n_steps": 64}
    kept = load("deeprmsa-nsfnet", algorithm=ours, overrides={"algorithm.name": "dqn"}).config.algorithm
    assert (kept.net_arch, kept.observation) == ((8,), "unified")
    table = load("deeprmsa-nsfnet", algorithm=ours, overrides={"algorithm.name": "q-learning"}).config.algorithm
    assert table.observation == "unified"


@pytest.mark.parametrize(
    ("algorithm", "setting", "value", "message"),
    [
        ("q-learning", "net_arch", [8], "'net_arch' is not a setting of q-learning"),
        ("ucb", "exploration", 0.1, "'exploration' is not a setting of ucb"),
        ("masked-dqn", "n_steps", 0, "greater than or equal to 1"),
        ("trpo", "ent_coef", 0.1, "'ent_coef' is not a setting of trpo"),
        ("dqn", "max_grad_norm", None, "valid number"),
        ("trpo", "batch_size", 1000, "must divide"),
        ("q-learning", "congestion_levels", 0, "greater than or equal to 1"),
        ("epsilon-greedy", "step_size", 2, "less than or equal to 1"),
    ],
)
def test_what_an_algorithm_does_not_have_is_refused(algorithm: str, setting: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(algorithm=algorithm, overrides={f"algorithm.{setting}": value})


@pytest.mark.parametrize(("algorithm", "features"), [("recurrent-ppo", "paths"), ("ppo", "path")])
def test_an_unknown_kind_of_features_is_refused(algorithm: str, features: str) -> None:
    with pytest.raises(UnknownNameError, match="known: mlp"):
        load(algorithm=algorithm, overrides={"algorithm.features": features})
