"""Slow, obvious twins of the capacity estimates, and an exhaustive search for the fewest blocked requests."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from tests.oracles.slow_simulator import Link, NodePath, SlowNetwork, SlowRequest, ksp_ff

Service = tuple[float, NodePath, int, int]  # departure, path, first slot, width
CutLinks = tuple[set[str], list[Link]]  # nodes of the part; links from it to the rest, in the order of their numbers


def paths_of(network: SlowNetwork, request: SlowRequest) -> list[tuple[NodePath, int]]:
    """Candidate paths that can carry a request at all, each with its width."""
    widths = [(path, network.width(path, request)) for path in network.candidates[request.source, request.target]]
    return [(path, width) for path, width in widths if width is not None and width <= network.slots]


def free_places(
    network: SlowNetwork, running: Sequence[Service], request: SlowRequest
) -> Iterator[tuple[NodePath, int, int]]:
    """Every path, start and width at which a request can be served beside the running services."""
    for path, width in paths_of(network, request):
        links = set(network.links(path))
        beside = [(start, start + taken) for _, other, start, taken in running if links & set(network.links(other))]
        for start in range(network.slots - width + 1):
            if all(start >= end or start + width <= first for first, end in beside):
                yield path, start, width


def fewest_blocked(network: SlowNetwork, requests: Sequence[SlowRequest]) -> int:
    """The fewest blocked requests over every sequence of decisions: each free place, and each refusal."""
    known: dict[tuple[int, frozenset[Service]], int] = {}

    def fewest(t: int, running: frozenset[Service]) -> int:
        if t == len(requests):
            return 0
        request = requests[t]
        running = frozenset(service for service in running if service[0] > request.arrival)
        if (t, running) not in known:
            departure = request.arrival + request.holding
            best = 1 + fewest(t + 1, running)
            for path, start, width in free_places(network, sorted(running), request):
                if best == 0:
                    break
                best = min(best, fewest(t + 1, running | {(departure, path, start, width)}))
            known[t, running] = best
        return known[t, running]

    return fewest(0, frozenset())


def fewest_blocked_with_repacking(network: SlowNetwork, requests: Sequence[SlowRequest]) -> int:
    """The same where all running services may be moved to any place at every arrival."""

    def can_pack(together: Sequence[SlowRequest], placed: tuple[Service, ...] = ()) -> bool:
        if not together:
            return True
        first, *others = together
        places = free_places(network, placed, first)
        return any(can_pack(others, (*placed, (0.0, path, start, width))) for path, start, width in places)

    def can_accept(accepted: Sequence[SlowRequest]) -> bool:
        return all(
            can_pack([*(r for r in accepted[:i] if r.arrival + r.holding > request.arrival), request])
            for i, request in enumerate(accepted)
        )

    for blocked in range(len(requests) + 1):
        if any(can_accept(accepted) for accepted in combinations(requests, len(requests) - blocked)):
            return blocked
    raise AssertionError("blocking all requests is always possible")


def slot_counts(network: SlowNetwork, requests: Sequence[SlowRequest]) -> list[bool]:
    """Which requests are accepted where slots are only counted."""
    running: list[tuple[float, list[Link], int]] = []
    accepted = []
    for request in requests:
        running = [service for service in running if service[0] > request.arrival]
        costs = []
        for path, width in paths_of(network, request):
            links = network.links(path)
            left = [network.slots - width - sum(w for _, on, w in running if link in on) for link in links]
            if min(left) >= 0:
                costs.append((sum(width / (slots + 1) for slots in left), links, width))
        if costs:
            _, links, width = min(costs, key=lambda one: one[0])
            running.append((request.arrival + request.holding, links, width))
        accepted.append(bool(costs))
    return accepted


def defragmentation(network: SlowNetwork, requests: Sequence[SlowRequest]) -> list[bool]:
    """Which requests are accepted where everything is packed anew when KSP-FF blocks."""
    served: list[SlowRequest] = []
    accepted = []

    def demand(request: SlowRequest) -> float:
        paths = network.candidates[request.source, request.target]
        widths = [network.width(path, request) or 0 for path in paths]
        return sum(
            width * ((len(path) - 1) / (i + 1)) for i, (path, width) in enumerate(zip(paths, widths, strict=True))
        )

    for request in requests:
        verdict, *_ = network.serve(request, ksp_ff)
        served = [other for other in served if other.arrival + other.holding > request.arrival]
        if verdict == "spectrum":
            before = network.in_use, network.running
            network.in_use, network.running = {}, []
            now = sorted([*served, request], key=lambda one: (-demand(one), one.number))
            if all(place(network, one) for one in now):
                verdict = "accepted"
            else:
                network.in_use, network.running = before
        if verdict == "accepted":
            served.append(request)
        accepted.append(verdict == "accepted")
    return accepted


def place(network: SlowNetwork, request: SlowRequest) -> bool:
    """Serve a request that runs already, wherever KSP-FF finds room."""
    choice = ksp_ff(network, request)
    if choice is None:
        return False
    path, start = choice
    slots = set(range(start, start + (network.width(path, request) or 0)))
    for link in network.links(path):
        network.in_use.setdefault(link, set()).update(slots)
    network.running.append((request.arrival + request.holding, path, slots))
    return True


def cut_set(network: SlowNetwork, cuts: Sequence[CutLinks], requests: Sequence[SlowRequest]) -> list[bool]:
    """Which requests are accepted where each takes one link of every cut between its ends."""
    running: list[tuple[float, set[Link], set[int]]] = []
    accepted = []
    for request in requests:
        running = [service for service in running if service[0] > request.arrival]
        used: dict[Link, set[int]] = {}
        for _, links, slots in running:
            for link in links:
                used[link] = used.get(link, set()) | slots
        width = min((width for _, width in paths_of(network, request)), default=None)
        crossed = [links for part, links in cuts if must_cross(network, part, request)]
        starts = [] if width is None else list(range(network.slots - width + 1))
        taken = None
        for start in starts:
            block = set(range(start, start + (width or 0)))
            free = [[link for link in links if not used.get(link, set()) & block] for links in crossed]
            if all(free):
                taken = {min(links, key=lambda link: len(used.get(link, set()))) for links in free}
                running.append((request.arrival + request.holding, taken, block))
                break
        accepted.append(taken is not None)
    return accepted


def must_cross(network: SlowNetwork, part: set[str], request: SlowRequest) -> bool:
    """Whether a request's ends lie on both sides of a cut, in its direction."""
    if network.directed:
        return request.source in part and request.target not in part
    return (request.source in part) != (request.target in part)
