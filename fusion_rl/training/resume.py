"""All that a training must hold to go on as if it had never stopped, as a tree of plain data, and back.

Taken between updates, where a rollout buffer is empty and the lanes are not in the middle of a step. An agent that
keeps more than parameters, counters and a replay buffer, as a table or its own generator, has `state_dict()` and
`load_state_dict(state)`, as torch's modules have; so has a callback that remembers something.
"""

import random
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from fusion_rl.domains.base import Domain
from fusion_rl.errors import CheckpointError

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.callbacks import BaseCallback

    from fusion_rl.envs.vector import OpticalVecEnv

Tree = dict[str, Any]

REPLAY_BUFFER = "replay_buffer"  # the branch that may be left out, and that is worth compressing

_REMEMBERED = ("_last_obs", "_last_episode_starts", "_last_original_obs", "_last_lstm_states")
_EPISODES = ("ep_info_buffer", "ep_success_buffer")
_OF_THIS_PROCESS = frozenset({"start_time", "verbose", "_custom_logger"})


@runtime_checkable
class Stateful(Protocol):
    """An agent or a callback with a memory of its own."""

    def state_dict(self) -> Mapping[str, Any]:
        """What it remembers: dicts, lists, arrays, tensors, numbers, text and None."""

    def load_state_dict(self, state: Mapping[str, Any]) -> object:
        """Remember this instead."""


def capture(
    agent: "BaseAlgorithm",
    env: "OpticalVecEnv",
    domain: Domain,
    callbacks: "Iterable[BaseCallback]" = (),
    *,
    replay_buffer: bool = True,
) -> Tree:
    """The state of a training between two updates.

    Args:
        agent: what learns.
        env: its lanes.
        domain: whose lanes these are.
        callbacks: those that are `Stateful` are kept by their class and place.
        replay_buffer: keep it. Without, a training that is resumed has to fill it again, and is another one.
    """
    return {
        "parameters": agent.get_parameters(),
        "counters": _counters(agent),
        "remembered": {name: getattr(agent, name) for name in _REMEMBERED if getattr(agent, name, None) is not None},
        "episodes": {name: list(getattr(agent, name, None) or ()) for name in _EPISODES},
        "own": agent.state_dict() if isinstance(agent, Stateful) else None,
        REPLAY_BUFFER: _replay(agent) if replay_buffer else None,
        "logged": _pending(agent),
        "random": capture_random() | {"actions": agent.action_space.np_random.bit_generator.state},
        "lanes": domain.snapshot(env.simulator),
        "lane_episodes": env.episodes(),
        "callbacks": {name: callback.state_dict() for name, callback in _stateful(callbacks)},
    }


def restore(
    agent: "BaseAlgorithm",
    env: "OpticalVecEnv",
    domain: Domain,
    tree: Tree,
    callbacks: "Iterable[BaseCallback]" = (),
) -> None:
    """Put a fresh training of the same configuration to where `capture` found one; `learn` then goes on from there.

    Raises:
        CheckpointError: the training is not of the configuration that the tree was captured from.
    """
    try:
        restore_agent(agent, tree)
        if tree[REPLAY_BUFFER] is not None:
            _refill(agent, tree[REPLAY_BUFFER])
        domain.restore(env.simulator, tree["lanes"])
    except (ValueError, KeyError, RuntimeError, TypeError, AttributeError) as error:
        raise CheckpointError(f"the checkpoint does not fit this training: {error}") from error
    env.go_on(tree["lane_episodes"])
    for name, callback in _stateful(callbacks):
        if name in tree["callbacks"]:
            callback.load_state_dict(tree["callbacks"][name])
    agent.action_space.np_random.bit_generator.state = tree["random"]["actions"]
    restore_random(tree["random"])  # last: nothing after it may draw


