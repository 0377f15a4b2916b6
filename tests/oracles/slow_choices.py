"""Slow, obvious heuristics for networks with lightpaths: where to light what is left of a request.

What is left is 0 where a request rides on running lightpaths whole; then there is no offer, and nothing to decide.
"""

from collections.abc import Callable

from tests.oracles.slow_lightpaths import Choice, Mbps, SlowOpticalNetwork
from tests.oracles.slow_simulator import SlowRequest, looks_random


def ksp_ff(network: SlowOpticalNetwork, request: SlowRequest, left: Mbps) -> Choice:
    return next(((c, starts[0]) for c, _, starts in network.offers(request, left)), None)


def ff_ksp(network: SlowOpticalNetwork, request: SlowRequest, left: Mbps) -> Choice:
    offers = [(c, starts[0]) for c, _, starts in network.offers(request, left)]
    return min(offers, key=lambda offer: offer[1], default=None)


def ksp_bf(network: SlowOpticalNetwork, request: SlowRequest, left: Mbps) -> Choice:
    for candidate, width, starts in network.offers(request, left):
        runs = [run for run in network.blocks(candidate) if len(run) >= width and run[0] in starts]
        if runs:
            return candidate, min(runs, key=len)[0]
    return None


def last_fit(network: SlowOpticalNetwork, request: SlowRequest, left: Mbps) -> Choice:
    return next(((c, starts[-1]) for c, _, starts in network.offers(request, left)), None)


def random_path(network: SlowOpticalNetwork, request: SlowRequest, left: Mbps) -> Choice:
    """The n-th candidate with room replaces the one before it with probability 1/n."""
    chosen = None
    for n, (candidate, _, starts) in enumerate(network.offers(request, left), start=1):
        if looks_random(request.key, request.number * 64 + n + 1) * n < 1:
            chosen = (candidate, starts[0])
    return chosen


HEURISTICS: dict[str, Callable[[SlowOpticalNetwork, SlowRequest, Mbps], Choice]] = {
    "ksp-ff": ksp_ff,
    "ff-ksp": ff_ksp,
    "ksp-bf": ksp_bf,
    "last-fit": last_fit,
    "random": random_path,
}
