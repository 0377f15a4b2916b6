"""Blocking with confidence intervals, block reasons, utilisation and fragmentation.

An interval is Student's t at 95 % over independent parts of the requests: the lanes where there are at least
eight of them, otherwise batches of consecutive requests of each lane (batch means). `Estimate` says which.
Where nothing at all was blocked there is no spread to make an interval of, and the half-width is an upper bound
instead (`none_seen`).
"""

from dataclasses import dataclass

import numpy as np

from fusion_rl.arrays import Bytes, Floats, Ints64
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.orchestrator import (
    ACCEPTED,
    BLOCKED_NO_REACH,
    BLOCKED_NO_SPECTRUM,
    REFUSED_DECISION,
    VERDICT_NAMES,
)
from fusion_rl.domains.optical.state import COUNTERS
from fusion_rl.errors import SimulationError
from fusion_rl.intervals import t_half_width

BATCHES = 32  # of one lane
LANES_ENOUGH = 8


@dataclass(frozen=True)
class Estimate:
    """A mean and the half-width of its 95 % confidence interval.

    Attributes:
        mean: ratio over all requests.
        ci95: half-width; where the mean is 0, upper bound.
        parts: how many parts the interval rests on.
        method: "independent lanes", "batch means" or "rule of three".
    """

    mean: float
    ci95: float
    parts: int
    method: str

    def __str__(self) -> str:
        if self.mean == 0 and self.ci95 > 0:
            return f"0 (at most {self.ci95:.1e})"
        return f"{self.mean:.5f} ± {self.ci95:.5f}"


def none_seen(requests: float, largest_share: float = 1.0) -> Estimate:
    """What is known of blocking when none of so many requests was blocked: at 95 %, it is at most 3 / requests.

    The chance of seeing none is (1 - p)^n, which is 5 % at p = 3 / n for independent requests. Blocked requests come
    in bursts, so the bound is for runs that are long beside the time in which the network forgets its state.
    Source: J. Hanley and A. Lippman-Hand, If nothing goes wrong, is everything all right?, JAMA 249(13), 1983.

    Args:
        requests: how many there were.
        largest_share: what the largest request asks for, over the mean: shares of bit rates are larger by it, at most.
    """
    bound = min(3 * largest_share / requests, 1.0) if requests > 0 else float("nan")
    return Estimate(0.0 if requests > 0 else float("nan"), bound, 1, "rule of three")


def ratio_estimate(parts: Floats, totals: Floats) -> Estimate:
    """Estimate sum(parts) / sum(totals) from counts by lane and batch, both [B, batches]; some part is not 0."""
    by_lane = parts.shape[0] >= LANES_ENOUGH
    top, bottom = (parts.sum(axis=1), totals.sum(axis=1)) if by_lane else (parts.ravel(), totals.ravel())
    ratios = top[bottom > 0] / bottom[bottom > 0]
    mean = float(parts.sum() / totals.sum()) if totals.sum() > 0 else float("nan")
    return Estimate(mean, t_half_width(ratios), ratios.size, "independent lanes" if by_lane else "batch means")


