"""Speeds that are promised. Measured with `pytest -m benchmark` on an otherwise idle machine."""

from typing import Any

import pytest

from fusion_rl.analysis.benchmarks import FULL, Measurement, run

pytestmark = pytest.mark.benchmark


def measured(name: str) -> dict[str, Measurement]:
    return {measurement.name: measurement for measurement in run([name], FULL)}


def test_ksp_ff_serves_four_million_requests_a_second(benchmark: Any) -> None:
    found = benchmark.pedantic(measured, args=("rollout",), rounds=1)
    assert found["rollout ksp-ff K=5"].value >= 4_000_000


def test_the_batched_environment_makes_700_000_steps_a_second(benchmark: Any) -> None:
    found = benchmark.pedantic(measured, args=("batched-env",), rounds=1)
    assert found["batched env"].value >= 700_000


def test_training_comes_near_its_speed_on_a_free_environment(benchmark: Any) -> None:
    found = benchmark.pedantic(measured, args=("maskable-ppo",), rounds=1)
    assert found["MaskablePPO / free environment"].value >= 0.8


def test_memory_is_flat_over_ten_million_requests(benchmark: Any) -> None:
    found = benchmark.pedantic(measured, args=("memory",), rounds=1)
    assert found["memory growth"].value <= 1.0


def test_importing_and_help_do_not_keep_anyone_waiting(benchmark: Any) -> None:
    found = benchmark.pedantic(measured, args=("start-up",), rounds=1)
    assert found["import fusion_rl"].value < 0.3
    assert found["fusion-rl --help"].value < 0.7
