"""One link against the exact formulas of teletraffic theory, where they apply and only there.

Erlang B is exact on one link whose requests all have one width w, when the slots are a multiple of w: first-fit
and best-fit then start every service at a multiple of w, so the link is a group of slots / w servers. It holds for
any law of the holding time with the same mean (Sevastyanov 1957), so for truncated ones too.

Kaufman-Roberts counts slots and knows nothing of contiguity: it admits a request while enough slots are free
anywhere. That is what happens here in exactly one mixed case: widths 1 and all S. One slot fits wherever a slot is
free, and all S fit only on an idle link, so how free slots lie never matters. For other mixtures contiguity binds,
and the reference is a bound that the simulator is to show on the worse side.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.metrics import Estimate
from fusion_rl.domains.optical.rollout import LaneServer, Rollout
from fusion_rl.domains.optical.setting import Setting
from tests.domains.optical.worlds import make_setting

Weights = Mapping[int, float]  # width in slots -> relative frequency
SURELY = 2.0  # half-widths of 95 %: about four standard errors
REQUESTS = 400_000


def erlang_b(servers: int, erlang: float) -> float:
    """Share of calls lost by a group of servers (Erlang 1917), by the usual recursion."""
    lost = 1.0
    for n in range(1, servers + 1):
        lost = erlang * lost / (n + erlang * lost)
    return lost


def kaufman_roberts(slots: int, erlang_of_width: Weights) -> dict[int, float]:
    """Share of requests lost by width under complete sharing (Kaufman 1981, Roberts 1981)."""
    occupied = [1.0]
    for used in range(1, slots + 1):
        terms = (erlang * w * occupied[used - w] for w, erlang in erlang_of_width.items() if w <= used)
        occupied.append(sum(terms) / used)
    return {w: sum(occupied[slots - w + 1 :]) / sum(occupied) for w in erlang_of_width}


def one_link(
    slots: int, erlang: float, weights: Weights, links: str = "shared", guard: int = 0, **more: Any
) -> Setting:
    bandwidth = {"kind": "slots", "widths_slots": list(weights), "weights": list(weights.values())}
    return make_setting(
        [("a", "b", 100.0)],
        {"links": links, "slots": slots, "guard_slots": guard, "k_paths": 1},
        {"load_erlang": erlang, "bandwidth": bandwidth, **more},
    )


def run(setting: Setting, heuristic: str = "ksp-ff", **more: Any) -> Rollout:
    more = {"requests": REQUESTS, "lanes": 16, "seed": 1, "warmup_requests": 1000, **more}
    return rollout.run(setting, HEURISTICS[heuristic], **more)


def assert_is(estimate: Estimate, exact: float, within: float = SURELY) -> None:
    assert estimate.ci95 < 0.1 * exact, "the interval is narrow enough to tell a wrong simulator"
    assert abs(estimate.mean - exact) < within * estimate.ci95, f"{estimate} is not {exact:.5f}"


def test_the_formulas_agree_with_tables_and_each_other() -> None:
    assert erlang_b(10, 5.0) == pytest.approx(0.018385, abs=1e-6)
    assert erlang_b(1, 1.0) == 0.5
    assert kaufman_roberts(10, {1: 5.0})[1] == pytest.approx(erlang_b(10, 5.0))
    assert kaufman_roberts(30, {3: 5.0})[3] == pytest.approx(erlang_b(10, 5.0))
    # widths 1 and 2 on 2 slots, 1 Erlang each: states (0,0) (1,0) (2,0) (0,1) weigh 1, 1, 1/2, 1
    assert kaufman_roberts(2, {1: 1.0, 2: 1.0}) == {1: pytest.approx(1.5 / 3.5), 2: pytest.approx(2.5 / 3.5)}


@pytest.mark.parametrize("heuristic", HEURISTICS.names())
@pytest.mark.parametrize(("slots", "erlang"), [(10, 4.0), (10, 8.0), (70, 60.0), (5, 20.0)])
def test_one_slot_requests_on_one_link_block_as_erlang_b_says(slots: int, erlang: float, heuristic: str) -> None:
    result = run(one_link(slots, erlang, {1: 1.0}), heuristic)
    assert_is(result.tally.service_blocking, erlang_b(slots, erlang))
    assert_is(result.tally.bit_rate_blocking, erlang_b(slots, erlang))
    assert result.tally.block_reasons["reach"] == 0


def test_directed_links_share_the_load_and_a_shared_link_bears_it_all() -> None:
    assert_is(run(one_link(10, 14.0, {1: 1.0}, "directed")).tally.service_blocking, erlang_b(10, 7.0))
    assert_is(run(one_link(10, 14.0, {1: 1.0}, "shared")).tally.service_blocking, erlang_b(10, 14.0))


@pytest.mark.parametrize("heuristic", ["ksp-ff", "ksp-bf"])
@pytest.mark.parametrize(("width", "guard"), [(3, 0), (2, 1), (1, 2)])
def test_requests_of_one_width_see_as_many_servers_as_blocks(width: int, guard: int, heuristic: str) -> None:
    """3 slots each, guard included, on 90 slots: 30 servers, and a guard at the band's edge too."""
    result = run(one_link(90, 25.0, {width: 1.0}, guard=guard), heuristic)
    assert_is(result.tally.service_blocking, erlang_b(30, 25.0))