class Tally:
    """Counts by lane and batch, fed with what was done with the requests.

    Args:
        lanes: lanes that are counted.
        requests: requests of each lane that count.
        warmup_requests: requests before them, which do not.
    """

    def __init__(self, lanes: int, requests: int, warmup_requests: int) -> None:
        self.warmup_requests = warmup_requests
        self.requests = requests
        self._batch_requests = max(1, -(-requests // BATCHES))
        self.offered = np.zeros((lanes, BATCHES))
        self.blocked = np.zeros((lanes, BATCHES))
        self.offered_gbps = np.zeros((lanes, BATCHES))
        self.blocked_gbps = np.zeros((lanes, BATCHES))
        self.largest_gbps = np.zeros(lanes)
        self.verdicts: Ints64 = np.zeros((lanes, len(VERDICT_NAMES)), np.int64)

    def add(self, lane: int, first_number: int, verdict: Bytes, gbps: Floats) -> None:
        """Count consecutive requests of one lane.

        Args:
            lane: whose they are.
            first_number: number of the first of them since the lane was reset.
            verdict: what became of each, [n].
            gbps: what each asked for, [n].

        Raises:
            SimulationError: a policy decided for spectrum that was not free.
        """
        if (verdict == REFUSED_DECISION).any():
            raise SimulationError(
                "the policy chose a path of another pair, out of reach, or spectrum that is in use; it must "
                "return a free block of one of the request's candidate paths, or start -1 to refuse"
            )
        begin = min(max(self.warmup_requests - first_number, 0), verdict.size)
        end = min(max(self.warmup_requests + self.requests - first_number, 0), verdict.size)
        self.largest_gbps[lane] = gbps[begin:end].max(initial=self.largest_gbps[lane])
        count_requests(
            np.ascontiguousarray(verdict[begin:end]),
            np.ascontiguousarray(gbps[begin:end]),
            first_number + begin - self.warmup_requests,
            self._batch_requests,
            self.offered[lane],
            self.blocked[lane],
            self.offered_gbps[lane],
            self.blocked_gbps[lane],
            self.verdicts[lane],
        )

    def plus(self, other: "Tally") -> "Tally":
        """The requests of both, lane by lane: lane i of a mean over scenarios is lane i of each."""
        both = Tally(len(self.offered), self.requests + other.requests, self.warmup_requests)
        for counts in ("offered", "blocked", "offered_gbps", "blocked_gbps", "verdicts"):
            setattr(both, counts, getattr(self, counts) + getattr(other, counts))
        both.largest_gbps = np.maximum(self.largest_gbps, other.largest_gbps)
        return both

    def beside(self, other: "Tally") -> "Tally":
        """The lanes of both as those of one: of as many requests each, and independent, as of another seed."""
        both = Tally(len(self.offered) + len(other.offered), self.requests, self.warmup_requests)
        for counts in ("offered", "blocked", "offered_gbps", "blocked_gbps", "verdicts", "largest_gbps"):
            setattr(both, counts, np.concatenate([getattr(self, counts), getattr(other, counts)]))
        return both

    @property
    def service_blocking(self) -> Estimate:
        """Share of the requests that were blocked."""
        if not self.blocked.any():
            return none_seen(self.offered.sum())
        return ratio_estimate(self.blocked, self.offered)

    @property
    def bit_rate_blocking(self) -> Estimate:
        """Share of the bit rate asked for that was blocked."""
        if not self.blocked.any():
            requests = self.offered.sum()
            return none_seen(requests, self.largest_gbps.max() * requests / (self.offered_gbps.sum() or np.nan))
        return ratio_estimate(self.blocked_gbps, self.offered_gbps)

    @property
    def blocked_requests(self) -> int:
        """Requests that were blocked."""
        return int(self.blocked.sum())

    @property
    def block_reasons(self) -> dict[str, int]:
        """Blocked requests by reason; reasons that only some networks have are left out where there are none."""
        counts = dict(zip(VERDICT_NAMES, self.verdicts.sum(axis=0).tolist(), strict=True))
        always = (VERDICT_NAMES[BLOCKED_NO_SPECTRUM], VERDICT_NAMES[BLOCKED_NO_REACH])
        return {
            name: count
            for name, count in counts.items()
            if name in always or (count and name != VERDICT_NAMES[ACCEPTED])
        }

    def blocking_by_lane(self) -> Floats:
        """Service blocking of each lane, [B]: what paired comparisons are made of."""
        return np.asarray(self.blocked.sum(axis=1) / self.offered.sum(axis=1))


@kernel
def count_requests(
    verdict: Bytes,
    gbps: Floats,
    position: int,
    batch_requests: int,
    offered: Floats,
    blocked: Floats,
    offered_gbps: Floats,
    blocked_gbps: Floats,
    verdicts: Ints64,
) -> None:
    """Add requests to the counts of one lane by batch, and by verdict.

    A kernel, because the lanes of other threads wait while Python counts. `position` is that of the first request
    among those that count.
    """
    first = 0
    while first < verdict.size:
        batch = (position + first) // batch_requests
        last = min((batch + 1) * batch_requests - position, verdict.size)
        lost, asked_gbps, lost_gbps = 0, 0.0, 0.0
        for t in range(first, last):
            asked_gbps += gbps[t]
            verdicts[verdict[t]] += 1
            if verdict[t] != ACCEPTED:
                lost += 1
                lost_gbps += gbps[t]
        offered[batch] += last - first
        blocked[batch] += lost
        offered_gbps[batch] += asked_gbps
        blocked_gbps[batch] += lost_gbps
        first = last


class Gauge:
    """Utilisation of every link and fragmentation, sampled at arrivals; and where there are rules, of lightpaths.

    Poisson arrivals see time averages: with them, the mean over arrivals is the mean over time. Counters of a lane
    are read at its first sample and its last: what they count lies between the two.
    """

    def __init__(self, links: int) -> None:
        self.samples = 0
        self._utilisation = np.zeros(links)
        self._fragmentation = 0.0
        self._counted: dict[int, tuple[Ints64, Ints64]] = {}  # by lane, at the first sample and the last
        self._lit: list[int] = []
        self._lightpath_use: list[float] = []

    def add_lightpaths(self, lane: int, counters: Ints64, lit: int, in_use: float) -> None:
        """Add a sample of a lane: its counters, lightpaths that are lit, and the share of their capacity in use."""
        first, _ = self._counted.get(lane, (counters, counters))
        self._counted[lane] = (first, counters)
        self._lit.append(lit)
        self._lightpath_use.append(in_use)

    def add(self, utilisation: Floats, fragmentation: float) -> None:
        """Add a sample: share of slots in use by link, [L], and mean fragmentation."""
        self.samples += 1
        self._utilisation += utilisation
        self._fragmentation += fragmentation

    def merged(self, other: "Gauge") -> "Gauge":
        """The samples of both."""
        both = Gauge(self._utilisation.size)
        both.samples = self.samples + other.samples
        both._utilisation = self._utilisation + other._utilisation
        both._fragmentation = self._fragmentation + other._fragmentation
        both._counted = dict(enumerate([*self._counted.values(), *other._counted.values()]))
        both._lit = self._lit + other._lit
        both._lightpath_use = self._lightpath_use + other._lightpath_use
        return both

    @property
    def link_utilisation(self) -> Floats:
        """Mean share of slots in use, [L]; nan without a sample."""
        return self._utilisation / (self.samples or np.nan)

    @property
    def utilisation(self) -> float:
        """Mean share of slots in use, over links and samples."""
        return float(self.link_utilisation.mean())

    @property
    def fragmentation(self) -> float:
        """Mean over links and samples of 1 - longest free block / free slots."""
        return self._fragmentation / (self.samples or np.nan)

    @property
    def usage(self) -> dict[str, float]:
        """All means by name, and what became of lightpaths, where the network has rules for them.

        Shares are of the requests that were served: `groomed_share` rode on running lightpaths, whole or in part,
        `sliced_share` was split. Failures are counted by link; `services_hit` lost a lightpath, and of them
        `services_switched` went on over their other one and `services_dropped` were lost; `lightpaths_restored` were
        moved.
        """
        told = {"utilisation": self.utilisation, "fragmentation": self.fragmentation}
        if not self._counted:
            return told
        change = sum(last - first for first, last in self._counted.values())
        count = dict(zip(COUNTERS, np.asarray(change).tolist(), strict=True))
        served = max(count["served"], 1)
        return told | {
            "lightpaths": float(np.mean(self._lit)),
            "lightpath_utilisation": float(np.mean(self._lightpath_use)),
            "lightpaths_lit_per_service": count["lit"] / served,
            "groomed_share": count["groomed"] / served,
            "sliced_share": count["sliced"] / served,
            "link_failures": count["failures"],
            "services_hit": count["hit"],
            "services_switched": count["switched"],
            "lightpaths_restored": count["restored"],
            "services_dropped": count["dropped"],
        }
