"""Figures of two public simulators, reproduced to the last digit with their own random streams.

The expected values were measured on those simulators (optical-rl-gym's RMSA-v0 with shortest-available-path
first-fit, and FUSION, both run as their authors ship them).
"""

import pytest

from fusion_rl.domains.optical import topology
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.errors import TrafficError
from fusion_rl.parity import fusion, optical_rl_gym
from tests.oracles import slow_public_simulators as slow


def test_optical_rl_gym_is_matched_to_the_last_digit() -> None:
    tally = optical_rl_gym.simulate(load_erlang=250, seed=1, warmup_requests=1000, requests=4000)
    assert tally.service_blocking.mean == 0.38175
    assert tally.bit_rate_blocking.mean == 0.43229540326168425


@pytest.mark.parametrize(("erlang", "blocked"), [(400, 251), (500, 417)])
def test_fusion_is_matched_request_for_request(erlang: float, blocked: int) -> None:
    assert fusion.simulate(erlang, seed=1, requests=6000).blocked_requests == blocked


@pytest.mark.parametrize(
    ("erlang", "seed", "cores", "shares"),
    [
        (300, 2, 1, {25: 0.2, 50: 0.2, 100: 0.2, 200: 0.2, 400: 0.2}),
        (250, 3, 2, {100: 0.5, 400: 0.5}),
        (200, 4, 3, {400: 1.0}),
    ],
)
def test_fusion_is_its_rules_read_aloud_for_other_cores_and_shares(
    erlang: float, seed: int, cores: int, shares: dict[int, float]
) -> None:
    verdict, gbps = fusion.decide(erlang, seed, 500, cores, shares)
    expected = list(slow.fusion(erlang, seed, 500, cores, shares))
    assert list(zip((verdict == ACCEPTED).tolist(), gbps.tolist(), strict=True)) == expected
    assert (verdict != ACCEPTED).any()


@pytest.mark.parametrize(("load", "seed"), [(400, 5), (60, 6)])
def test_optical_rl_gym_is_its_rules_read_aloud_at_other_loads(load: float, seed: int) -> None:
    verdict, gbps = optical_rl_gym.decide(load, seed, 500)
    expected = list(slow.optical_rl_gym(load, seed, 500))
    assert list(zip((verdict == ACCEPTED).tolist(), gbps.tolist(), strict=True)) == expected
    assert (verdict != ACCEPTED).any()


def test_quotas_of_bit_rates_are_exact() -> None:
    asked = fusion._stream(
        topology.read(fusion.NODE_ORDER_TOPOLOGY, "shared"),
        1.0,
        3,
        1000,
        fusion._quotas(1000, {50: 0.25, 400: 0.75}),
    )
    assert (asked.bandwidth_class == fusion.GBPS.index(50)).sum() == 250
    assert (asked.bandwidth_class == fusion.GBPS.index(400)).sum() == 750


@pytest.mark.parametrize(
    ("shares", "told"), [({100: 0.5}, "500 requests of 1000"), ({75: 1.0}, "no bit rate of 75 Gb/s; it has 25, 50")]
)
def test_shares_that_cannot_be_met_are_refused(shares: dict[int, float], told: str) -> None:
    with pytest.raises(TrafficError, match=told):
        fusion.simulate(400, seed=1, requests=1000, shares=shares)
