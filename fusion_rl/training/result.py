"""What a training run leads to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_rl.training.evaluate import Evaluation


@dataclass(frozen=True)
class RunResult:
    """What a training run led to.

    Attributes:
        run_id, name: in the run log.
        steps_per_second: of learning alone, evaluations in between left out.
        checkpoint: the final one, a file.
        weights_sha256: of the policy's tensors in name order.
        evaluation: the trained policy's, greedy; of several scenarios together, with each in `by_scenario`.
        baselines: the domain's baselines on the same traffic.
        parity_disagreements: requests that VecEnv, single environment and replay decided differently.
        model: address of the stored model.
        learning_curve: (training step, service blocking, half-width) of the evaluations in between.
        training_requests: scenario -> requests of it that were decided in training.
        stopped_early: why training ended before its last step; None: it did not.
    """

    run_id: str
    name: str
    algorithm: str
    timesteps: int
    steps_per_second: float
    checkpoint: Path
    weights_sha256: str
    evaluation: Evaluation
    baselines: dict[str, Evaluation]
    parity_disagreements: int
    model: str
    learning_curve: list[tuple[int, float, float]]
    training_requests: dict[str, int]
    stopped_early: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON types."""
        return {
            "run_id": self.run_id,
            "name": self.name,
            "algorithm": self.algorithm,
            "timesteps": self.timesteps,
            "stopped_early": self.stopped_early,
            "steps_per_second": self.steps_per_second,
            "checkpoint": str(self.checkpoint),
            "weights_sha256": self.weights_sha256,
            "service_blocking": _blocking(self.evaluation),
            "baselines": {name: _blocking(evaluation) for name, evaluation in self.baselines.items()},
            "parity_disagreements": self.parity_disagreements,
            "model": self.model,
            "scenarios": {
                name: {"service_blocking": _blocking(found), "training_requests": self.training_requests[name]}
                for name, found in self.evaluation.by_scenario.items()
            },
            "conditions": self.evaluation.conditions,
        }


def _blocking(evaluation: Evaluation) -> dict[str, float]:
    estimate = evaluation.service_blocking
    return {"mean": estimate.mean, "ci95": estimate.ci95}
