"""Plans over the tiny world that tests carry out."""

from pathlib import Path
from typing import Any

import yaml

from fusion_rl.testing import tiny

EXPERIMENT: dict[str, Any] = {
    "network": tiny.NETWORK.model_dump(mode="json"),
    "scenarios": [tiny.SCENARIO.model_dump(mode="json")],
    "algorithm": {"name": "maskable-ppo", "n_steps": 32, "batch_size": 64, "n_epochs": 1, "net_arch": [8]},
    "execution": {
        "lanes": 2, "timesteps": 256, "progress": False, "eval_every": 128, "checkpoint_every": 64, "eval_requests": 80,
        "eval_lanes": 2, "final_requests": 400, "final_lanes": 4, "register_model": False, "sanity_checks": False,
    },
}  # fmt: skip


def write(folder: Path, steps: dict[str, Any], **more: Any) -> Path:
    """A plan in a file, beside the experiment tiny.yaml and the busier scenario busy.yaml that it may name."""
    (folder / "tiny.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    busy = tiny.SCENARIO.model_dump(mode="json") | {"name": "busy", "load_erlang": 40.0}
    (folder / "busy.yaml").write_text(yaml.safe_dump(busy))
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({"name": "any", "tracking_dir": str(folder / "mlruns"), "steps": steps, **more}))
    return path
