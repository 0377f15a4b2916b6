"""Traces: requests that were recorded, or made elsewhere, replayed in place of drawing them.

Seeds do not matter to a trace: each episode of a lane replays the lane's requests from the first. Only a policy
that draws random numbers of its own takes them from the seeds, as it does with traffic that is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fusion_rl.arrays import Floats, Ints, frozen
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical.failures import failures_of
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.domains.optical.traffic import BandwidthClasses, traffic_key
from fusion_rl.errors import TrafficError


@dataclass(frozen=True)
class Trace:
    """The requests of a file, those of lane b in rows lane_first[b] .. lane_first[b + 1] - 1.

    Attributes:
        file: where they were read.
        arrival, holding: times, [T].
        pair: ordered source-destination pair, [T].
        gbps: bit rates, [T]; for widths in slots, what those carry at 1 bit/s/Hz.
        slots: widths, [T]; 0 where bit rates are given.
        lane_first: [B + 1].
    """

    file: str
    arrival: Floats
    holding: Floats
    pair: Ints
    gbps: Floats
    slots: Ints
    lane_first: Ints

    @property
    def offered_erlang(self) -> float:
        """Arrival rate x mean holding time, mean over lanes; NaN where no time passes between arrivals."""
        first, last = self.lane_first[:-1], self.lane_first[1:] - 1
        span = float((self.arrival[last] - self.arrival[first]).sum())
        return float((last - first).sum() / span * self.holding.mean()) if span > 0 else float("nan")


class TraceModel:
    """A trace made ready to replay; takes the place of a `TrafficModel`.

    Args:
        scenario: which names the trace.
        trace: its requests.
        classes: the bandwidth classes of the world, which contain the trace's.
        topology: whose links may fail.
    """

    def __init__(self, scenario: ScenarioConfig, trace: Trace, classes: BandwidthClasses, topology: Topology) -> None:
        self.scenario = scenario
        self.topology = topology
        failures_of(scenario, topology, ())  # a schedule that names no edge fails here
        self.trace = trace
        self.load_erlang = self.offered_erlang = trace.offered_erlang
        distinct, which = np.unique(np.column_stack([trace.gbps, trace.slots]), axis=0, return_inverse=True)
        class_ids = np.array([classes.index(gbps, slots) for gbps, slots in distinct], np.int32)
        self.bandwidth_class = class_ids[which.reshape(-1)]

    def stream(self, *entropy: int) -> "TraceStream":
        """A lane's requests; seeds are (run, lane, episode), and of these the lane alone chooses requests."""
        return TraceStream(self, entropy[1] if len(entropy) > 1 else 0, (self.scenario.seed, *entropy))

    def require(self, lanes: Sequence[int], requests: int) -> None:
        """Make sure before a run that the trace has what the run will take.

        Args:
            lanes: lanes that will run.
            requests: what each of them will serve, warm-up included.

        Raises:
            TrafficError: there are fewer lanes, or fewer requests of a lane.
        """
        has = np.diff(self.trace.lane_first)
        if max(lanes) >= has.size:
            raise TrafficError(
                f"trace {self.trace.file} has {_counted(has.size, 'lane')}, and lane {max(lanes)} is asked for (lanes "
                f"count from 0): run it on {has.size}"
            )
        short = min(lanes, key=lambda lane: int(has[lane]))
        if has[short] < requests:
            raise TrafficError(
                f"trace {self.trace.file} has {_counted(int(has[short]), 'request')} of lane {short}, fewer than the "
                f"{requests:,} asked for (warm-up included): ask for fewer"
            )


class TraceStream:
    """One lane's requests of a trace.

    Args:
        model: the trace.
        lane: which lane's.
        entropy: seeds of what a random policy draws.
    """

    def __init__(self, model: TraceModel, lane: int, entropy: tuple[int, ...]) -> None:
        self.model = model
        model.require([lane], 1)
        self._first, self._end = model.trace.lane_first[lane : lane + 2].tolist()
        self._key = traffic_key(entropy)
        self._drawn = 0
        self._failures = failures_of(model.scenario, model.topology, entropy)

    def take(self, count: int) -> Requests:
        """The next requests, as read-only arrays [count].

        Behind the end of the trace the last request is repeated: environments look one request ahead of what
        they serve. That a run serves none of these is what `TraceModel.require` sees to.
        """
        trace = self.model.trace
        rows = np.minimum(np.arange(self._first + self._drawn, self._first + self._drawn + count), self._end - 1)
        requests = Requests(
            arrival=frozen(trace.arrival[rows]),
            holding=frozen(trace.holding[rows]),
            pair=frozen(trace.pair[rows]),
            bandwidth_class=frozen(self.model.bandwidth_class[rows]),
            key=self._key,
            number=self._drawn,
            events=None if self._failures is None else self._failures.until(float(trace.arrival[rows[-1]])),
        )
        self._drawn += count
        return requests


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"
