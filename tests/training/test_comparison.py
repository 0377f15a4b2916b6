"""Comparisons: the same requests for all, paired intervals, seeds side by side, refusals counted."""

from typing import Any

import numpy as np
import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.metrics import Tally
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.refusals import Refusals
from fusion_rl.errors import ConfigError, FusionRLError
from fusion_rl.parity import published_agents
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import tiny_simulator
from fusion_rl.training.charts import comparison_chart, draw
from fusion_rl.training.comparison import compare, paired
from fusion_rl.training.evaluate import Evaluation, evaluate, side_by_side
from fusion_rl.training.loads import at_loads

FEW: dict[str, Any] = {"requests": 400, "lanes": 4}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ExperimentConfig:
    content = {
        "network": tiny.NETWORK.model_dump(mode="json"),
        "scenarios": [tiny.SCENARIO.model_dump(mode="json")],
        "execution": {"tracking_dir": str(tmp_path_factory.mktemp("compare") / "mlruns")},
    }
    return load(content).config


def blocked(*by_lane: int, of: int = 100) -> Evaluation:
    """What a policy blocked of so many requests of each lane."""
    tally = Tally(len(by_lane), of, 0)
    for lane, count in enumerate(by_lane):
        verdict = np.zeros(of, np.uint8)
        verdict[:count] = 1
        tally.add(lane, 0, verdict, np.ones(of))
    return Evaluation("policy", {"requests": of, "lanes": len(by_lane), "seed": 1}, tally, 1.0, {})


def test_a_ratio_is_paired_so_that_lanes_which_are_hard_for_both_widen_nothing() -> None:
    first, half = blocked(10, 20, 40, 60), blocked(5, 10, 20, 30)
    exact = paired(first, half)
    assert (exact.ratio, exact.ratio_ci95) == (0.5, 0.0)
    assert exact.difference == pytest.approx(-0.1625)
    assert exact.difference_ci95 > 0, "the lanes differ in how much is saved"
    assert paired(first, blocked(5, 12, 20, 28)).ratio_ci95 > 0
    assert np.isnan(paired(blocked(0, 0), blocked(1, 2)).ratio)


def test_the_interval_of_a_ratio_covers_the_truth_about_95_times_in_100() -> None:
    draw_from = np.random.default_rng(3)
    hits = 0
    for _ in range(300):
        common = draw_from.uniform(0.05, 0.15, 12)
        first = blocked(*draw_from.binomial(2000, common), of=2000)
        other = blocked(*draw_from.binomial(2000, 0.7 * common), of=2000)
        found = paired(first, other)
        hits += abs(found.ratio - 0.7) <= found.ratio_ci95
    assert 0.91 <= hits / 300 <= 0.985


def test_lanes_of_several_seeds_count_side_by_side(config: ExperimentConfig) -> None:
    parts = [evaluate(config, "ksp-ff", seed=seed, **FEW) for seed in (1, 2)]
    both = side_by_side(parts)
    assert both.tally.blocking_by_lane().tolist() == [
        share for part in parts for share in part.tally.blocking_by_lane()
    ]
    assert both.service_blocking.parts == 8
    assert (both.conditions["requests"], both.conditions["lanes"], f"{both.conditions['seed']}") == (800, 8, "1/2")


def test_a_refusal_is_a_blocked_request_that_some_path_had_room_for(config: ExperimentConfig) -> None:
    """Counted again by asking, at every request, which actions could be served."""
    setting, warmup = tiny.setting(), 20
    refusals = Refusals(setting, 2, warmup)
    decided: dict[int, list[tuple[Any, Any]]] = {0: [], 1: []}

    def keep(lane: int, asked: Any, done: Any) -> None:
        refusals(lane, asked, done)
        decided[lane] += zip(done.path.tolist(), done.start.tolist(), strict=True)

    rollout.run(setting, HEURISTICS["sp-ff"], requests=400, lanes=2, seed=1, threads=1, on_served=keep)
    simulator = tiny_simulator(2, action="path-start")
    counts = np.zeros(2, np.int64)
    for t in range(warmup + 200):
        could, actions = simulator.servable(), []
        for lane in range(2):
            path, start = decided[lane][t]
            rank = path - setting.world.path_first[simulator.request(lane).pair[0]]
            actions.append(setting.world.slots - 1 if start < 0 else rank * setting.world.slots + start)
        verdict = simulator.step(np.array(actions)).outcome.verdict
        counts += (t >= warmup) & could & (verdict != ACCEPTED)
    assert refusals.by_lane.tolist() == counts.tolist()
    assert counts.min() > 0
    for name, any_refused in (("sp-ff", True), ("ksp-ff", False), ("mscl", False)):
        found = evaluate(config, name, count_refusals=True, **FEW)
        assert found.refused is not None
        assert (found.refused > 0) == any_refused, name
        assert found.as_dict()["refused_requests"] == found.refused
    assert evaluate(config, "ksp-ff", **FEW).refused is None


