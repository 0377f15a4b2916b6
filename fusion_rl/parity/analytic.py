"""One link against the formulas of teletraffic theory, in the cases where they are exact.

Erlang B: all requests have one width w and the slots are a multiple of w. First-fit then starts every service at a
multiple of w, so the link is a group of slots / w servers; and it holds for any holding-time law of the same mean
(Sevastyanov 1957). Kaufman-Roberts counts slots and knows nothing of contiguity. It is exact for widths 1 and all S:
one slot fits wherever a slot is free, and all S fit only on an idle link.
"""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.parity.line import Line, Size, within

LANES = 16
WARMUP_REQUESTS = 1000
# (slots, Erlang, width in slots)
ERLANG_B_CASES = ((10, 4.0, 1), (70, 60.0, 1), (90, 25.0, 3), (5, 20.0, 1))
# (slots, Erlang, relative frequency by width)
KAUFMAN_ROBERTS_CASES = ((6, 3.0, {1: 5.0, 6: 1.0}), (20, 8.0, {1: 12.0, 20: 1.0}))
# Half-widths of 95 %. The value is exact, so one alone would be missed by one line in twenty.
ALLOWED_HALF_WIDTHS = 2.0


def erlang_b(servers: int, erlang: float) -> float:
    """Share of calls lost by a group of servers (Erlang 1917), by the usual recursion."""
    lost = 1.0
    for n in range(1, servers + 1):
        lost = erlang * lost / (n + erlang * lost)
    return lost


def kaufman_roberts(slots: int, erlang_of_width: Mapping[int, float]) -> dict[int, float]:
    """Share of requests lost by width under complete sharing (Kaufman 1981, Roberts 1981)."""
    occupied = [1.0]
    for used in range(1, slots + 1):
        terms = (erlang * width * occupied[used - width] for width, erlang in erlang_of_width.items() if width <= used)
        occupied.append(sum(terms) / used)
    return {width: sum(occupied[slots - width + 1 :]) / sum(occupied) for width in erlang_of_width}


def lines(size: Size) -> Iterator[Line]:
    """KSP-FF on one link beside both formulas."""
    for slots, erlang, width in ERLANG_B_CASES:
        exact = erlang_b(slots // width, erlang)
        yield _line("Erlang B", one_link(slots, erlang, {width: 1.0}), exact, size)
    for slots, erlang, weights in KAUFMAN_ROBERTS_CASES:
        total = sum(weights.values())
        by_width = kaufman_roberts(slots, {width: erlang * weight / total for width, weight in weights.items()})
        exact = sum(by_width[width] * weight for width, weight in weights.items()) / total
        yield _line("Kaufman-Roberts", one_link(slots, erlang, weights), exact, size)


def one_link(slots: int, erlang: float, weights: Mapping[int, float]) -> Setting:
    """Two nodes and one link, which both directions share; widths in slots are drawn by weight."""
    bandwidth = {"kind": "slots", "widths_slots": tuple(weights), "weights": tuple(weights.values())}
    scenario = ScenarioConfig.model_validate({"name": "one-link", "load_erlang": erlang, "bandwidth": bandwidth})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "one-link.csv"
        file.write_text("source,target,length_km\na,b,100\n")
        network = NetworkConfig(topology=str(file), links="shared", slots=slots, k_paths=1, path_order="hops")
        return prepare(network, [scenario])


def _line(formula: str, setting: Setting, exact: float, size: Size) -> Line:
    served = rollout.run(
        setting,
        HEURISTICS["ksp-ff"],
        requests=size.analytic_requests,
        lanes=LANES,
        seed=size.seed,
        warmup_requests=WARMUP_REQUESTS,
    )
    found = served.tally.service_blocking
    scenario = setting.scenarios[0]
    widths = "/".join(map(str, scenario.bandwidth.widths_slots)) if scenario.bandwidth.kind == "slots" else ""
    return within(
        group="analytic",
        compared=f"service blocking of one link with {formula}",
        conditions=f"{setting.network.slots} slots, {scenario.load_erlang:g} E, widths {widths}, "
        f"{size.analytic_requests:,} requests",
        expected=exact,
        expected_half_width=0.0,
        found=found.mean,
        found_half_width=found.ci95,
        tolerance=ALLOWED_HALF_WIDTHS * found.ci95,
        tolerance_rests_on="2 x our 95 % half-width",
    )
