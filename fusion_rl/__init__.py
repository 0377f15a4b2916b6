"""RL workbench for elastic optical networks: the public names, each loaded when it is first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> the module that defines it. To publish a name, add a line here and one under TYPE_CHECKING.
_HOME = {
    "load_config": ("fusion_rl.config.load", "load"),
    "ExperimentConfig": ("fusion_rl.config.experiment", "ExperimentConfig"),
    "FusionRLError": ("fusion_rl.errors", "FusionRLError"),
    "GeneralSimEnv": ("fusion_rl.envs.legacy", "GeneralSimEnv"),
    "ObservationAdapter": ("fusion_rl.envs.transfer", "ObservationAdapter"),
    "create_environment": ("fusion_rl.envs.old_entry", "create_environment"),
    "create_sim_env": ("fusion_rl.envs.make", "create_sim_env"),
    "train": ("fusion_rl.training.run", "train"),
    "evaluate": ("fusion_rl.training.evaluate", "evaluate"),
}

if TYPE_CHECKING:
    from fusion_rl.config.experiment import ExperimentConfig as ExperimentConfig
    from fusion_rl.config.load import load as load_config
    from fusion_rl.envs.legacy import GeneralSimEnv as GeneralSimEnv
    from fusion_rl.envs.make import create_sim_env as create_sim_env
    from fusion_rl.envs.old_entry import create_environment as create_environment
    from fusion_rl.envs.transfer import ObservationAdapter as ObservationAdapter
    from fusion_rl.errors import FusionRLError as FusionRLError
    from fusion_rl.training.evaluate import evaluate as evaluate
    from fusion_rl.training.run import train as train

__all__ = [
    "ExperimentConfig",
    "FusionRLError",
    "GeneralSimEnv",
    "ObservationAdapter",
    "__version__",
    "create_environment",
    "create_sim_env",
    "evaluate",
    "load_config",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that `import fusion_rl` loads nothing heavy."""
    if name not in _HOME:
        raise AttributeError(f"module 'fusion_rl' has no attribute '{name}'")
    module, attribute = _HOME[name]
    globals()[name] = value = getattr(import_module(module), attribute)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
