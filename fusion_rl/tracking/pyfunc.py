"""A trained policy as MLflow sees it: a function from observations to actions, holding an SB3 zip.

The zip is unpickled by SB3's ``load``: a model from a stranger runs the stranger's code. Each call stands by itself:
a recurrent policy remembers nothing from one to the next. It can be given what it has to remember: with the parameter
``consecutive`` the observations of one call are those of consecutive requests, oldest first, and the last action is
the decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.models import ModelSignature
from mlflow.pyfunc.model import PythonModel, PythonModelContext
from mlflow.types.schema import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import Example
from fusion_rl.tracking.sb3_classes import MASKED, RECURRENT, load_zip

if TYPE_CHECKING:
    from gymnasium import Space
    from stable_baselines3.common.base_class import BaseAlgorithm

CHECKPOINT = "checkpoint"  # the zip's name among the model's artifacts
ALGORITHM = "algorithm"  # the model_config entry that says which class reads it


class SB3Policy(PythonModel):
    """Loads the zip among the artifacts with the class of the algorithm named in the model's config."""

    def load_context(self, context: PythonModelContext) -> None:
        self._algorithm = str(context.model_config[ALGORITHM])
        self._policy: BaseAlgorithm = load_zip(self._algorithm, context.artifacts[CHECKPOINT])

    # MLflow reads the annotation of model_input; of arrays and dicts of arrays it can only be told the former
    def predict(
        self, context: PythonModelContext, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> np.ndarray:
        """Actions for a batch of observations.

        Args:
            context: MLflow's; not used after loading.
            model_input: an array [n, ...], or a dict of arrays where the policy has dict observations.
            params: ``action_masks``, booleans [n x actions] row after row (a parameter of MLflow is flat;
                empty means that everything is allowed), for a masked algorithm;
                ``deterministic``, false to sample from the policy;
                ``consecutive``, true where the observations follow one another, for a recurrent algorithm.

        Returns:
            Actions, int64 [n].

        Raises:
            TrackingError: masks for an algorithm that has none, of the wrong size, or without a legal action.
        """
        chosen = params or {}
        arguments: dict[str, Any] = {"deterministic": bool(chosen.get("deterministic", True))}
        flat_masks = np.asarray(chosen.get("action_masks", ()), dtype=bool)
        if flat_masks.size:
            arguments["action_masks"] = self._masks(flat_masks, lanes=_lanes(model_input))
        if chosen.get("consecutive", False):
            return self._follow(model_input, arguments)
        actions, _ = self._policy.predict(model_input, **arguments)
        return np.asarray(actions, dtype=np.int64)

    def _follow(self, model_input: np.ndarray | dict[str, np.ndarray], arguments: dict[str, Any]) -> np.ndarray:
        """Actions for consecutive observations of one network, each decided with the memory of those before."""
        state, actions = None, []
        for i in range(_lanes(model_input)):
            now = slice(i, i + 1)
            one = {k: v[now] for k, v in model_input.items()} if isinstance(model_input, dict) else model_input[now]
            action, state = self._policy.predict(one, state=state, episode_start=np.array([i == 0]), **arguments)
            actions.append(action)
        return np.asarray(actions, dtype=np.int64).reshape(-1)

    def _masks(self, flat_masks: np.ndarray, lanes: int) -> np.ndarray:
        """Masks [n, actions] from a flat list."""
        if self._algorithm not in MASKED:
            raise TrackingError(
                f"a {self._algorithm} policy takes no action_masks; only {', '.join(sorted(MASKED))} does"
            )
        actions = int(self._policy.action_space.n)  # type: ignore[attr-defined]  # Discrete, as masking asks
        if flat_masks.size != lanes * actions:
            raise TrackingError(
                f"action_masks has {flat_masks.size} values; "
                f"{lanes} observations with {actions} actions need {lanes * actions}"
            )
        masks = flat_masks.reshape(lanes, actions)
        if not masks.any(axis=1).all():
            row = int(np.flatnonzero(~masks.any(axis=1))[0])
            raise TrackingError(f"action_masks allows no action for observation {row}")
        return masks


def signature_of(policy: BaseAlgorithm, algorithm: str) -> ModelSignature:
    """What the model takes and gives, from the policy's own spaces."""
    spaces = getattr(policy.observation_space, "spaces", None)
    inputs: list[ColSpec | TensorSpec] = (
        [_tensor(space, name) for name, space in spaces.items()]
        if isinstance(spaces, Mapping)
        else [_tensor(policy.observation_space)]
    )
    parameters = [ParamSpec("deterministic", DataType.boolean, default=True)]
    if algorithm in MASKED:
        parameters.append(ParamSpec("action_masks", DataType.boolean, default=[], shape=(-1,)))
    if algorithm in RECURRENT:
        parameters.append(ParamSpec("consecutive", DataType.boolean, default=False))
    return ModelSignature(
        inputs=Schema(inputs),
        outputs=Schema([TensorSpec(np.dtype(np.int64), (-1,))]),
        params=ParamSchema(parameters),
    )


def input_example(example: Example) -> tuple[Any, dict[str, Any]] | Any:
    """A request as MLflow shows it with the model: observations, and the parameters that go with them."""
    if example.masks is None:
        return example.observations
    return example.observations, {"action_masks": np.asarray(example.masks, dtype=bool).ravel()}


def zeros_for(policy: BaseAlgorithm) -> np.ndarray | dict[str, np.ndarray]:
    """One observation of zeros, where no real one is at hand."""
    spaces = getattr(policy.observation_space, "spaces", None)
    if isinstance(spaces, Mapping):
        return {name: np.zeros((1, *space.shape), space.dtype) for name, space in spaces.items()}
    space = policy.observation_space
    return np.zeros((1, *(space.shape or ())), space.dtype)


def _tensor(space: Space[Any], name: str | None = None) -> TensorSpec:
    return TensorSpec(np.dtype(space.dtype), (-1, *(space.shape or ())), name)


def _lanes(observations: np.ndarray | Mapping[str, np.ndarray]) -> int:
    one = next(iter(observations.values())) if isinstance(observations, Mapping) else observations
    return len(one)
