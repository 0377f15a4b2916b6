"""Models side by side: the newest ones, loads around theirs, and paired differences that add up."""

from pathlib import Path

import numpy as np
import pytest

from fusion_rl.agents.catalog import make_agent
from fusion_rl.analysis.compare_models import (
    choose_policies,
    comparison_frame,
    differences_figure,
    experiment_of,
    loads_around,
    models_frame,
    paired_differences,
    published_frame,
    short,
)
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import ConfigError, PolicyError, TrackingError, UnknownNameError
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import checkpoints
from fusion_rl.training.comparison import Comparison, Reference
from fusion_rl.training.evaluate import Evaluation
from fusion_rl.training.loads import over_loads
from fusion_rl.training.policies import as_policy
from tests.analysis.tiny_experiment import experiment

CONFIG = experiment()


@pytest.fixture(scope="module")
def met() -> dict[float, list[Evaluation]]:
    return over_loads(CONFIG, ["ksp-ff", "sp-ff", "random"], [10.0, 20.0], requests=1600, lanes=8)


def test_differences_are_those_of_the_lanes(met: dict[float, list[Evaluation]]) -> None:
    rows = paired_differences(met, "ksp-ff")
    assert rows.index.tolist() == [(10.0, "sp-ff"), (10.0, "random"), (20.0, "sp-ff"), (20.0, "random")]
    mine, theirs = (one.tally.blocking_by_lane() for one in met[20.0][:2])
    assert rows.loc[(20.0, "sp-ff"), "difference"] == pytest.approx((theirs - mine).mean())
    assert rows.loc[(20.0, "sp-ff"), "verdict"] == "better"
    assert paired_differences(met, "sp-ff").loc[(20.0, "ksp-ff"), "verdict"] == "worse"
    with pytest.raises(ConfigError, match="mscl is not among ksp-ff, sp-ff, random"):
        paired_differences(met, "mscl")


def test_policies_that_block_alike_cannot_be_told_apart(met: dict[float, list[Evaluation]]) -> None:
    twice = {load: [*found, replaced(found[0], "twin")] for load, found in met.items()}
    assert set(paired_differences(twice, "ksp-ff").xs("twin", level="policy")["verdict"]) == {"no telling"}


def replaced(evaluation: Evaluation, name: str) -> Evaluation:
    return Evaluation(name, evaluation.conditions, evaluation.tally, 1.0, {})


def test_the_figure_has_a_curve_for_every_policy_but_the_reference(met: dict[float, list[Evaluation]]) -> None:
    axes = differences_figure(met, "ksp-ff").axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["sp-ff", "random"]
    expected = paired_differences(met, "ksp-ff").xs("sp-ff", level="policy")["difference"]
    np.testing.assert_array_equal(axes.containers[0].lines[0].get_ydata(), expected)


def test_a_comparison_is_a_row_for_each_load_and_policy_and_published_figures_stand_apart(
    met: dict[float, list[Evaluation]],
) -> None:
    other = Reference("Some-RSA", "agent", 20.0, 0.5, None, "as printed", "a paper")
    result = Comparison("run", met, references=(other,))
    rows = comparison_frame(result)
    assert rows.index.tolist() == [(load, one.policy) for load, found in met.items() for one in found]
    second = met[20.0][1]
    assert rows.loc[(20.0, "sp-ff"), "fragmentation"] == second.usage["fragmentation"]
    assert rows.loc[(20.0, "sp-ff"), "ratio"] == pytest.approx(
        second.tally.blocked_requests / met[20.0][0].tally.blocked_requests
    )
    assert published_frame(result).loc[(20.0, "Some-RSA"), "conditions"] == "as printed"
    assert published_frame(Comparison("run", met)).empty


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a model, the second of which is champion; untrained, as learning is not what is looked at."""
    folder = tmp_path_factory.mktemp("runs")
    env = OpticalVecEnv(make_simulator(CONFIG, prepare(CONFIG), 2, 1))
    for seed in (1, 2):
        agent = make_agent(CONFIG.algorithm, env, seed=seed, device="cpu")
        parameters = {"execution.seed": seed, "execution.timesteps": 0}
        with open_store(folder).start("tiny", f"seed {seed}", parameters, {"topology": "tiny", "load": "20 E"}) as run:
            bundle = folder / f"{seed}.zip"
            checkpoints.export_zip(agent, CONFIG, bundle)
            run.log_model(bundle, "maskable-ppo", registered_name="tiny-model")
            run.log_metrics({"evaluation/service_blocking": seed / 10, "evaluation/service_blocking_ci95": 0.01})
    open_store(folder).set_alias("tiny-model", "champion", 2)
    return folder


def test_every_version_is_listed_newest_first_with_what_its_run_says(store: Path) -> None:
    frame = models_frame(store)
    assert frame.index.tolist() == ["models:/tiny-model/2", "models:/tiny-model/1"]
    assert frame["aliases"].tolist() == ["champion", ""]
    assert frame["service_blocking"].tolist() == [0.2, 0.1]
    assert frame["topology"].tolist() == ["tiny", "tiny"]


def test_policies_are_named_in_short_and_the_newest_are_taken_where_none_is(store: Path) -> None:
    assert [one.name for one in choose_policies(store, [], 2)] == ["tiny-model/2", "tiny-model/1"]
    assert [one.name for one in choose_policies(store, [], 1)] == ["tiny-model/2"]
    named = choose_policies(store, ["models:/tiny-model@champion", "ksp-ff"], 5)
    assert [one.name for one in named] == ["tiny-model@champion", "ksp-ff"]
    assert short("some/where/RUN/final.bundle") == "RUN/final.bundle"
    with pytest.raises(UnknownNameError, match="did you mean 'ksp-ff'"):
        choose_policies(store, ["ksp-f"], 1)


def test_a_store_without_models_says_what_to_do(tmp_path: Path) -> None:
    open_store(tmp_path)
    with pytest.raises(TrackingError, match=r"no model is registered in .*: train one"):
        choose_policies(tmp_path, [], 2)


def test_an_agent_is_looked_at_where_it_was_trained() -> None:
    env = OpticalVecEnv(make_simulator(CONFIG, prepare(CONFIG), 1, 1))
    agent = as_policy("mine", make_agent(CONFIG.algorithm, env, seed=1, device="cpu"), CONFIG)
    config = experiment_of(agent, "elsewhere", 30.0)
    assert config.network == CONFIG.network
    assert (config.scenarios[0].load_erlang, config.execution.tracking_dir) == (30.0, "elsewhere")
    assert experiment_of(agent, "elsewhere").scenarios == CONFIG.scenarios
    assert loads_around(config) == [24.0, 27.0, 30.0, 33.0]
    assert loads_around(config, [1.0]) == [1.0]
    with pytest.raises(ConfigError, match="give a load above 0"):
        experiment_of(agent, "elsewhere", -1.0)
    [heuristic] = choose_policies("elsewhere", ["ksp-ff"], 1)
    with pytest.raises(PolicyError, match="'ksp-ff' is a heuristic and was trained nowhere"):
        experiment_of(heuristic, "elsewhere")