def test_slots_left_over_serve_nobody() -> None:
    """91 or 92 slots are no more than 90 for blocks of 3: lowest starts stay multiples of 3."""
    for slots in (91, 92):
        assert_is(run(one_link(slots, 25.0, {3: 1.0})).tally.service_blocking, erlang_b(30, 25.0))


def test_truncated_holding_times_offer_their_share_of_the_nominal_load() -> None:
    setting = one_link(30, 40.0, {1: 1.0}, holding_truncation="redraw-at-2x-mean")
    offered = 40.0 * (1 - 2 * math.exp(-2) / (1 - math.exp(-2)))
    assert setting.scenarios[0].offered_erlang == pytest.approx(offered)
    assert_is(run(setting).tally.service_blocking, erlang_b(30, offered))


def test_the_time_unit_does_not_matter() -> None:
    for mean in (0.2, 10_800.0):
        setting = one_link(10, 8.0, {1: 1.0}, mean_holding_time=mean)
        assert_is(run(setting).tally.service_blocking, erlang_b(10, 8.0))


def blocking_by_width(setting: Setting, heuristic: str = "ksp-ff") -> dict[int, Estimate]:
    """Blocking of each width from 16 lanes, the first 1000 requests of each left out."""
    parts = []
    for lane in range(16):
        requests = setting.models[0].stream(1, lane, 0).take(REQUESTS // 16)
        server = LaneServer(setting.world, HEURISTICS[heuristic], setting.typical_erlang)
        lost = server.serve(requests).verdict != 0
        kinds = requests.bandwidth_class
        parts.append([lost[1000:][kinds[1000:] == kind].mean() for kind in range(len(setting.world.class_gbps))])
    widths = setting.world.path_width[0].tolist()
    shares = np.array(parts)
    half_widths = 2.131 * shares.std(axis=0, ddof=1) / math.sqrt(16)  # Student's t at 95 %, 15 degrees of freedom
    return {
        width: Estimate(float(mean), float(half), 16, "independent lanes")
        for width, mean, half in zip(widths, shares.mean(axis=0), half_widths, strict=True)
    }


@pytest.mark.parametrize(("slots", "erlang", "weights"), [(6, 2.0, {1: 5.0, 6: 1.0}), (12, 7.0, {1: 10.0, 12: 1.0})])
def test_widths_of_one_slot_and_of_the_whole_band_block_as_kaufman_roberts_says(
    slots: int, erlang: float, weights: Weights
) -> None:
    total = sum(weights.values())
    exact = kaufman_roberts(slots, {width: erlang * share / total for width, share in weights.items()})
    for width, estimate in blocking_by_width(one_link(slots, erlang, weights)).items():
        assert_is(estimate, exact[width])


@pytest.mark.parametrize("heuristic", ["ksp-ff", "ksp-bf"])
@pytest.mark.parametrize("weights", [{1: 1.0, 4: 1.0}, {2: 2.0, 3: 1.0, 7: 1.0}])
def test_contiguity_costs_mixed_widths_more_than_kaufman_roberts(weights: Weights, heuristic: str) -> None:
    """The widest requests are those that scattered slots do not help, and fewer slots are carried over all."""
    slots, erlang, total = 40, 12.0, sum(weights.values())
    offered = {width: erlang * share / total for width, share in weights.items()}
    exact = kaufman_roberts(slots, offered)
    setting = one_link(slots, erlang, weights)
    found = blocking_by_width(setting, heuristic)
    widest = max(weights)
    assert found[widest].mean - found[widest].ci95 > exact[widest]
    exact_bit_rate = sum(w * offered[w] * exact[w] for w in offered) / sum(w * offered[w] for w in offered)
    bit_rate = run(setting, heuristic).tally.bit_rate_blocking
    assert bit_rate.mean - bit_rate.ci95 > exact_bit_rate


def test_mean_utilisation_is_the_load_carried() -> None:
    """Poisson arrivals see time averages, if what they see is the network before they are served."""
    slots, erlang = 10, 5.0
    result = run(one_link(slots, erlang, {1: 1.0}), lanes=200, requests=200 * 3000)
    exact = erlang * (1 - erlang_b(slots, erlang)) / slots
    deviation = math.sqrt(erlang) / slots  # of one sample; a lost-call group varies less than its offered load
    assert abs(result.gauge.utilisation - exact) < 4 * deviation / math.sqrt(result.gauge.samples)


@pytest.mark.parametrize(
    ("lanes", "requests", "method"), [(10, 20_000, "independent lanes"), (1, 48_000, "batch means")]
)
def test_95_percent_intervals_hold_the_exact_value_95_times_in_100(lanes: int, requests: int, method: str) -> None:
    setting = one_link(10, 8.0, {1: 1.0})
    exact = erlang_b(10, 8.0)
    estimates = [
        run(setting, requests=requests, lanes=lanes, seed=seed, threads=1).tally.service_blocking for seed in range(200)
    ]
    assert {estimate.method for estimate in estimates} == {method}
    covered = sum(abs(estimate.mean - exact) <= estimate.ci95 for estimate in estimates)
    assert 180 <= covered <= 199, "190 are expected of 200, give or take 3"
