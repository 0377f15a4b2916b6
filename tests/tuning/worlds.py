"""Small studies on the tiny world."""

from typing import Any

from fusion_rl.testing import tiny
from fusion_rl.tuning.definition import StudyDefinition, make_definition

EXPERIMENT: dict[str, Any] = {
    "network": tiny.NETWORK.model_dump(mode="json"),
    "scenarios": [tiny.SCENARIO.model_dump(mode="json")],
    "algorithm": {"name": "maskable-ppo", "net_arch": [8], "n_steps": 16, "batch_size": 32, "n_epochs": 2},
    "execution": {"lanes": 4, "eval_requests": 200, "eval_lanes": 2, "final_requests": 400, "final_lanes": 8}
    | {"sanity_checks": False},
}


def study_of(name: str = "tiny", **values: Any) -> StudyDefinition:
    """A study of seconds; what is given replaces its own."""
    said: dict[str, Any] = {
        "name": name,
        "question": "How fast shall it learn?",
        "experiment": EXPERIMENT,
        "search": ["algorithm.learning_rate", {"algorithm.gamma": {"low": 0.5, "high": 0.99}}],
        "pruner": "none",
        "budget": {"trials": 2, "timesteps": 640},
    }
    return make_definition({**said, **values})
