"""The tiny world as an experiment, with its requests written down."""

from pathlib import Path
from typing import Any

from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.testing import tiny
from tests.agents.worlds import settings_of


def experiment(trace: Path | None = None, algorithm: str = "maskable-ppo", **scenario: Any) -> ExperimentConfig:
    """The tiny world; with a trace, its requests and no warm-up."""
    changed = {"trace": str(trace), "warmup_requests": 0} if trace else {}
    scenarios = ScenariosConfig((tiny.SCENARIO.model_copy(update=changed | scenario),))
    return ExperimentConfig(
        name="tiny",
        network=tiny.NETWORK,
        scenarios=scenarios,
        algorithm=settings_of(algorithm),
        execution=ExecutionConfig(lanes=4),
    )


def trace_of(folder: Path, *requests: tuple[float, float, str, str, float]) -> Path:
    """A trace file of requests: arrival, holding, source, destination, Gb/s."""
    rows = [",".join(map(str, request)) for request in requests]
    path = folder / "requests.csv"
    path.write_text("\n".join(["arrival_time,holding_time,source,destination,bandwidth_gbps", *rows]) + "\n")
    return path
