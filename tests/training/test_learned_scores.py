"""What an evolved score has learned: by name, beside where learning began, in groups."""

import numpy as np
import pytest

from fusion_rl.analysis.scores import parameters_figure, parameters_frame
from fusion_rl.errors import PolicyError
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.training.learned_scores import LearnedScore, learned_score
from fusion_rl.training.policies import Heuristic, as_policy
from tests.agents.worlds import agent_of, settings_of


def evolved(score: str) -> LearnedScore:
    """A score whose parameters are 1, 2, 3, ... above where they began."""
    agent, _ = agent_of("evolution", score=score)
    agent.policy.values[:] += 1 + np.arange(agent.policy.values.size)
    return learned_score(as_policy("mine", agent, experiment(settings_of("evolution", score=score))))


def test_parameters_are_told_beside_where_learning_began() -> None:
    found = evolved("linear")
    assert found.score == "linear"
    assert found.first["spectrum_used"] == 1.0
    assert found.learned["spectrum_used"] == 2.0
    rows = parameters_frame(found)
    assert rows["moved"].tolist() == pytest.approx(list(range(1, len(rows) + 1)))
    assert rows["group"].tolist() == rows.index.tolist(), "each feature by itself"


def test_what_weighs_the_same_thing_is_one_group() -> None:
    groups = evolved("slot-capacity").groups
    assert groups["scarcity*"] == ("scarcity", "scarcity_squared")
    assert groups["link_width/*"] == tuple(f"link_width/{m}" for m in range(1, 11))
    assert set(groups["width/*"]) == {"width/2/2", "width/2/3"}
    alone = {"hops", "load", "spectrum", "path_hops", "width_load", "width_squared_load", "width", "rank", "start"}
    assert {name: groups.get(name) for name in alone} == {name: (name,) for name in alone}
    units = evolved("mlp").groups
    assert units["squared_utilisation/*"] == tuple(f"squared_utilisation/{unit}" for unit in range(8))
    assert {"offset/*", "out/*"} <= set(units)


def test_the_picture_has_a_bar_for_each_parameter_or_for_those_that_moved_most() -> None:
    few, many = evolved("slot-capacity"), evolved("mlp")
    left, right = parameters_figure(few, {"topology": "tiny"}).axes
    names = [label.get_text() for axes in (left, right) for label in axes.get_yticklabels()]
    assert names == list(few.learned)
    assert [bar.get_width() for bar in left.patches][:3] == pytest.approx([1, 2, 3])
    drawn = sum(len(axes.patches) for axes in parameters_figure(many, {}).axes)
    assert drawn == 48 < len(many.learned)


def test_only_evolved_agents_have_a_learned_score() -> None:
    with pytest.raises(PolicyError, match="policy mscl has no learned score: name an agent of algorithm evolution"):
        learned_score(Heuristic("mscl"))
