"""Serving for long: memory stays flat, occupancy does not drift, and no slot is lost or held twice."""

from dataclasses import dataclass

import numpy as np
import psutil
import pytest

from fusion_rl.arrays import Floats
from fusion_rl.config.load import load
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.metrics import Gauge
from fusion_rl.domains.optical.rollout import CHUNK, LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.setting import prepare as prepare_setting
from fusion_rl.intervals import t_half_width

LOAD_ERLANG = 250.0
WARMUP_CHUNKS = 4  # of 4096 requests, in each of which services come and go more than twenty times over
PARTS = 20  # of a third of a soak, for its interval
SHARES = {"ksp-ff": 8, "ff-ksp": 4, "ksp-bf": 2, "last-fit": 2, "least-congested": 2, "random": 1, "mscl": 1}


@dataclass(frozen=True)
class Soak:
    """What was seen after the warm-up.

    Attributes:
        utilisation: share of all slots in use before each chunk of requests, [chunks].
        resident_mb: memory of the process then, [chunks].
    """

    server: LaneServer
    utilisation: Floats
    resident_mb: Floats


@pytest.fixture(scope="module")
def setting() -> Setting:
    config = load("deeprmsa-nsfnet", overrides={"scenarios.*.load_erlang": LOAD_ERLANG}).config
    return prepare_setting(config.network, config.scenarios)


def soak(setting: Setting, heuristic: str, requests: int) -> Soak:
    """Serve so many requests on one lane after the warm-up."""
    server = LaneServer(setting.world, HEURISTICS[heuristic], setting.typical_erlang)
    stream, process = setting.models[0].stream(1), psutil.Process()
    for _ in range(WARMUP_CHUNKS):
        server.serve(stream.take(CHUNK))
    chunks = -(-requests // CHUNK)
    utilisation, resident_mb = np.zeros(chunks), np.zeros(chunks)
    for chunk in range(chunks):
        asked = stream.take(CHUNK)
        gauge = Gauge(setting.world.link_length_km.size)
        server.look(asked, gauge)
        utilisation[chunk] = gauge.utilisation
        server.serve(asked)
        resident_mb[chunk] = process.memory_info().rss / 1e6
    return Soak(server, utilisation, resident_mb)


def assert_spectrum_in_use_is_that_of_the_live_services(setting: Setting, server: LaneServer) -> None:
    """Link by link, and each slot by one service only."""
    world, lane = setting.world, lane_state.view(server.state, 0)
    live = lane.departing[: lane.live[0]]
    assert np.unique(live).size == live.size > 50
    holders = np.zeros((world.link_length_km.size, world.slots), np.int64)
    for service in live:
        path, start = lane.service_path[service], lane.service_start[service]
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
        holders[links, start : start + lane.service_width[service]] += 1
    np.testing.assert_array_equal(holders, lane_state.occupancy(server.state, world))
    assert ((lane.occupied & world.beyond) == world.beyond).all(), "nothing is free above the last slot"


def assert_occupancy_does_not_drift(utilisation: Floats) -> None:
    """The first and the last third agree within their intervals, each of independent parts."""
    third = utilisation.size // 3
    means, halves = [], []
    for part in (utilisation[:third], utilisation[-third:]):
        batches = np.array([batch.mean() for batch in np.array_split(part, min(PARTS, third))])
        means.append(batches.mean())
        halves.append(t_half_width(batches))
    assert 0.2 < means[0] < 0.8
    assert abs(means[0] - means[1]) <= sum(halves), f"{means} ± {halves}"


@pytest.mark.parametrize("heuristic", SHARES)
def test_a_short_soak_loses_no_slot_and_does_not_drift(setting: Setting, heuristic: str) -> None:
    found = soak(setting, heuristic, 200_000 * SHARES[heuristic] // sum(SHARES.values()))
    assert_spectrum_in_use_is_that_of_the_live_services(setting, found.server)
    if found.utilisation.size >= 6:
        assert_occupancy_does_not_drift(found.utilisation)


@pytest.mark.slow
@pytest.mark.parametrize("heuristic", SHARES)
def test_twenty_million_requests_leave_memory_flat_and_every_slot_accounted_for(
    setting: Setting, heuristic: str
) -> None:
    found = soak(setting, heuristic, 20_000_000 * SHARES[heuristic] // sum(SHARES.values()))
    assert_spectrum_in_use_is_that_of_the_live_services(setting, found.server)
    assert_occupancy_does_not_drift(found.utilisation)
    settled = found.resident_mb[found.resident_mb.size // 10]
    assert found.resident_mb[-1] - settled <= 1.0, f"{settled:.1f} MB became {found.resident_mb[-1]:.1f} MB"


def test_a_slot_that_nobody_holds_is_noticed(setting: Setting) -> None:
    found = soak(setting, "ksp-ff", CHUNK)
    found.server.state.occupied[0, 3, 0] ^= np.uint64(1)
    with pytest.raises(AssertionError):
        assert_spectrum_in_use_is_that_of_the_live_services(setting, found.server)


def test_a_network_that_fills_up_is_noticed() -> None:
    noise = np.random.default_rng(1).normal(0, 0.005, 300)
    assert_occupancy_does_not_drift(0.4 + noise)
    with pytest.raises(AssertionError):
        assert_occupancy_does_not_drift(0.4 + noise + np.linspace(0, 0.02, 300))
