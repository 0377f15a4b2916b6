"""A slow, obvious simulator of networks with lightpaths: grooming, slicing, 1+1, failures, signal quality.

Services own their legs, a leg is a lightpath and a bit rate, and everything else follows from the services that run:
what is lit, what a lightpath carries, which slots are in use. It shares no code with the package.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from tests.oracles.slow_qot import Channel, SlowFibre, link_inverse_snr
from tests.oracles.slow_simulator import Link, NodePath, SlowRequest

Mbps = int
Offer = tuple["Candidate", int, list[int]]  # a candidate, the slots that a request takes there, where they can start
Choice = tuple["Candidate", int] | None  # a candidate and a first slot, or no new lightpath
Decision = tuple[str, "Candidate | None", int | None]  # verdict, and what was decided


@dataclass(frozen=True)
class Candidate:
    """A route with a format: what a decision names."""

    nodes: NodePath
    copy: int  # place among those of the same route
    efficiency: float  # bits/s/Hz; 0: the format does not reach
    required_snr_db: float | None = None
    rides: bool = True  # whether running lightpaths are used first, where the network grooms


@dataclass(eq=False)
class Lightpath:
    """A lightpath that is lit."""

    candidate: Candidate
    slots: range  # guard slots included
    capacity: Mbps
    fixed_width: bool = False  # it was asked for in slots


@dataclass(eq=False)
class Service:
    """A request that is served, until it departs; without legs once a failure has dropped it."""

    departure: float
    legs: list[tuple[Lightpath, Mbps]] = field(default_factory=list)


@dataclass
class SlowOpticalNetwork:
    """A network in use. Events are (time, edge as in `lengths_km`, True for a repair), in order."""

    lengths_km: dict[Link, float]
    directed: bool
    slots: int
    guard_slots: int
    slot_width_ghz: float
    candidates: dict[Link, list[Candidate]]  # source and target -> candidates, best first
    max_parts: int = 0  # 0: no grooming
    max_segments: int = 1  # 1: no slicing
    greedy: bool = False
    protected: bool = False
    restores: bool = True
    fibre: SlowFibre | None = None
    check_running: bool = True
    margin_db: float = 0.0
    events: list[tuple[float, Link, bool]] = field(default_factory=list)
    running: list[Service] = field(default_factory=list)
    were_lit: list[Lightpath] = field(default_factory=list)
    down: list[Link] = field(default_factory=list)  # links, not edges
    counts: Counter[str] = field(default_factory=Counter)

    # ---- what there is ----

    def links(self, candidate: Candidate) -> list[Link]:
        steps = pairwise(candidate.nodes)
        return [(a, b) if self.directed else (min(a, b), max(a, b)) for a, b in steps]

    def links_of_edge(self, edge: Link) -> list[Link]:
        one, other = edge
        return [(one, other), (other, one)] if self.directed else [(min(edge), max(edge))]

    def used(self, lightpath: Lightpath) -> Mbps:
        return sum(mbps for service in self.running for other, mbps in service.legs if other is lightpath)

    def riders(self, lightpath: Lightpath) -> list[Service]:
        return [service for service in self.running if any(other is lightpath for other, _ in service.legs)]

    def lit(self) -> list[Lightpath]:
        """The lightpaths that a service rides on, in the order in which they were lit."""
        return [lightpath for lightpath in self.were_lit if self.riders(lightpath)]

    def lit_on(self, link: Link) -> list[Lightpath]:
        found = [lightpath for lightpath in self.lit() if link in self.links(lightpath.candidate)]
        return sorted(found, key=lambda lightpath: lightpath.slots.start)

    def in_use(self, link: Link) -> set[int]:
        if link in self.down:
            return set(range(self.slots))
        return {slot for lightpath in self.lit_on(link) for slot in lightpath.slots}

    def is_up(self, lightpath: Lightpath) -> bool:
        return not set(self.links(lightpath.candidate)) & set(self.down)

    # ---- bit rates and widths ----

    def mbps_a_slot(self, candidate: Candidate) -> Fraction:
        return Fraction(self.slot_width_ghz) * Fraction(candidate.efficiency) * 1000

    def capacity(self, candidate: Candidate, width: int) -> Mbps:
        return math.floor((width - self.guard_slots) * self.mbps_a_slot(candidate))

    def width(self, candidate: Candidate, mbps: float) -> int:
        return math.ceil(Fraction(mbps) / self.mbps_a_slot(candidate)) + self.guard_slots

    def width_of_request(self, candidate: Candidate, request: SlowRequest, mbps: Mbps) -> int:
        """Slots for what is left of a request."""
        if request.width_slots:
            return request.width_slots + self.guard_slots
        return self.width(candidate, request.gbps * 1000 if mbps == asked(request) else mbps)

    def reachable(self, request: SlowRequest) -> list[Candidate]:
        return [c for c in self.candidates[request.source, request.target] if c.efficiency > 0]

    # ---- spectrum and signals ----

    def free(self, candidate: Candidate) -> list[int]:
        used = set().union(*(self.in_use(link) for link in self.links(candidate)))
        return [slot for slot in range(self.slots) if slot not in used]

    def blocks(self, candidate: Candidate) -> list[list[int]]:
        """The free slots of a candidate, cut into runs of neighbours."""
        runs: list[list[int]] = []
        for slot in self.free(candidate):
            if runs and runs[-1][-1] == slot - 1:
                runs[-1].append(slot)
            else:
                runs.append([slot])
        return runs

    def starts(self, candidate: Candidate, width: int) -> Iterator[int]:
        """Every slot from which a lightpath could be lit, lowest first."""
        for run in self.blocks(candidate):
            for start in run[: max(0, len(run) - width + 1)]:
                if self.arrives(candidate, range(start, start + width)):
                    yield start

    def signal(self, slots: range) -> Channel:
        slot_hz = self.slot_width_ghz * 1e9
        return slots.start * slot_hz, (slots.stop - self.guard_slots) * slot_hz

    def noise(self, lightpath: Lightpath, further: Lightpath | None = None) -> float:
        """Inverse SNR of a lightpath among those that are lit, and one more."""
        assert self.fibre is not None
        both_ways = self.lengths_km | {(b, a): km for (a, b), km in self.lengths_km.items()}
        total = 0.0
        for link in self.links(lightpath.candidate):
            others = [other for other in self.lit_on(link) if other is not lightpath]
            if further is not None and link in self.links(further.candidate):
                others.append(further)
            channels = [self.signal(other.slots) for other in others]
            total += link_inverse_snr(self.fibre, both_ways[link] * 1e3, self.signal(lightpath.slots), channels)
        return total

    def enough(self, lightpath: Lightpath, noise: float, margin_db: float = 0.0) -> bool:
        assert lightpath.candidate.required_snr_db is not None
        return -10 * math.log10(noise) >= lightpath.candidate.required_snr_db + margin_db

    def arrives(self, candidate: Candidate, slots: range) -> bool:
        """Whether a lightpath there has the SNR that it needs, and leaves running ones with theirs."""
        if self.fibre is None:
            return True
        new = Lightpath(candidate, slots, 0)
        if not self.enough(new, self.noise(new), self.margin_db):
            return False
        for running in self.lit() if self.check_running else []:
            if set(self.links(running.candidate)) & set(self.links(candidate)):
                now = self.noise(running)
                added = self.noise(running, further=new) - now
                # the second lightpath of a protected request may come as close
                if not self.enough(running, now + (2 if self.protected else 1) * added):
                    return False
        return True

    # ---- what a request could be served with ----

    def offers(self, request: SlowRequest, mbps: Mbps) -> list[Offer]:
        """The candidates on which the rest of a request can be carried, best first; none where nothing is left."""
        found: list[Offer] = []
        if mbps == 0:
            return found
        for candidate in self.reachable(request):
            rest = mbps if candidate.rides else asked(request)
            width = self.width_of_request(candidate, request, rest)
            starts = list(self.starts(candidate, width))
            if starts and (not self.protected or self.backup(candidate, request) is not None):
                found.append((candidate, width, starts))
        return found

    def backup(self, working: Candidate, request: SlowRequest) -> tuple[Candidate, int, int] | None:
        """Candidate, start and width of the second lightpath of a protected request."""
        edges = {frozenset(step) for step in pairwise(working.nodes)}
        for candidate in self.reachable(request):
            if not edges & {frozenset(step) for step in pairwise(candidate.nodes)}:
                width = self.width_of_request(candidate, request, asked(request))
                for start in self.starts(candidate, width):
                    return candidate, start, width
        return None

    def ride_plan(self, request: SlowRequest) -> list[tuple[Lightpath, Mbps]]:
        """The running lightpaths that a request would ride on, and with how much."""
        ends = (request.source, request.target)
        between = [lp for lp in self.lit() if (lp.candidate.nodes[0], lp.candidate.nodes[-1]) == ends]
        spare = {lightpath: lightpath.capacity - self.used(lightpath) for lightpath in between}
        if self.max_parts == 0:
            return []
        whole = [lightpath for lightpath in between if spare[lightpath] >= asked(request)]
        if whole:
            return [(min(whole, key=lambda lightpath: spare[lightpath]), asked(request))]
        roomy = [lp for lp in sorted(between, key=lambda lp: -spare[lp]) if spare[lp] > 0][: self.max_parts]
        if sum(spare[lightpath] for lightpath in roomy) < asked(request):
            roomy = roomy[: self.max_parts - 1]  # a new lightpath is one of the parts
        plan, left = [], asked(request)
        for lightpath in roomy:
            if left > 0:
                plan.append((lightpath, min(left, spare[lightpath])))
                left -= plan[-1][1]
        return plan

    def why_blocked(self, request: SlowRequest, mbps: Mbps) -> str:
        """Why a request has no offer: the reason that came nearest to serving it."""
        reachable = self.reachable(request)
        if not reachable:
            return "reach"
        widths = [(c, self.width_of_request(c, request, mbps if c.rides else asked(request))) for c in reachable]
        if any(True for candidate, width in widths for _ in self.starts(candidate, width)):
            return "protection"
        roomy = any(len(run) >= width for candidate, width in widths for run in self.blocks(candidate))
        return "qot" if roomy else "spectrum"

    # ---- serving ----

    def light(self, service: Service, candidate: Candidate, start: int, width: int, mbps: Mbps) -> None:
        lightpath = Lightpath(candidate, range(start, start + width), max(self.capacity(candidate, width), mbps))
        assert not {slot for link in self.links(candidate) for slot in self.in_use(link)} & set(lightpath.slots)
        assert lightpath.slots.stop <= self.slots
        self.were_lit.append(lightpath)
        service.legs.append((lightpath, mbps))

    def serve(self, request: SlowRequest, decide: Callable[["SlowOpticalNetwork", SlowRequest, Mbps], Choice]) -> str:
        """Let time pass, ride, decide for the rest, light it."""
        self.pass_time(request.arrival)
        plan = self.ride_plan(request)
        left = asked(request) - sum(mbps for _, mbps in plan)
        choice = decide(self, request, left)
        if choice is not None and not choice[0].rides:
            plan, left = [], asked(request)
        service = Service(request.arrival + request.holding)
        self.running.append(service)  # so that what is lit for it counts as lit
        verdict = "accepted" if left == 0 else self.light_rest(service, request, left, choice)
        if verdict != "accepted":
            self.running.remove(service)
            return verdict
        service.legs += plan
        self.counts["served"] += 1
        self.counts["groomed"] += bool(plan)
        self.counts["lit"] += len(service.legs) - len(plan)
        return verdict

    def light_rest(self, service: Service, request: SlowRequest, mbps: Mbps, choice: Choice) -> str:
        """Light what a decision asks for, or parts where no candidate carries the rest whole."""
        if choice is not None:
            candidate, start = choice
            offered = {offer[0]: offer for offer in self.offers(request, mbps)}
            assert start in offered[candidate][2], "the decision can be served"
            backup = self.backup(candidate, request) if self.protected else None
            self.light(service, candidate, start, offered[candidate][1], mbps)
            if backup is not None:
                self.light(service, *backup, mbps)
            for lightpath, _ in service.legs:
                lightpath.fixed_width = request.width_slots > 0
            return "accepted"
        if self.offers(request, mbps):
            return "spectrum"  # it was not wanted
        reason = self.why_blocked(request, mbps)
        for segments in range(2, self.max_segments + 1) if not self.greedy else [self.max_segments]:
            self.split(service, request, mbps, segments)
            if sum(carried for _, carried in service.legs) == mbps:
                self.counts["sliced"] += 1
                return "accepted"
            service.legs.clear()
        return reason

    def split(self, service: Service, request: SlowRequest, mbps: Mbps, segments: int) -> None:
        """Light parts until all is carried or a part finds no room."""
        left = mbps
        while left > 0 and len(service.legs) < segments:
            part = self.largest_part(request, left) if self.greedy else self.equal_part(request, left, mbps, segments)
            if part is None:
                return
            candidate, start, carried = part
            self.light(service, candidate, start, self.width(candidate, carried), carried)
            left -= carried

    def equal_part(
        self, request: SlowRequest, left: Mbps, mbps: Mbps, segments: int
    ) -> tuple[Candidate, int, Mbps] | None:
        carried = min(left, math.ceil(Fraction(mbps, segments)))
        for candidate in self.reachable(request):
            for start in self.starts(candidate, self.width(candidate, carried)):
                return candidate, start, carried
        return None

    def largest_part(self, request: SlowRequest, left: Mbps) -> tuple[Candidate, int, Mbps] | None:
        parts = []
        for candidate in self.reachable(request):
            for run in self.blocks(candidate):
                carried = min(left, self.capacity(candidate, len(run)))
                if carried > 0:
                    slots = range(run[0], run[0] + self.width(candidate, carried))
                    if self.arrives(candidate, slots):
                        parts.append((candidate, run[0], carried))
        return max(parts, key=lambda part: part[2], default=None)

    # ---- time ----

    def pass_time(self, now: float) -> None:
        """Departures and events up to now in order; at one instant departures, then repairs, then failures."""
        while self.events and self.events[0][0] <= now:
            at = self.events[0][0]
            self.depart(at)
            together = [event for event in self.events if event[0] == at]
            self.events = [event for event in self.events if event[0] > at]
            for _, edge, up in together:
                if up:
                    self.down = [link for link in self.down if link not in self.links_of_edge(edge)]
            self.fail([edge for _, edge, up in together if not up])
        self.depart(now)

    def depart(self, now: float) -> None:
        self.running = [service for service in self.running if service.departure > now]
        self.were_lit = self.lit()

    def fail(self, edges: list[Link]) -> None:
        """Edges fail at one instant."""
        was_up = [lightpath for lightpath in self.lit() if self.is_up(lightpath)]
        failing = [link for edge in edges for link in self.links_of_edge(edge)]
        self.down += failing
        self.counts["failures"] += len(edges)
        for link in failing:
            for lightpath in self.lit_on(link):
                # it may have been moved, dropped or switched since the list was made
                if lightpath in was_up and lightpath in self.lit_on(link):
                    was_up.remove(lightpath)
                    self.see_to(lightpath)

    def see_to(self, lightpath: Lightpath) -> None:
        riders = self.riders(lightpath)
        self.counts["hit"] += len(riders)
        if self.protected and any(self.is_up(leg) for leg, _ in riders[0].legs):
            self.counts["switched"] += len(riders)
        elif self.restores and self.move(lightpath):
            self.counts["restored"] += len(riders)
        else:
            self.counts["dropped"] += len(riders)
            for service in riders:
                service.legs = []

    def move(self, lightpath: Lightpath) -> bool:
        """Light it elsewhere, no wider than what it carries asks for."""
        used, riders, nodes = self.used(lightpath), self.riders(lightpath), lightpath.candidate.nodes
        legs = [(service, list(service.legs)) for service in riders]
        for service in riders:  # it is dark while a place is looked for
            service.legs = [leg for leg in service.legs if leg[0] is not lightpath]
        found = None
        for candidate in self.candidates[nodes[0], nodes[-1]]:
            if candidate.efficiency > 0 and found is None:
                width = len(lightpath.slots) if lightpath.fixed_width else self.width(candidate, used)
                found = next(((candidate, start, width) for start in self.starts(candidate, width)), None)
        for service, before in legs:
            service.legs = before
        if found is None:
            return False
        candidate, start, width = found
        lightpath.candidate, lightpath.slots = candidate, range(start, start + width)
        lightpath.capacity = max(used, self.capacity(candidate, width))
        return True


def asked(request: SlowRequest) -> Mbps:
    return max(1, round(request.gbps * 1000))
