"""An evolved agent against itself with groups of parameters put back to where learning began."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import FusionRLError
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.ablation import EVERYTHING, Ablation, ablate, ablation_figure
from fusion_rl.training.comparison import paired
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.learned_scores import learned_score, put_back
from fusion_rl.training.policies import Agent, Heuristic, as_policy
from tests.agents.worlds import agent_of, settings_of

LOADS = (10.0, 20.0)
FEW: dict[str, Any] = {"requests": 400, "lanes": 4, "threads": 1}


def evolved(**moved: float) -> Agent:
    """An agent with a linear score, some of whose parameters have moved."""
    agent, _ = agent_of("evolution", score="linear")
    for name, by in moved.items():
        agent.policy.values[agent.names.index(name)] += by
    return as_policy("mine", agent, experiment(settings_of("evolution", score="linear")))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    plain = experiment(settings_of("evolution", score="linear"))
    folder = str(tmp_path_factory.mktemp("ablation") / "mlruns")
    return plain.model_copy(
        update={"execution": plain.execution.model_copy(update={"tracking_dir": folder, "eval_seed": 7})}
    )


@pytest.fixture(scope="module")
def result(config: ExperimentConfig) -> Ablation:
    """Of an agent that has learned to take long ways where it may, which is bad, and nothing else of weight."""
    return ablate(config, evolved(hops=-20.0, rank=1e-9), LOADS, groups=["rank", "hops"], **FEW)


def test_what_is_put_back_is_where_learning_began_and_the_agent_stays_as_it_is() -> None:
    agent = evolved(hops=2.0, start=-3.0)
    before = learned_score(agent)
    without = learned_score(put_back(agent, ["hops"], "without hops"))
    assert without.learned == before.learned | {"hops": before.first["hops"]}
    assert learned_score(agent) == before


def test_an_agent_without_what_it_learned_is_the_one_that_learning_began_with(config: ExperimentConfig) -> None:
    moved = evolved(hops=-20.0, start=5.0)
    names = learned_score(moved).learned
    again, first = put_back(moved, names, "again"), evolved()
    blocked = [evaluate(config, one, seed=3, **FEW).tally.blocking_by_lane() for one in (again, first, moved)]
    np.testing.assert_array_equal(blocked[0], blocked[1])
    assert (blocked[0] != blocked[2]).any()


def test_groups_are_in_the_order_of_what_they_are_worth(result: Ablation, config: ExperimentConfig) -> None:
    assert result.groups == ("rank", "hops", EVERYTHING)
    for load, (agent, *without) in result.comparison.loads.items():
        assert [one.policy for one in without] == ["without rank", "without hops", "without everything"]
        assert agent.service_blocking.mean == without[0].service_blocking.mean > without[1].service_blocking.mean
        assert agent.conditions["load_erlang"] == load
    rows = result.columns()
    assert rows["put_back"] == ["rank", "hops", EVERYTHING] * len(LOADS)
    assert rows["parameters"][:3] == [1, 1, 20]
    assert rows["ratio"][0] == 1.0
    assert rows["difference_ci95"][0] == 0.0
    assert rows["ratio"][1] == paired(*result.comparison.loads[LOADS[0]][::2]).ratio < 1


def test_an_ablation_is_recorded_with_its_table_and_figure(result: Ablation, config: ExperimentConfig) -> None:
    store = open_store(config.execution.tracking_dir)
    run = store.find_run(result.comparison.run_id)
    assert run.run_name == "ablation of mine"
    kept = store.artifact_path(run.run_id)
    assert {"ablation.json", "ablation_full.json", "figures/ablation.png"} <= {
        path.relative_to(kept).as_posix() for path in Path(kept).rglob("*") if path.is_file()
    }
    told = json.loads((kept / "ablation_full.json").read_text())
    assert told["parameters"]["hops"]["hops"] == {"began": 0.0, "learned": -20.0}
    assert len(told["put_back"]) == 3 * len(LOADS)


def test_the_figure_has_a_row_for_each_group_and_a_mark_for_each_load(result: Ablation) -> None:
    axes = ablation_figure(result).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["rank  (1)", "hops  (1)", f"{EVERYTHING}  (20)"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["10 E", "20 E"]


def test_what_cannot_be_ablated_is_refused_before_anything_is_written(config: ExperimentConfig, tmp_path: Path) -> None:
    elsewhere = config.execution.model_copy(update={"tracking_dir": str(tmp_path / "none")})
    at = config.model_copy(update={"execution": elsewhere})
    with pytest.raises(FusionRLError, match="unknown group 'hop': did you mean 'hops'"):
        ablate(at, evolved(), LOADS, groups=["hop"])
    with pytest.raises(FusionRLError, match="policy mscl has no learned score"):
        ablate(at, Heuristic("mscl"), LOADS)
    assert not (tmp_path / "none").exists()
