"""Every catalog entry keeps its contract."""

import numpy as np
import pytest

from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.base import BatchSimulator
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.pipelines.batch import Outcome
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, BLOCKED_NO_SPECTRUM
from fusion_rl.domains.optical.rewards import REWARDS
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.testing import tiny
from fusion_rl.testing.contracts import HeuristicContract, ObservationContract, RewardContract
from fusion_rl.testing.simulator_contract import BatchSimulatorContract


@pytest.mark.parametrize("name", HEURISTICS.names())
class TestHeuristics(HeuristicContract):
    pass


# each of FUSION's sets is the one before and a little more: the fast suite compiles the least and the most of them
BETWEEN = {f"obs_{number}" for number in range(2, 8)}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name in BETWEEN))
        for name in OBSERVATIONS
        if not name.startswith("candidates")
    ],
)
class TestObservations(ObservationContract):
    pass


@pytest.mark.parametrize("name", [name for name in OBSERVATIONS if name.startswith("candidates")])
@pytest.mark.parametrize("action", ["candidates:4", "candidates-all:5"])
class TestObservationsOfCandidates(ObservationContract):
    @pytest.fixture(autouse=True)
    def _with_its_codec(self, action: str) -> None:
        self.action = action


@pytest.mark.parametrize("name", REWARDS.names())
class TestRewards(RewardContract):
    pass


@pytest.mark.parametrize("name", ["service"])
class TestRewardWithEveryOption(RewardContract):
    def config(self, name: str) -> RewardConfig:
        return RewardConfig(name=name, success=2.0, block=-0.5, bandwidth_weighted=True, efficiency_weight=0.3)


class TestOpticalSimulator(BatchSimulatorContract):
    def make(self, num_lanes: int, seed: int) -> BatchSimulator:
        return OpticalSimulator(
            tiny.setting(), num_lanes=num_lanes, observation="unified", action="path", reward=RewardConfig(), seed=seed
        )


def test_the_service_reward_of_a_request_can_be_worked_out_by_hand() -> None:
    """50 Gb/s on 1-2-3 take 3 slots on 2 hops: 50 / (3 x 12.5 x 2 x 2 bits/s/Hz), a third of the best there is."""
    world = tiny.setting().world
    outcome = Outcome(
        verdict=np.array([ACCEPTED, ACCEPTED, BLOCKED_NO_SPECTRUM], np.uint8),
        path=np.array([0, 0, -1], np.int32),
        start=np.array([0, 0, -1], np.int32),
        width=np.array([3, 2, 0], np.int32),
        hops=np.array([2, 1, 0], np.int32),
        gbps=np.array([50.0, 25.0, 25.0]),
        groomed_gbps=np.array([0.0, 0.0, 0.0]),
        lightpaths=np.array([1, 1, 0], np.int32),
        slot_hops=np.array([6, 2, 0], np.int32),
        inverse_snr=np.zeros(3),
    )

    def paid(**options: float | bool) -> list[float]:
        config = RewardConfig.model_validate({"success": 1.0, "block": -1.0, **options})
        return [float(value) for value in REWARDS["service"](config, world)(outcome)]

    assert paid() == [1.0, 1.0, -1.0]
    assert paid(bandwidth_weighted=True) == [1.0, 0.5, -0.5]
    assert paid(efficiency_weight=3.0) == pytest.approx([1.0 + 3 * 50 / 150, 1.0 + 3 * 25 / 50, -1.0])


def test_grooming_is_paid_for_and_slicing_paid_by_hand_worked_amounts() -> None:
    world = tiny.setting().world
    outcome = Outcome(  # rides whole; rides half and lights one; is split over three; is blocked
        verdict=np.array([ACCEPTED, ACCEPTED, ACCEPTED, BLOCKED_NO_SPECTRUM], np.uint8),
        path=np.array([-1, 0, -1, -1], np.int32),
        start=np.array([-1, 0, -1, -1], np.int32),
        width=np.array([0, 2, 0, 0], np.int32),
        hops=np.array([0, 1, 0, 0], np.int32),
        gbps=np.array([50.0, 50.0, 50.0, 50.0]),
        groomed_gbps=np.array([50.0, 25.0, 0.0, 0.0]),
        lightpaths=np.array([0, 1, 3, 0], np.int32),
        slot_hops=np.array([0, 2, 6, 0], np.int32),
        inverse_snr=np.zeros(4),
    )
    config = RewardConfig(grooming_bonus=0.5, slicing_penalty=0.25)
    paid = REWARDS["service"](config, world)(outcome)
    assert paid.tolist() == [1.5, 1.25, 0.5, -1.0]
