"""Arrival clocks: from the steady time of a Poisson process to the time of one whose rate changes.

A Poisson process of any rate is one of steady rate seen through a clock: its arrivals are the steady ones, sent
through the inverse of the integrated rate. A clock is a function of the steady time alone, so that what a lane
meets does not depend on how many requests are drawn at a time. Clocks keep the mean rate: in the long run as
much time passes on one side as on the other.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fusion_rl.arrays import Floats
from fusion_rl.config.times import Arrivals, OnOffArrivals, PiecewiseArrivals, PoissonArrivals, SinusoidalArrivals
from fusion_rl.domains.optical.jit import kernel

Clock: TypeAlias = Callable[[Floats], Floats]  # steady times -> arrival times, both ascending

_CLOSE = 2.0**-48  # a moment of a day is found to this part of it
_PHASES = 256  # bursts drawn at a time; whatever asks for them, so that chunks do not matter


def make_clock(arrivals: Arrivals, generator: np.random.Generator) -> Clock | None:
    """The clock of an arrival law, for one lane; None where steady time is what is wanted.

    Args:
        arrivals: the law.
        generator: draws the bursts of a lane.
    """
    match arrivals:
        case PoissonArrivals():
            return None
        case PiecewiseArrivals():
            return _piecewise(arrivals)
        case SinusoidalArrivals():
            return _sinusoidal(arrivals)
        case OnOffArrivals():
            return Bursts(arrivals, generator)


def _piecewise(law: PiecewiseArrivals) -> Clock:
    starts, factors = np.array(law.steps).T
    edges = np.append(starts, law.period)
    passed = np.cumsum(factors * np.diff(edges))
    steady = np.append(0.0, passed * (law.period / passed[-1]))

    def clock(time: Floats) -> Floats:
        whole, part = np.divmod(time, law.period)
        return np.asarray(whole * law.period + np.interp(part, steady, edges))

    return clock


def _sinusoidal(law: SinusoidalArrivals) -> Clock:
    swing = law.amplitude / (2 * np.pi)

    def clock(time: Floats) -> Floats:
        whole, part = np.divmod(time / law.period, 1.0)
        _solve_days(part, swing)
        return np.asarray((whole + part) * law.period)

    return clock


@kernel
def _solve_days(parts: Floats, swing: float) -> None:
    """Replace each part, in 0..1, by the day, in 0..1, for which day + swing x (1 - cos(2 pi day)) = part.

    By Newton's way, and by halving where that leads out of what is left, as it may where an amplitude of 1
    brings the rate down to 0.
    """
    for i in range(parts.size):
        low, high, day = 0.0, 1.0, parts[i]
        while high - low > _CLOSE:
            angle = 2 * np.pi * day
            excess = day + swing * (1 - np.cos(angle)) - parts[i]
            if excess > 0:
                high = day
            else:
                low = day
            rate = 1 + 2 * np.pi * swing * np.sin(angle)
            step = excess / rate if rate > _CLOSE else 1.0
            if abs(step) < _CLOSE:
                break
            day = day - step if low < day - step < high else (low + high) / 2
        parts[i] = day


class Bursts:
    """The clock of on-off arrivals; it stands still for the steady process while there is no burst.

    It starts as one finds it at any moment: in a burst or not in proportion to their durations. Exponential
    durations have no memory, so what is left of the first is drawn as any other.

    Args:
        law: mean durations.
        generator: draws them.
    """

    def __init__(self, law: OnOffArrivals, generator: np.random.Generator) -> None:
        self._law = law
        self._generator = generator
        self._share_on = law.mean_on_time / (law.mean_on_time + law.mean_off_time)
        starts_off = generator.random() >= self._share_on
        first_pause = generator.standard_exponential() * law.mean_off_time if starts_off else 0.0
        self._burst_end = np.zeros(1)  # time in bursts up to the end of each
        self._pauses = np.array([first_pause])  # time in pauses up to the same moment, the pause after it included

    def __call__(self, time: Floats) -> Floats:
        """Arrival times of ascending steady times; each call goes on from the last."""
        in_bursts = time * self._share_on
        while self._burst_end[-1] < in_bursts[-1]:
            self._draw()
        pauses = np.searchsorted(self._burst_end, in_bursts, side="left") - 1
        arrival = in_bursts + self._pauses[np.maximum(pauses, 0)]
        passed = max(int(pauses[-1]), 0)
        self._burst_end, self._pauses = self._burst_end[passed:], self._pauses[passed:]
        return np.asarray(arrival)

    def _draw(self) -> None:
        drawn = self._generator.standard_exponential((_PHASES, 2))
        drawn[:, 0] *= self._law.mean_on_time
        drawn[:, 1] *= self._law.mean_off_time
        drawn[0] += self._burst_end[-1], self._pauses[-1]
        ends = np.cumsum(drawn, axis=0)
        self._burst_end = np.append(self._burst_end, ends[:, 0])
        self._pauses = np.append(self._pauses, ends[:, 1])
