"""The evaluator: the same traffic for all, conditions named, intervals stated."""

import numpy as np
import pytest

from fusion_rl.cli.evaluate import interval
from fusion_rl.config.load import load
from fusion_rl.domains.optical.metrics import BATCHES, Tally, ratio_estimate
from fusion_rl.training.evaluate import evaluate

CONFIG = load("deeprmsa-nsfnet", overrides={"scenarios.0.warmup_requests": 500}).config


def test_a_result_names_its_conditions() -> None:
    said = evaluate(CONFIG, "ksp-ff", requests=4000, lanes=4, seed=1).as_dict()
    assert said["policy"] == "ksp-ff"
    assert (said["topology"], said["links"], said["slots"], said["guard_slots"]) == ("nsfnet", "directed", 100, 1)
    assert (said["k_paths"], said["path_order"]) == (5, "hops-per-se")
    assert (said["load_erlang"], round(said["offered_erlang"], 1)) == (250.0, 171.7)
    assert (said["requests"], said["warmup_requests"], said["lanes"], said["seed"]) == (4000, 500, 4, 1)
    assert said["ci_method"] == "batch means"
    assert said["blocked_requests"] == sum(said["block_reasons"].values())
    assert said["service_blocking"]["mean"] == said["blocked_requests"] / 4000
    assert 0 < said["utilisation"] < 1
    assert said["requests_per_second"] > 0


def test_a_lane_meets_the_same_traffic_whatever_the_number_of_lanes() -> None:
    few = evaluate(CONFIG, "ksp-ff", requests=4 * 1000, lanes=4, seed=1).tally.blocking_by_lane()
    many = evaluate(CONFIG, "ksp-ff", requests=16 * 1000, lanes=16, seed=1).tally.blocking_by_lane()
    np.testing.assert_array_equal(few, many[:4])


def test_the_number_of_threads_changes_nothing_but_the_speed() -> None:
    one = evaluate(CONFIG, "ff-ksp", requests=8000, lanes=8, seed=1, threads=1).tally
    two = evaluate(CONFIG, "ff-ksp", requests=8000, lanes=8, seed=1, threads=2).tally
    np.testing.assert_array_equal(one.blocked, two.blocked)
    assert one.block_reasons == two.block_reasons


def test_the_warm_up_is_not_counted() -> None:
    tally = Tally(lanes=1, requests=64, warmup_requests=10)
    blocked = np.ones(10, np.uint8)
    served = np.zeros(64, np.uint8)
    tally.add(0, 0, np.concatenate([blocked, served[:20]]), np.ones(30))
    tally.add(0, 30, served[20:], np.ones(44))
    assert tally.blocked_requests == 0
    assert tally.offered.sum() == 64


@pytest.mark.parametrize("warmup", [0, 500])
def test_utilisation_is_measured_with_and_without_a_warm_up(warmup: int) -> None:
    config = load("deeprmsa-nsfnet", overrides={"scenarios.0.warmup_requests": warmup}).config
    said = evaluate(config, "ksp-ff", requests=16_000, lanes=8).as_dict()
    assert 0.3 < said["utilisation"] < 0.5
    assert 0.3 < said["fragmentation"] < 0.7


def test_nothing_blocked_is_no_certainty_but_an_upper_bound() -> None:
    tally = Tally(lanes=8, requests=1000, warmup_requests=0)
    gbps = np.tile([100.0, 300.0], 500)
    for lane in range(8):
        tally.add(lane, 0, np.zeros(1000, np.uint8), gbps)
    service, bit_rate = tally.service_blocking, tally.bit_rate_blocking
    assert (service.mean, service.method) == (bit_rate.mean, bit_rate.method) == (0.0, "rule of three")
    assert (1 - service.ci95) ** 8000 == pytest.approx(0.05, rel=0.01)
    assert bit_rate.ci95 == pytest.approx(1.5 * service.ci95)  # were all that is blocked of the largest kind
    assert str(service) == "0 (at most 3.8e-04)"
    idle = load("deeprmsa-nsfnet", overrides={"scenarios.0.load_erlang": 1.0}).config
    said = evaluate(idle, "ksp-ff", requests=4000, lanes=8).as_dict()
    assert said["service_blocking"] == {"mean": 0.0, "ci95": 3 / 4000}


def test_an_interval_below_the_last_decimal_is_not_shown_as_none() -> None:
    assert interval(0.0, 3e-6) == "0 (at most 3.0e-06)"
    assert interval(0.0, 3e-6, sign="+") == "+0.00000 ± 3.0e-06"
    assert interval(0.02, 0.001) == "0.02000 ± 0.00100"


def test_bit_rate_blocking_weighs_requests_by_what_they_asked_for() -> None:
    tally = Tally(lanes=1, requests=2, warmup_requests=0)
    tally.add(0, 0, np.array([1, 0], np.uint8), np.array([300.0, 100.0]))
    assert tally.service_blocking.mean == 0.5
    assert tally.bit_rate_blocking.mean == 0.75


@pytest.mark.parametrize(("lanes", "method"), [(1, "batch means"), (8, "independent lanes")])
def test_an_interval_covers_the_truth_about_95_times_in_100(lanes: int, method: str) -> None:
    draw = np.random.default_rng(5)
    hits = 0
    for _ in range(400):
        totals = np.full((lanes, BATCHES), 200.0)
        estimate = ratio_estimate(draw.binomial(200, 0.03, totals.shape).astype(float), totals)
        hits += abs(estimate.mean - 0.03) <= estimate.ci95
    assert estimate.method == method
    assert 0.92 <= hits / 400 <= 0.98
