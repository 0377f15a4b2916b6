"""A 4-node world that a person can check by hand.

::

    1 --100-- 2      8 slots of 12.5 GHz on each link and direction, 1 of them the guard of each service
    | \\       |      2 bits/s/Hz up to 500 km, 1 beyond
   400  500  200     2 paths of each pair, by km: for 1 -> 3 they are 1-2-3 (300 km) and 1-3 (500 km)
    |     \\   |      half the requests are for 25 Gb/s (2 slots up to 500 km, 3 beyond),
    4 --300-- 3      half for 50 Gb/s (3 slots up to 500 km, 5 beyond)
"""

from importlib import resources
from typing import Any

from fusion_rl.config.network import Format, NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig, WeightedBandwidth
from fusion_rl.domains.optical.setting import Setting, prepare

TOPOLOGY_FILE = str(resources.files("fusion_rl.testing") / "tiny.csv")

NETWORK = NetworkConfig(
    topology=TOPOLOGY_FILE,
    links="directed",
    slots=8,
    guard_slots=1,
    reach_table=(Format(bits_per_s_per_hz=2.0, reach_km=500.0), Format(bits_per_s_per_hz=1.0)),
    k_paths=2,
    path_order="km",
)

SCENARIO = ScenarioConfig(
    name="tiny",
    load_erlang=20.0,
    mean_holding_time=10.0,
    bandwidth=WeightedBandwidth(values_gbps=(25.0, 50.0), weights=(1.0, 1.0)),
    requests_per_episode=100,
    warmup_requests=20,
)


def setting(**network: Any) -> Setting:
    """The tiny world, ready to simulate; network settings that are given replace its own."""
    return prepare(NetworkConfig.model_validate(NETWORK.model_dump() | network), [SCENARIO])