def test_a_comparison_is_recorded_with_table_figure_and_the_load_carried(config: ExperimentConfig) -> None:
    from fusion_rl.tracking.mlflow_store import open_store

    result = compare(config, ["ksp-ff", "sp-ff"], [20.0, 8.0], seeds=[5, 6], share=0.1, requests=400, lanes=4)
    assert list(result.loads) == [8.0, 20.0]
    same = evaluate(config, "ksp-ff", seed=5, **FEW).tally.blocking_by_lane()
    assert result.loads[20.0][0].tally.blocking_by_lane()[:4].tolist() == same.tolist()
    assert result.refusals.keys() == {"sp-ff"}
    at = result.carried["ksp-ff"]
    assert not isinstance(at, str)
    assert at.blocking.mean == pytest.approx(0.1, abs=0.02)
    assert at.blocking.parts == 8
    run = open_store(config.execution.tracking_dir).find_run(result.run_id)
    assert run.metrics["sp-ff/20E/ratio_to_first"] == paired(*result.loads[20.0]).ratio > 1
    assert run.metrics["ksp-ff/load_carried_erlang"] == at.load_erlang
    assert run.tags["comparison_of"] == "ksp-ff, sp-ff"
    assert run.parameters["compare.seeds"] == "5, 6"
    columns = result.columns()
    assert columns["policy"] == ["ksp-ff", "sp-ff"] * 2
    assert columns["ratio"][0] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policies": ["ksp-ff", "ksp-ff"]}, "policy ksp-ff is given twice"),
        ({"policies": ["ksp-ff", "kspff"]}, "kspff"),
        ({"seeds": [1, 1]}, "seed 1 is given twice"),
        ({"loads_erlang": [0.0]}, "above 0 Erlang"),
        ({"loads_erlang": []}, "a policy and a load"),
        ({"lanes": 1}, "no interval over lanes"),
        ({"share": 0.001}, "ask for 20,000 requests or more"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_written(
    config: ExperimentConfig, arguments: dict[str, Any], message: str, tmp_path: Any
) -> None:
    execution = config.execution.model_copy(update={"tracking_dir": str(tmp_path / "none")})
    given = {"policies": ["ksp-ff"], "loads_erlang": [20.0], "share": None, **FEW, **arguments}
    with pytest.raises(FusionRLError, match=message):
        compare(config.model_copy(update={"execution": execution}), **given)
    assert not (tmp_path / "none").exists()


def test_published_figures_belong_to_their_network_and_traffic_and_are_drawn_without_a_line() -> None:
    of_nsfnet = load("deeprmsa-nsfnet", overrides=["network.k_paths=50", "scenarios.*.load_erlang=210"]).config
    references = published_agents.of(of_nsfnet)
    named = {(one.name, one.load_erlang): one for one in references}
    assert named["DeepRMSA", 250.0].blocking == 0.04
    assert (named["transformer", 193.7].kind, named["transformer", 193.7].blocking) == ("agent", 0.001)
    assert named["cut-set", 226.9].kind == "estimate"
    assert all(one.conditions and one.source for one in references)
    assert published_agents.of(load("deeprmsa-nsfnet", overrides=["network.slots=80"]).config) == ()
    other = load("ptrnet40-nsfnet", overrides=["network.topology=usnet-ptrnet"]).config
    assert {one.name for one in published_agents.of(other)} == {
        "PtrNet-RSA", "transformer", "heuristic", "defragmentation", "cut-set",
    }  # fmt: skip
    loads = {200.0: [blocked(10, 20)], 210.0: [blocked(20, 40)]}
    chart = comparison_chart(loads, references)
    drawn = {series.name.split(",")[0]: series for series in chart.panels[0].series if series.is_published}
    assert drawn["transformer"].x == [193.7]
    assert "DeepRMSA" not in drawn, "250 E is far from what was compared"
    lines = draw(chart).axes[0].get_lines()
    assert sum(line.get_linestyle() == "None" and line.get_marker() not in ("|", "_", "None") for line in lines) >= 3
    assert all(isinstance(load(block.setting).config, ExperimentConfig) for block in published_agents.read())


def test_a_share_that_no_load_has_is_told_for_that_policy_alone(config: ExperimentConfig) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        compare(config, ["ksp-ff"], [20.0], share=1.0, **FEW)


def test_a_scenario_at_another_load_says_at_which() -> None:
    config = load("deeprmsa-nsfnet").config
    at = at_loads(config, 0, [250.0, 12.5, 1e20, 250.0])
    assert [scenario.name for scenario in at.scenarios] == [
        "deeprmsa-at-12_5",
        "deeprmsa-at-250",
        "deeprmsa-at-1e20",
    ]
    assert ScenariosConfig.model_validate(at.scenarios.model_dump()) == at.scenarios
