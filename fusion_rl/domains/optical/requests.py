"""Requests: what traffic consists of."""

from typing import NamedTuple

from fusion_rl.arrays import Floats, Ints
from fusion_rl.domains.optical.failures import Events
from fusion_rl.domains.optical.jit import kernel


class Requests(NamedTuple):
    """The requests of one lane in order of arrival."""

    arrival: Floats  # [T] time
    holding: Floats  # [T] time
    pair: Ints  # [T] ordered source-destination pair
    bandwidth_class: Ints  # [T]
    key: int  # with a request's number, the seed of what a random policy draws for it
    number: int  # number of the first request since the lane was reset
    events: Events | None = None  # failures up to the last arrival; None where links never fail


class Request(NamedTuple):
    """One request."""

    arrival: float
    holding: float
    pair: int
    bandwidth_class: int
    key: int
    number: int
    mbps: int = -1  # what is left after grooming, Mb/s; -1 where the network has no rules for lightpaths


@kernel
def request_at(requests: Requests, t: int) -> Request:
    """Request t of those at hand."""
    return Request(
        requests.arrival[t],
        requests.holding[t],
        int(requests.pair[t]),
        int(requests.bandwidth_class[t]),
        requests.key,
        requests.number + t,
        -1,
    )


@kernel
def with_mbps(request: Request, mbps: int) -> Request:
    """A request of which so many Mb/s are left."""
    return Request(
        request.arrival, request.holding, request.pair, request.bandwidth_class, request.key, request.number, mbps
    )


@kernel
def rides_whole(request: Request) -> bool:
    """Whether running lightpaths can carry all of a request."""
    return request.mbps == 0
