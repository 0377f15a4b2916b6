"""Published steady-state blocking, met with the candidate paths that it was published for.

DeepRMSA's benchmark on NSFNET: 44 directed links of 100 slots of 12.5 GHz, uniform integers 25..100 Gb/s, 1 guard
slot, exponential holding times redrawn at 2 x their mean. Figures: XLRON 1.1.0 (M. Doherty and A. Beghelli), mean and
half-width of its 95 % interval. The means for 190, 210, 230 and 270 Erlang have three digits and no interval.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.metrics import Estimate
from fusion_rl.domains.optical.setting import prepare
from fusion_rl.parity import candidates

FORMATS = [
    {"bits_per_s_per_hz": 4, "reach_km": 625},
    {"bits_per_s_per_hz": 3, "reach_km": 1250},
    {"bits_per_s_per_hz": 2, "reach_km": 2500},
    {"bits_per_s_per_hz": 1},
]
PathsFile = Callable[[int, str], Path]


@pytest.fixture
def paths_file(tmp_path: Path) -> PathsFile:
    """Writes the candidates of XLRON as the file that `network.paths_file` names."""

    def write(k_paths: int, order: str) -> Path:
        file = tmp_path / f"k{k_paths}-{order}.csv"
        candidates.write(candidates.xlron_table(k_paths, order), file)
        return file

    return write


def blocking(
    load_erlang: float, heuristic: str, k_paths: int, order: str, file: Path | None, requests: int = 1_000_000
) -> Estimate:
    """Service blocking in steady state."""
    network = NetworkConfig.model_validate(
        {
            "topology": "nsfnet",
            "links": "directed",
            "slots": 100,
            "guard_slots": 1,
            "reach_table": FORMATS,
            "k_paths": k_paths,
            "path_order": order,
            "paths_file": None if file is None else str(file),
        }
    )
    scenario = ScenarioConfig.model_validate(
        {
            "name": "deeprmsa",
            "load_erlang": load_erlang,
            "holding_truncation": "redraw-at-2x-mean",
            "bandwidth": {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100},
        }
    )
    setting = prepare(network, [scenario])
    result = rollout.run(setting, HEURISTICS[heuristic], requests=requests, lanes=20, seed=1, warmup_requests=4000)
    return result.tally.service_blocking


@pytest.mark.parametrize(
    ("heuristic", "k_paths", "order", "published", "half_width"),
    [
        ("ksp-ff", 5, "hops-per-se", 0.0255, 0.0008),
        ("ksp-ff", 5, "hops", 0.0302, 0.0015),
        ("ksp-ff", 5, "km", 0.0492, 0.0020),
        ("ff-ksp", 5, "hops-per-se", 0.0343, 0.0010),
        ("ksp-ff", 50, "hops-per-se", 0.0205, 0.0008),
    ],
)
def test_blocking_at_250_erlang_is_as_published(
    paths_file: PathsFile, heuristic: str, k_paths: int, order: str, published: float, half_width: float
) -> None:
    found = blocking(250.0, heuristic, k_paths, order, paths_file(k_paths, order))
    assert found.ci95 < 0.05 * published, "our interval is narrow enough to tell the settings apart"
    assert abs(found.mean - published) < half_width + found.ci95, f"{found} is not {published} ± {half_width}"


@pytest.mark.parametrize(
    ("load_erlang", "published"), [(190.0, 0.00212), (210.0, 0.00624), (230.0, 0.0140), (270.0, 0.0393)]
)
def test_blocking_at_other_loads_is_as_published(paths_file: PathsFile, load_erlang: float, published: float) -> None:
    """No interval was published: 6 % is allowed beside our own."""
    found = blocking(load_erlang, "ksp-ff", 5, "hops-per-se", paths_file(5, "hops-per-se"))
    assert abs(found.mean - published) < found.ci95 + 0.06 * published, f"{found} is not {published}"


@pytest.mark.parametrize(
    ("k_paths", "order", "published"),
    [(5, "hops-per-se", 0.0255), (5, "hops", 0.0302), (5, "km", 0.0492), (50, "hops-per-se", 0.0205)],
)
def test_our_own_candidates_block_within_6_percent_of_it(k_paths: int, order: str, published: float) -> None:
    found = blocking(250.0, "ksp-ff", k_paths, order, file=None)
    assert abs(found.mean - published) < 0.06 * published, f"{found} is not within 6 % of {published}"


@pytest.mark.parametrize(("k_paths", "orders"), [(5, {"km", "hops", "hops-per-se"}), (50, {"hops-per-se"})])
def test_the_published_candidates_are_complete(k_paths: int, orders: set[str]) -> None:
    tables = candidates.xlron_orders(k_paths)
    assert set(tables) == orders
    pairs = {f"{source}>{target}" for source in range(1, 15) for target in range(1, 15) if source != target}
    for table in tables.values():
        assert set(table) == pairs
        assert {len(set(paths)) for paths in table.values()} == {k_paths}
