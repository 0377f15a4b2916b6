"""Interquartile means and their bootstrap intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.analysis.estimates import across_runs, interquartile_mean, probability_of_less
from fusion_rl.errors import ConfigError

SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_the_interquartile_mean_leaves_out_the_quarters_at_the_ends() -> None:
    assert interquartile_mean(np.array([9.0, 1.0, 2.0, 3.0, 100.0, 4.0, 0.0, -50.0])) == (1 + 2 + 3 + 4) / 4
    assert interquartile_mean(np.array([1.0, 2.0, 6.0])) == 3.0  # a quarter of three is none


@given(SHARES, SHARES)
def test_estimates_lie_within_the_scores_and_their_intervals(one: list[float], other: list[float]) -> None:
    found = across_runs({"one": one, "other": other}, resamples=50)
    assert min(one + other) - 1e-12 <= found.estimate <= max(one + other) + 1e-12
    assert found.runs == min(len(one), len(other))
    if found.runs == 1:
        assert np.isnan(found.low)
    else:
        assert min(one + other) - 1e-12 <= found.low <= found.high <= max(one + other) + 1e-12


def test_an_interval_covers_what_it_estimates_about_95_times_in_100() -> None:
    draw = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        scores = {"quiet": draw.normal(0.02, 0.004, 12).tolist(), "busy": draw.normal(0.02, 0.004, 12).tolist()}
        found = across_runs(scores, resamples=400, seed=trial)
        hits += found.low <= 0.02 <= found.high
    assert 0.88 <= hits / 200 <= 0.99


def test_every_bootstrap_sample_has_as_many_of_each_scenario_as_there_are() -> None:
    # were trainings drawn across scenarios, the mean would move between 0 and 1
    found = across_runs({"empty": [0.0, 0.0, 0.0], "full": [1.0, 1.0, 1.0]}, statistic=np.mean)
    assert (found.low, found.estimate, found.high) == (0.5, 0.5, 0.5)


def test_the_same_seed_gives_the_same_interval() -> None:
    scores = {"only": [0.01, 0.02, 0.05, 0.03]}
    assert across_runs(scores) == across_runs(scores)
    assert str(across_runs(scores)).startswith("0.02500 (")
    assert "no interval" in str(across_runs({"only": [0.01]}))


@pytest.mark.parametrize("scores", [{}, {"only": []}, {"only": [0.1, float("nan")]}])
def test_what_cannot_be_summarised_is_refused(scores: dict[str, list[float]]) -> None:
    with pytest.raises(ConfigError, match="scores"):
        across_runs(scores)


def test_the_probability_of_less_counts_ties_half() -> None:
    assert probability_of_less({"a": [1, 2]}, {"a": [3, 4]}) == 1.0
    assert probability_of_less({"a": [1, 3]}, {"a": [1, 3]}) == 0.5
    assert probability_of_less({"a": [1], "b": [9]}, {"a": [2], "b": [2]}) == 0.5
    with pytest.raises(ConfigError, match="no scenario in common"):
        probability_of_less({"a": [1]}, {"b": [1]})
