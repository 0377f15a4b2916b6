"""Requests follow their laws, and depend on the scenario and its seeds alone."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fusion_rl.config.scenarios import TRUNCATED_MEAN
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.traffic import digest
from fusion_rl.errors import TrafficError
from tests.domains.optical.worlds import make_setting

TRIANGLE = [("a", "b", 100.0), ("b", "c", 100.0), ("a", "c", 100.0)]
LIKELY_ENOUGH = 1e-3  # the seeds are fixed: a fair law fails one in a thousand such tests, and stays failed
MANY = 200_000


def traffic(network: Mapping[str, Any] | None = None, **scenario: Any) -> Setting:
    return make_setting(TRIANGLE, network, scenario)


def take(setting: Setting, count: int, *entropy: int) -> Requests:
    return setting.models[0].stream(*entropy).take(count)


UNEQUAL = {
    "load_erlang": 30.0,
    "bandwidth": {"kind": "weighted", "values_gbps": [25, 100, 400], "weights": [1, 2, 5]},
    "pairs": {"kind": "node-weights", "weights": {"a": 1, "b": 2, "c": 3}},
    "holding_truncation": "redraw-at-2x-mean",
}
EQUAL = {"bandwidth": {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100}}


@pytest.mark.parametrize("scenario", [EQUAL, UNEQUAL])
def test_it_does_not_matter_how_many_requests_are_taken_at_a_time(scenario: Mapping[str, Any]) -> None:
    setting = traffic(**scenario)
    whole = take(setting, 1000, 3, 1)
    stream = setting.models[0].stream(3, 1)
    parts = [stream.take(count) for count in (1, 2, 497, 13, 487)]
    for name in ("arrival", "holding", "pair", "bandwidth_class"):
        assert (np.concatenate([getattr(part, name) for part in parts]) == getattr(whole, name)).all()
    assert [part.number for part in parts] == [0, 1, 3, 500, 513]
    assert {part.key for part in parts} == {whole.key}


@pytest.mark.parametrize("scenario", [EQUAL, UNEQUAL])
def test_seeds_repeat_traffic_exactly_and_differ_from_each_other(scenario: Mapping[str, Any]) -> None:
    setting = traffic(**scenario)
    seeds = [(seed, lane, episode) for seed in range(4) for lane in range(4) for episode in range(4)]
    digests = [digest(take(setting, 50, *entropy)) for entropy in seeds]
    keys = [take(setting, 1, *entropy).key for entropy in seeds]
    assert [digest(take(setting, 50, *entropy)) for entropy in seeds] == digests
    assert len(set(digests)) == len(set(keys)) == len(seeds)
    other_scenario_seed = traffic(**scenario, seed=1)
    assert digest(take(other_scenario_seed, 50, 0, 0, 0)) != digests[0]


def test_requests_come_in_order_and_cannot_be_changed() -> None:
    requests = take(traffic(), 1000, 1)
    assert (np.diff(requests.arrival) >= 0).all()
    assert (requests.holding >= 0).all()
    for array in requests[:4]:
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_arrivals_are_poisson_at_load_over_holding_time() -> None:
    gaps = np.diff(take(traffic(load_erlang=30.0, mean_holding_time=20.0), MANY, 1).arrival, prepend=0.0)
    assert stats.kstest(gaps * 30.0 / 20.0, "expon").pvalue > LIKELY_ENOUGH
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / math.sqrt(MANY)


def test_holding_times_are_exponential() -> None:
    holding = take(traffic(mean_holding_time=20.0), MANY, 1).holding
    assert stats.kstest(holding / 20.0, "expon").pvalue > LIKELY_ENOUGH


def test_truncated_holding_times_are_those_of_redrawing() -> None:
    """All below 2 x the mean, 0.687 of it on average, and distributed as draws that are drawn again."""
    setting = traffic(mean_holding_time=20.0, load_erlang=250.0, holding_truncation="redraw-at-2x-mean")
    holding = take(setting, MANY, 1).holding / 20.0
    assert holding.max() < 2.0
    assert abs(holding.mean() - 0.68696) < 4 * holding.std() / math.sqrt(MANY)
    assert pytest.approx(0.68696, abs=1e-5) == TRUNCATED_MEAN
    assert setting.scenarios[0].offered_erlang == pytest.approx(250.0 * 0.68696, rel=1e-4)
    drawn = np.random.default_rng(2).standard_exponential(2 * MANY)
    assert stats.ks_2samp(holding, drawn[drawn < 2.0]).pvalue > LIKELY_ENOUGH


def frequencies_fit(drawn: np.ndarray[Any, Any], shares: list[float]) -> bool:
    counts = np.bincount(drawn, minlength=len(shares))
    expected = np.array(shares) / sum(shares) * drawn.size
    possible = expected > 0
    assert not counts[~possible].any(), "what has no weight is never drawn"
    return bool(stats.chisquare(counts[possible], expected[possible]).pvalue > LIKELY_ENOUGH)


@pytest.mark.parametrize("weights", [[1, 2, 5], [0, 1, 1], [1, 1, 0], [3, 0, 1], [1, 1, 1]])
def test_bandwidths_come_as_often_as_their_weights_say(weights: list[float]) -> None:
    by_rate = traffic(bandwidth={"kind": "weighted", "values_gbps": [25, 400, 100], "weights": weights})
    in_slots = traffic(bandwidth={"kind": "slots", "widths_slots": [1, 8, 3], "weights": weights})
    for setting, sizes in ((by_rate, [25, 400, 100]), (in_slots, [12.5, 100.0, 37.5])):
        drawn = take(setting, MANY, 1).bandwidth_class
        ascending = [weight for _, weight in sorted(zip(sizes, weights, strict=True))]
        assert setting.world.class_gbps.tolist() == sorted(sizes)
        assert frequencies_fit(drawn, ascending)


def test_uniform_bandwidths_include_both_ends() -> None:
    setting = traffic(**EQUAL)
    assert setting.world.class_gbps.tolist() == list(range(25, 101))
    assert frequencies_fit(take(setting, MANY, 1).bandwidth_class, [1.0] * 76)


def pair_shares(setting: Setting, weight: Mapping[tuple[str, str], float]) -> list[float]:
    names, world = setting.topology.nodes, setting.world
    pairs = zip(world.pair_source, world.pair_target, strict=True)
    return [weight[names[source], names[target]] for source, target in pairs]


def test_pairs_are_uniform_over_ordered_pairs() -> None:
    assert frequencies_fit(take(traffic(), MANY, 1).pair, [1.0] * 6)


def test_pairs_come_as_often_as_the_product_of_their_nodes_weights() -> None:
    weights = {"a": 1.0, "b": 2.0, "c": 3.0}
    setting = traffic(pairs={"kind": "node-weights", "weights": weights})
    products = {(s, t): weights[s] * weights[t] for s in weights for t in weights}
    assert frequencies_fit(take(setting, MANY, 1).pair, pair_shares(setting, products))


def test_a_node_without_a_weight_has_no_traffic() -> None:
    setting = traffic(pairs={"kind": "node-weights", "weights": {"a": 1.0, "c": 3.0}})
    shares = {(s, t): float("b" not in (s, t)) for s in "abc" for t in "abc"}
    assert frequencies_fit(take(setting, MANY, 1).pair, pair_shares(setting, shares))


def test_pairs_come_as_often_as_a_traffic_matrix_says(tmp_path: Path) -> None:
    """Rows are sources and columns destinations, in the topology's node order; the diagonal does not count."""
    file = tmp_path / "matrix.csv"
    file.write_text("9,1,2\n3,9,4\n0,6,9\n")
    setting = traffic(pairs={"kind": "matrix", "file": str(file)})
    assert setting.topology.nodes == ("a", "b", "c")
    matrix = {("a", "b"): 1, ("a", "c"): 2, ("b", "a"): 3, ("b", "c"): 4, ("c", "a"): 0, ("c", "b"): 6}
    assert frequencies_fit(take(setting, MANY, 1).pair, pair_shares(setting, matrix))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1,2\n3,4\n", r"shape \(2, 2\).*needs \(3, 3\)"),
        ("0,1,1\n1,0,-1\n1,1,0\n", "not negative"),
        ("0,1,1\n1,0,nan\n1,1,0\n", "finite"),
        ("5,0,0\n0,5,0\n0,0,5\n", "no pair with traffic"),
        ("0,1,1\n1,0\n1,1,0\n", "matrix.csv"),
        ("0,1,1\n1,0,many\n1,1,0\n", "matrix.csv"),
        (None, "matrix.csv"),
    ],
)
def test_a_matrix_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "matrix.csv"
    if text is not None:
        file.write_text(text)
    with pytest.raises(TrafficError, match=said):
        traffic(pairs={"kind": "matrix", "file": str(file)})


def test_weights_of_unknown_nodes_are_one_clear_error() -> None:
    with pytest.raises(TrafficError, match=r"\['x'\].*its nodes are a, b, c"):
        traffic(pairs={"kind": "node-weights", "weights": {"a": 1.0, "b": 1.0, "x": 1.0}})
