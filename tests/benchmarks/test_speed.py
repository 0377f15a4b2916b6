"""Every benchmark runs and says what it measured; no test asks how fast (`fusion-rl bench` shows the targets)."""

import pytest

from fusion_rl.analysis.benchmarks import BENCHMARKS, QUICK, run

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("name", BENCHMARKS.names())
def test_a_benchmark_says_what_it_measured(name: str) -> None:
    found = run([name], QUICK)
    assert found
    for one in found:
        told = one.conditions
        assert told["benchmark"] == name
        assert told["min"] <= one.value <= told["max"]
        assert told["repetitions"] > 0
        assert told["timed"]


def test_memory_is_flat_while_requests_are_served() -> None:
    [growth] = run(["memory"], QUICK)
    assert growth.value <= 1.0
