"""Algorithms of a user's own, known by their names from then on: in configurations, trainings and checkpoints.

In a notebook::

    class LookaheadPPOConfig(MaskablePPOConfig):
        name: Literal["lookahead-ppo"] = "lookahead-ppo"
        share: float = Field(default=0.5, gt=0, le=1, description="how far an update goes")

    class LookaheadPPO(MaskablePPO):
        ...

    register_algorithm(LookaheadPPOConfig, LookaheadPPO, masked=True)

A process that reads a checkpoint of such an algorithm has to register it first.
"""

import sys
from functools import reduce
from operator import or_
from typing import Any, get_args

from fusion_rl.config.agent import AlgorithmCommon
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.errors import ConfigError
from fusion_rl.tracking.sb3_classes import MASKED, SB3_CLASSES

_OURS = frozenset(SB3_CLASSES)


def register_algorithm(settings: type[AlgorithmCommon], algorithm: type[Any], *, masked: bool = False) -> None:
    """Make an algorithm known; one of the same name that a user registered before is replaced.

    Args:
        settings: a model of its settings, with `name: Literal["..."] = "..."`. What it has beside the settings of
            `fusion_rl.config.agent.NetworkAgent` are arguments of the class.
        algorithm: a class with the methods of Stable-Baselines3's, defined in a module or a notebook and not inside a
            function: it is found again by its name.
        masked: whether its `predict` takes `action_masks`.

    Raises:
        ConfigError: the settings have no such name, the name is one of ours, or the class cannot be used.
    """
    name = _name_of(settings)
    if name in _OURS:
        raise ConfigError(f"algorithm '{name}' comes with the package: choose another name")
    missing = [method for method in ("learn", "predict", "save", "load") if not hasattr(algorithm, method)]
    if missing:
        raise ConfigError(f"algorithm '{name}': class {algorithm.__name__} has no method {', '.join(missing)}")
    if getattr(sys.modules.get(algorithm.__module__), algorithm.__qualname__, None) is not algorithm:
        raise ConfigError(f"algorithm '{name}': class {algorithm.__name__} has to stand at the top of its module")
    ALGORITHM_MODELS[name] = settings  # type: ignore[assignment]  # the type knows our own models alone
    SB3_CLASSES[name] = f"{algorithm.__module__}:{algorithm.__qualname__}"
    (MASKED.add if masked else MASKED.discard)(name)
    _let_experiments_choose()


def unregister_algorithm(name: str) -> None:
    """Forget an algorithm that was registered."""
    if name not in _OURS:
        ALGORITHM_MODELS.pop(name, None)
        SB3_CLASSES.pop(name, None)
        MASKED.discard(name)
        _let_experiments_choose()


def _name_of(settings: type[AlgorithmCommon]) -> str:
    field = settings.model_fields["name"]
    if not isinstance(field.default, str) or get_args(field.annotation) != (field.default,):
        raise ConfigError(f'{settings.__name__} has no name of its own: give it name: Literal["mine"] = "mine"')
    return field.default


def _let_experiments_choose() -> None:
    """Have experiments take the settings of every algorithm that is known now."""
    field: Any = ExperimentConfig.model_fields["algorithm"]
    field.annotation = reduce(or_, ALGORITHM_MODELS.values())
    ExperimentConfig.model_rebuild(force=True)
