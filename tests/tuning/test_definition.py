"""A study's file: what it may say, and the one line that says what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.reward import RewardConfig
from fusion_rl.config.search import Range
from fusion_rl.errors import ConfigError, StudyError
from fusion_rl.tuning.definition import find_definition, make_definition, read_definition, study_names
from fusion_rl.tuning.spaces import check_values, make_space
from fusion_rl.tuning.storage import make_pruner, make_sampler, open_storage, resolve_storage
from tests.tuning.worlds import study_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"smapler": "tpe"}, "unknown key 'smapler': did you mean 'sampler'?"),
        ({"sampler": "tep"}, "sampler: unknown 'tep': did you mean 'tpe'?"),
        ({"pruner": "ash"}, "pruner: unknown 'ash': did you mean 'asha'?"),
        (
            {"objectives": ["bloking"]},
            "objectives: .*: unknown 'bloking': did you mean 'blocking'?|objectives.*bloking",
        ),
        ({"objectives": ["blocking", "time"], "pruner": "median"}, "pruner median needs a single objective"),
        ({"objectives": ["blocking", "time"], "sampler": "cmaes"}, "sampler cmaes takes a single objective"),
        ({"budget": {"trials": 0, "timesteps": 10}}, "budget.trials: 0 should be greater than or equal to 1"),
        ({"budget": {"trials": 2}}, "budget.timesteps is missing"),
        ({"search": {}}, "search: .* should have at least 1 item"),
        ({"search": {"algorithm.gamma": {"low": 0.9, "high": 0.9}}}, r"the range is empty: low \(0.9\) must be below"),
        ({"search": {"algorithm.gamma": {"choices": []}}}, "the range is empty: there are no choices"),
        ({"search": {"algorithm.gamma": {"low": 0.9}}}, "a range needs low and high, or choices"),
        ({"search": {"algorithm.learning_rate": {"low": 0, "high": 1, "log": True}}}, "must be above 0 where log"),
        ({"search": ["algorithm.gamma", "algorithm.gamma"]}, "algorithm.gamma is given twice"),
    ],
)
def test_what_a_study_may_not_say_is_told_in_one_line(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        study_of(**values)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"search": ["algorithm.learning_rte"]},
            "unknown setting 'algorithm.learning_rte': did you mean 'algorithm.lea",
        ),
        ({"search": ["algorithm.n_quantiles"]}, "'n_quantiles' is not a setting of maskable-ppo"),
        ({"search": ["network.k_paths"]}, "network.k_paths has no range of its own: give low and high, or choices"),
        (
            {"search": {"algorithm.gamma": {"low": 0.5, "high": 2.0}}},
            r"algorithm.gamma \(study tiny\): 2.0 should be less",
        ),
        ({"search": {"algorithm.n_epochs": {"low": 1, "high": 2.5}}}, "algorithm.n_epochs takes whole numbers"),
        ({"search": {"algorithm.batch_size": {"choices": [32, 48]}}}, r"batch_size \(48\) must divide"),
        (
            {"search": {"execution.eval_seed": {"low": 1, "high": 9}}},
            "execution.eval_seed says how trials are measured",
        ),
        ({"search": {"execution.seed": {"low": 1, "high": 9}}}, "execution.seed is said by seeds"),
        ({"overrides": {"execution.timesteps": 5}}, "execution.timesteps is said by budget.timesteps"),
        ({"overrides": {"network.k_pats": 5}}, "unknown setting 'network.k_pats'"),
        (
            {"experiment": "deeprmsa-nsfnt"},
            "unknown experiment preset 'deeprmsa-nsfnt': did you mean 'deeprmsa-nsfnet'",
        ),
    ],
)
def test_a_search_that_cannot_be_made_fails_before_anything_starts(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_values(make_space(study_of(**values), "runs"))


def test_values_that_are_not_allowed_together_are_named() -> None:
    search = {"algorithm.n_steps": {"choices": [8, 16]}, "algorithm.batch_size": {"choices": [32, 64]}}
    with pytest.raises(ConfigError, match=r"search allows algorithm.n_steps=8, algorithm.batch_size=64: .*must divide"):
        check_values(make_space(study_of(search=search), "runs"))


@pytest.mark.parametrize("model", [*ALGORITHM_MODELS.values(), RewardConfig], ids=lambda model: model.__name__)
def test_every_default_range_holds_values_that_its_setting_may_have(model: Any) -> None:
    ranges: dict[str, Range] = model.search_ranges()
    assert ranges
    for name, entry in ranges.items():
        for value in entry.corners():
            model.model_validate({name: value})


def test_a_list_takes_default_ranges_and_a_mapping_its_own() -> None:
    space = make_space(study_of(), "runs")
    rate, gamma = space.dimensions
    assert (rate.range.low, rate.range.high, rate.range.log) == (1e-5, 3e-3, True)
    assert (gamma.range.low, gamma.range.high) == (0.5, 0.99)
    assert space.defaults() == {"algorithm.learning_rate": 3e-4, "algorithm.gamma": 0.99}


def test_the_type_of_a_setting_decides_what_is_proposed() -> None:
    search = {
        "reward.block": {"low": -3, "high": -1},
        "algorithm.n_epochs": {"low": 1, "high": 3},
        "algorithm.net_arch": {"choices": [[8], [16, 16]]},
        "algorithm.target_kl": {"low": 0.01, "high": 0.1},
        "scenarios.*.load_erlang": {"low": 10, "high": 20},
    }
    space = make_space(study_of(search=search), "runs")
    kinds = [type(dimension.distribution).__name__ for dimension in space.dimensions]
    names = ("Float", "Int", "Categorical", "Float", "Float")
    assert kinds == [f"{name}Distribution" for name in names]
    assert space.values({"algorithm.net_arch": "[16, 16]"}) == {"algorithm.net_arch": [16, 16]}
    config = space.configuration({"algorithm.net_arch": [16, 16], "scenarios.*.load_erlang": 12.0}, seed=2)
    assert config.algorithm.net_arch == (16, 16)  # type: ignore[union-attr]
    assert config.scenarios[0].load_erlang == 12.0
    assert config.execution.seed == space.base.execution.seed + 2


def test_a_preset_of_the_algorithm_can_be_searched() -> None:
    search = {"algorithm": {"choices": ["maskable-ppo", "maskable-ppo-paths"]}, "algorithm.net_arch": None}
    space = make_space(study_of(search=search, experiment="deeprmsa-nsfnet"), "runs")
    config = space.configuration({"algorithm": "maskable-ppo-paths", "algorithm.net_arch": [64, 64]})
    assert (config.algorithm.features, config.algorithm.net_arch) == ("paths", (64, 64))  # type: ignore[union-attr]


@pytest.mark.parametrize("name", study_names())
def test_the_shipped_studies_can_be_begun(name: str) -> None:
    definition = read_definition(name)
    space = make_space(definition, "runs")
    check_values(space)
    make_pruner(definition, space.base.execution.eval_every)
    assert definition.name == name


def test_a_study_is_found_by_name_folder_or_file_also_from_below(monkeypatch: pytest.MonkeyPatch) -> None:
    file = REPOSITORY / "studies" / "reward_shaping" / "study.yaml"
    monkeypatch.chdir(REPOSITORY / "notebooks")
    assert [find_definition(given) for given in ("reward_shaping", file.parent, file)] == [file] * 3
    with pytest.raises(ConfigError, match="unknown study 'reward_shape': did you mean 'reward_shaping'"):
        find_definition("reward_shape")


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "nsga2", "random"])
@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median", "none"])
def test_every_sampler_and_pruner_can_be_made(sampler: str, pruner: str) -> None:
    definition = study_of(sampler=sampler, pruner=pruner)
    assert make_sampler(definition, 3)
    assert make_pruner(definition, 100)


def test_a_storage_that_is_down_or_no_database_is_told_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"postgresql://me:\*\*\*@127.0.0.1:1/x cannot be opened: .*refused"):
        open_storage(resolve_storage("postgresql://me:secret@127.0.0.1:1/x"))
    with pytest.raises(StudyError, match=r"'studies\.db' is not the URL of a database"):
        resolve_storage("studies.db")
    with pytest.raises(StudyError, match="does not exist"):
        open_storage(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not list(tmp_path.iterdir())


def test_the_default_storage_lies_beside_the_studies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FUSION_RL_STUDIES", raising=False)
    monkeypatch.chdir(REPOSITORY / "notebooks")
    assert resolve_storage() == f"sqlite:///{REPOSITORY}/studies/studies.db"
    monkeypatch.setenv("FUSION_RL_STUDIES", "sqlite:////elsewhere/s.db")
    assert resolve_storage() == "sqlite:////elsewhere/s.db"


def test_a_definition_survives_its_storage() -> None:
    definition = study_of(search={"algorithm.net_arch": {"choices": [[8], [16, 16]]}})
    again = make_definition(definition.model_dump(mode="json"))
    assert again.fixed() == definition.fixed()
