"""Rates that change in time: the laws hold, the mean load stays, and chunks do not matter."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import stats

from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from tests.domains.optical.worlds import make_setting

TRIANGLE = [("a", "b", 100.0), ("b", "c", 200.0), ("a", "c", 900.0)]
LIKELY_ENOUGH = 1e-3  # the seeds are fixed: a fair law fails one in a thousand such tests, and stays failed
RATE = 3.0  # load over holding time
MANY = 200_000

PIECEWISE = {"kind": "piecewise", "period": 24.0, "steps": [[0, 1], [8, 5], [10, 0], [20, 2]]}
FULL_DAY = {"kind": "sinusoidal", "amplitude": 1.0, "period": 24.0}
HALF_DAY = {"kind": "sinusoidal", "amplitude": 0.5, "period": 7.0}
BURSTS = {"kind": "on-off", "mean_on_time": 2.0, "mean_off_time": 6.0}
CHANGING: list[Mapping[str, Any]] = [PIECEWISE, FULL_DAY, HALF_DAY, BURSTS]


def traffic(**scenario: Any) -> Setting:
    return make_setting(TRIANGLE, None, {"load_erlang": 30.0, "mean_holding_time": 10.0, **scenario})


def take(setting: Setting, count: int, *entropy: int) -> Requests:
    return setting.models[0].stream(*entropy).take(count)


@pytest.mark.parametrize("arrivals", CHANGING)
def test_it_does_not_matter_how_many_requests_are_taken_at_a_time(arrivals: Mapping[str, Any]) -> None:
    setting = traffic(arrivals=arrivals)
    whole = take(setting, 5000, 3, 1)
    stream = setting.models[0].stream(3, 1)
    parts = [stream.take(count).arrival for count in (1, 2, 497, 13, 1, 1487, 2999)]
    assert (np.concatenate(parts) == whole.arrival).all()
    assert (np.diff(whole.arrival) >= 0).all()


@pytest.mark.parametrize("arrivals", CHANGING)
def test_a_changing_rate_changes_nothing_but_the_times_of_arrival(arrivals: Mapping[str, Any]) -> None:
    steady, changing = take(traffic(), 1000, 1), take(traffic(arrivals=arrivals), 1000, 1)
    assert (steady.arrival != changing.arrival).any()
    for name in ("holding", "pair", "bandwidth_class", "key"):
        assert np.array_equal(getattr(steady, name), getattr(changing, name))


def integrated_rate(arrivals: Mapping[str, Any], times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Mean number of arrivals up to some times, written out."""
    if arrivals["kind"] == "sinusoidal":
        angle = 2 * np.pi / arrivals["period"]
        return np.asarray(RATE * (times + arrivals["amplitude"] / angle * (1 - np.cos(angle * times))))
    # [0, 8) at 1, [8, 10) at 5, [10, 20) at 0, [20, 24) at 2: 26 a day, at a mean factor of 26 / 24
    days, hour = np.divmod(times, 24.0)
    today = np.minimum(hour, 8) + 5 * np.clip(hour - 8, 0, 2) + 2 * np.clip(hour - 20, 0, 4)
    return np.asarray(RATE * (26 * days + today) * 24 / 26)


@pytest.mark.parametrize("arrivals", [PIECEWISE, FULL_DAY, HALF_DAY])
def test_arrivals_are_poisson_at_the_rate_of_the_moment(arrivals: Mapping[str, Any]) -> None:
    """Counted in the integrated rate, arrivals of any Poisson process are those of one of rate 1."""
    arrival = take(traffic(arrivals=arrivals), MANY, 1).arrival
    gaps = np.diff(integrated_rate(arrivals, arrival), prepend=0.0)
    assert stats.kstest(gaps, "expon").pvalue > LIKELY_ENOUGH
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / math.sqrt(MANY)


def test_nothing_arrives_in_hours_without_load() -> None:
    hours = take(traffic(arrivals=PIECEWISE), MANY, 1).arrival % 24.0
    assert not ((hours > 10.0 + 1e-6) & (hours < 20.0 - 1e-6)).any()


def test_an_amplitude_of_zero_is_a_steady_rate() -> None:
    steady = take(traffic(), 1000, 1).arrival
    flat = take(traffic(arrivals={"kind": "sinusoidal", "amplitude": 0.0, "period": 7.0}), 1000, 1).arrival
    assert flat == pytest.approx(steady, rel=1e-9, abs=1e-9)


def test_bursts_are_an_interrupted_poisson_process() -> None:
    """Gaps of an interrupted Poisson process are hyperexponential (A. Kuczura, 1973)."""
    arrival = take(traffic(arrivals=BURSTS), MANY, 1).arrival
    rate, ending, starting = RATE * (2 + 6) / 2, 1 / 2.0, 1 / 6.0
    total = rate + ending + starting
    root = math.sqrt(total**2 - 4 * rate * starting)
    fast, slow = (total + root) / 2, (total - root) / 2
    share_fast = (rate - slow) / (fast - slow)

    def law(gap: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(1 - share_fast * np.exp(-fast * gap) - (1 - share_fast) * np.exp(-slow * gap))

    assert stats.kstest(np.diff(arrival), law).pvalue > LIKELY_ENOUGH


def test_bursts_begin_as_they_are_found_at_any_moment() -> None:
    """A lane starts in a burst in 2 of 8 cases; the number of arrivals up to a time has the steady mean."""
    setting = traffic(arrivals=BURSTS)
    lanes = 4000
    counts = np.array([(take(setting, 64, 1, lane).arrival < 1.0).sum() for lane in range(lanes)])
    assert abs(counts.mean() - RATE) < 4 * counts.std() / math.sqrt(lanes)


@pytest.mark.parametrize("arrivals", CHANGING)
def test_the_mean_load_is_that_of_the_scenario(arrivals: Mapping[str, Any]) -> None:
    setting = traffic(arrivals=arrivals)
    requests = take(setting, 2 * MANY, 1)
    offered = requests.arrival.size / requests.arrival[-1] * requests.holding.mean()
    assert offered == pytest.approx(setting.scenarios[0].offered_erlang, rel=0.02)


def test_deterministic_holding_times_are_all_alike() -> None:
    assert set(take(traffic(holding="deterministic"), 100, 1).holding) == {10.0}


def test_log_normal_holding_times_have_the_mean_and_spread_asked_for() -> None:
    holding = take(traffic(holding={"kind": "log-normal", "sigma": 0.8}), MANY, 1).holding
    assert stats.kstest(np.log(holding), "norm", args=(math.log(10.0) - 0.32, 0.8)).pvalue > LIKELY_ENOUGH
    assert holding.mean() == pytest.approx(10.0, rel=0.02)


def test_gravity_pairs_are_rarer_the_farther_apart() -> None:
    """Shortest paths: a-b 100 km, b-c 200 km, a-c by b 300 km."""
    gravity = {"kind": "gravity", "weights": {"a": 1, "b": 2, "c": 3}, "distance_exponent": 2.0}
    setting = traffic(pairs=gravity)
    world, names = setting.world, setting.topology.nodes
    share = {"ab": 2 / 1, "bc": 6 / 4, "ac": 3 / 9}
    pairs = ["".join(sorted(names[s] + names[t])) for s, t in zip(world.pair_source, world.pair_target, strict=True)]
    expected = np.array([share[pair] for pair in pairs])
    counts = np.bincount(take(setting, MANY, 1).pair, minlength=6)
    assert stats.chisquare(counts, expected / expected.sum() * MANY).pvalue > LIKELY_ENOUGH
