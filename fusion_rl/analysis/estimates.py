"""What several trainings say together: interquartile means with stratified bootstrap intervals.

After R. Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice", NeurIPS 2021
(rliable): with a handful of trainings a mean is at the mercy of one of them and a median throws most of them away; the
mean of the middle half does neither. Trainings are drawn anew within each scenario (a stratum), so that every
bootstrap sample has as many of each as there are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fusion_rl.arrays import Floats
from fusion_rl.errors import ConfigError

RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % bootstrap interval.

    Attributes:
        estimate: of all scores.
        low, high: limits of the interval; nan where there is one training alone.
        runs: trainings, of the scenario with the fewest.
    """

    estimate: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.estimate:.5f} (no interval from one training)"
        return f"{self.estimate:.5f} ({self.low:.5f} .. {self.high:.5f})"


def interquartile_mean(scores: Floats, axis: int = -1) -> Any:
    """Mean of the middle half of the scores, the lowest and the highest quarter left out."""
    from scipy.stats import trim_mean

    return trim_mean(scores, 0.25, axis=axis)


def across_runs(
    scores: Mapping[str, Sequence[float]],
    statistic: Callable[..., Any] = interquartile_mean,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """A statistic over the scores of several trainings, with the interval that other trainings would move it in.

    Args:
        scores: scenario -> score of each training on it, in any number.
        statistic: (scores, axis) -> their summary; all scenarios' scores come together.
        resamples: bootstrap samples.
        seed: of the bootstrap.

    Raises:
        ConfigError: a scenario has no score, or one that is not a finite number.
    """
    from scipy.stats import bootstrap

    strata = {name: np.asarray(given, float) for name, given in scores.items()}
    empty = next((name for name, given in strata.items() if not given.size), None)
    if not strata or empty is not None:
        raise ConfigError("there are no scores" + (f" of scenario {empty}" if strata else "") + ": give at least one")
    for name, given in strata.items():
        if not np.isfinite(given).all():
            raise ConfigError(f"scores of scenario {name} must be finite numbers: {given.tolist()}")
    runs = min(given.size for given in strata.values())
    estimate = float(statistic(np.concatenate(list(strata.values())), axis=-1))
    if runs < 2:
        return Interval(estimate, float("nan"), float("nan"), runs)
    found = bootstrap(
        tuple(strata.values()),
        lambda *samples, axis: statistic(np.concatenate(samples, axis=axis), axis=axis),
        n_resamples=resamples,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Interval(estimate, float(found.low), float(found.high), runs)


def probability_of_less(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> float:
    """How likely a training of the one scores less than one of the other, ties half, mean over the scenarios of both.

    Agarwal et al.'s probability of improvement, for scores of which less is better.

    Raises:
        ConfigError: the two have no scenario in common.
    """
    common = [name for name in one if name in other]
    if not common:
        raise ConfigError(f"no scenario in common: {', '.join(one)} and {', '.join(other)}")
    shares = []
    for name in common:
        mine, theirs = np.asarray(one[name], float)[:, None], np.asarray(other[name], float)[None]
        shares.append(float(np.mean(mine < theirs) + 0.5 * np.mean(mine == theirs)))
    return float(np.mean(shares))