def restore_agent(agent: "BaseAlgorithm", tree: Tree) -> None:
    """The part of `restore` that makes the agent decide, and count, as the one that was captured."""
    from collections import deque

    agent.set_parameters(tree["parameters"], exact_match=True, device=agent.device)
    for name, value in tree["counters"].items():
        setattr(agent, name, value)
    for name, value in tree["remembered"].items():
        setattr(agent, name, _like(getattr(agent, name, None), value, agent.device))
    for name, entries in tree["episodes"].items():
        setattr(agent, name, deque(entries, maxlen=agent._stats_window_size))
    if isinstance(agent, Stateful):
        agent.load_state_dict(tree["own"])


def go_on_logging(agent: "BaseAlgorithm", tree: Tree) -> None:
    """Put back what an agent had recorded and not yet logged, once it has its logger."""
    logger = agent.logger
    for name, kept in tree["logged"].items():
        getattr(logger, name).update(kept)


def capture_random() -> Tree:
    """The state of the generators that everybody shares: Python's, numpy's and torch's."""
    import torch

    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(legacy=True),  # noqa: NPY002  # Stable-Baselines3 draws from it
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def restore_random(kept: Tree) -> None:
    """Let the shared generators go on from a captured state."""
    import torch

    random.setstate(kept["python"])
    np.random.set_state(kept["numpy"])  # noqa: NPY002
    torch.set_rng_state(kept["torch"])
    if kept["cuda"] and torch.cuda.device_count() == len(kept["cuda"]):
        torch.cuda.set_rng_state_all(kept["cuda"])


def _counters(agent: "BaseAlgorithm") -> Tree:
    """Every attribute that is a number: steps, updates, episodes, progress, exploration rate, and settings."""
    return {
        name: value
        for name, value in vars(agent).items()
        if isinstance(value, bool | int | float | np.number) and name not in _OF_THIS_PROCESS
    }


def _pending(agent: "BaseAlgorithm") -> Tree:
    logger = getattr(agent, "_logger", None)
    names = ("name_to_value", "name_to_count", "name_to_excluded")
    return {} if logger is None else {name: dict(getattr(logger, name)) for name in names}


def _replay(agent: "BaseAlgorithm") -> Tree | None:
    """The filled part of a replay buffer: its arrays, cut to what is in use, and its numbers."""
    buffer = getattr(agent, REPLAY_BUFFER, None)
    if buffer is None:
        return None
    # one row more: with optimize_memory_usage the observation that follows the last lies there
    rows = buffer.buffer_size if buffer.full else min(buffer.pos + 1, buffer.buffer_size)
    kept: Tree = {"arrays": {}, "pos": buffer.pos, "full": buffer.full}
    for name, value in vars(buffer).items():
        if isinstance(value, np.ndarray):
            kept["arrays"][name] = value[:rows]
        elif isinstance(value, dict) and value and all(isinstance(part, np.ndarray) for part in value.values()):
            kept["arrays"][name] = {key: part[:rows] for key, part in value.items()}
    return kept


def _refill(agent: "BaseAlgorithm", kept: Tree) -> None:
    buffer = getattr(agent, REPLAY_BUFFER)
    for name, value in kept["arrays"].items():
        parts = value.items() if isinstance(value, dict) else [(None, value)]
        for key, rows in parts:
            target = getattr(buffer, name)
            (target if key is None else target[key])[: len(rows)] = rows
    buffer.pos, buffer.full = kept["pos"], kept["full"]


def _like(current: Any, value: Any, device: Any) -> Any:
    """The value in the types of the one that it replaces: a named tuple again, tensors on the device."""
    if isinstance(value, tuple):
        parts = [_like(None, part, device) for part in value]
        return type(current)(*parts) if hasattr(current, "_fields") else tuple(parts)
    return value.to(device) if hasattr(value, "to") else value


def _stateful(callbacks: "Iterable[BaseCallback]") -> list[tuple[str, Stateful]]:
    return [(f"{i} {type(one).__name__}", one) for i, one in enumerate(callbacks) if isinstance(one, Stateful)]
