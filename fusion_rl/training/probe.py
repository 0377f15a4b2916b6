"""What lanes show while somebody decides at random, the wrong way as well as the right: material for sanity checks."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Bools, Floats, Ints64
from fusion_rl.domains.base import BatchSimulator
from fusion_rl.envs.vector import OpticalVecEnv

_MASKED_SHARE = 0.3  # of the decisions: a masked action, to see that it is not served
_PLANS = 3_000  # at most so many actions are looked at one by one, whatever the size of the action space
_NONE = -1  # start of an action that stands for no decision


@dataclass
class Probe:
    """What was seen. Of each thing that must not happen the first time is told, and None where it did not.

    Attributes:
        rows: observations, flattened, [requests, entries].
        rewards: [requests].
        served: whether each request was, [requests].
        outside: an observation that its space does not contain.
        collision: two actions that can both be served and mean the same.
        misread: an action that was carried out as another decision than it stands for.
        refused: an action that the mask allowed, and that was not served.
        hidden: an action that the mask forbade, and that was or would have been served.
        nothing_allowed: a mask without any action.
        actions_allowed: actions that a mask allowed at least once, [A].
        actions_tried: actions that were carried out and served, [A].
    """

    rows: Floats
    rewards: Floats
    served: Bools
    actions_allowed: Bools
    actions_tried: Bools
    outside: str | None = None
    collision: str | None = None
    misread: str | None = None
    refused: str | None = None
    hidden: str | None = None
    nothing_allowed: str | None = None
    entries: list[str] = field(default_factory=list)

    def note(self, what: str, found: str | None) -> None:
        """Keep what was found, if it is the first of its kind."""
        if found is not None and getattr(self, what) is None:
            setattr(self, what, found)


def probe(env: OpticalVecEnv, steps: int, seed: int) -> Probe:
    """Decide at random for some steps of all lanes, and write down what happens."""
    simulator, chooser = env.simulator, np.random.default_rng(seed)
    observations: Any = env.reset()
    size = steps * env.num_envs
    seen = Probe(
        rows=np.zeros((size, rows_of(observations).shape[1])),
        rewards=np.zeros(size),
        served=np.zeros(size, np.bool_),
        actions_allowed=np.zeros(simulator.action_space.n, np.bool_),
        actions_tried=np.zeros(simulator.action_space.n, np.bool_),
        entries=entries_of(observations),
    )
    plans_left = _PLANS
    for t in range(steps):
        at = slice(t * env.num_envs, (t + 1) * env.num_envs)
        seen.rows[at] = rows_of(observations)
        seen.note("outside", _outside(env.observation_space, observations, env.num_envs))
        masks = env.action_masks()
        seen.actions_allowed |= masks.any(axis=0)
        empty = np.flatnonzero(~masks.any(axis=1))
        seen.note("nothing_allowed", f"the mask of lane {empty[0]} allows no action" if empty.size else None)
        if plans_left > 0:
            plans_left -= masks.size
            for b in range(env.num_envs):
                _compare_plans(seen, simulator, b, masks[b])
        actions = _choose(masks, chooser)
        planned = [simulator.plan(b, int(action)) for b, action in enumerate(actions)]
        is_decided = _is_decided(simulator, masks)
        observations, seen.rewards[at], _, _ = env.step(actions)
        seen.served[at] = env.outcome.verdict == 0
        _compare_outcome(seen, env.outcome, actions, masks, planned, is_decided)
        allowed = masks[np.arange(env.num_envs), actions]
        seen.actions_tried[actions[allowed & seen.served[at]]] = True
    return seen


def rows_of(observations: AnyArray | dict[str, AnyArray]) -> Floats:
    """Observations of all lanes as rows, [B, entries]."""
    parts = observations.values() if isinstance(observations, dict) else [observations]
    return np.concatenate([np.reshape(part, (len(part), -1)) for part in parts], axis=1).astype(np.float64)


def entries_of(observations: AnyArray | dict[str, AnyArray]) -> list[str]:
    """What the entries of a row are called."""
    if not isinstance(observations, dict):
        return [f"entry {i}" for i in range(observations[0].size)]
    return [f"{name}[{i}]" for name, part in observations.items() for i in range(part[0].size)]


def _choose(masks: Bools, chooser: np.random.Generator) -> Ints64:
    """An allowed action of most lanes and a masked one of some, where there is one."""
    wrong = (chooser.random(len(masks)) < _MASKED_SHARE) & ~masks.all(axis=1)
    allowed = np.where(wrong[:, None], ~masks, masks)
    return np.asarray(np.where(allowed, chooser.random(masks.shape), -1.0).argmax(axis=1), np.int64)


def _is_decided(simulator: BatchSimulator, masks: Bools) -> Bools:
    """Lanes whose request depends on the action: not where it needs none, and not where nothing can be served."""
    first = masks.argmax(axis=1)
    return np.array([simulator.plan(b, int(action))[1] != _NONE for b, action in enumerate(first)], np.bool_)


def _compare_plans(seen: Probe, simulator: BatchSimulator, b: int, mask: Bools) -> None:
    plans = [simulator.plan(b, action) for action in range(mask.size)]
    meant: dict[tuple[int, int], int] = {}
    if not any(plans[action][1] != _NONE for action in np.flatnonzero(mask)):
        hidden = next((action for action, plan in enumerate(plans) if plan[1] != _NONE and not mask[action]), None)
        seen.note("hidden", None if hidden is None else f"action {hidden} could be served, and the mask forbids it")
        return
    for action in np.flatnonzero(mask).tolist():
        if plans[action][1] != _NONE and plans[action] in meant:
            seen.note("collision", f"actions {meant[plans[action]]} and {action} both mean {_told(plans[action])}")
        meant.setdefault(plans[action], action)


def _compare_outcome(
    seen: Probe, outcome: Any, actions: Ints64, masks: Bools, planned: Sequence[tuple[int, int]], is_decided: Bools
) -> None:
    for b, action in enumerate(actions.tolist()):
        is_served = outcome.verdict[b] == 0
        done = (int(outcome.path[b]), int(outcome.start[b]))
        if is_served and done[1] != _NONE and planned[b][1] != _NONE and done != planned[b]:
            seen.note("misread", f"action {action} means {_told(planned[b])} and was carried out as {_told(done)}")
        if not is_decided[b]:
            continue
        if masks[b, action] and not is_served:
            seen.note("refused", f"action {action} was allowed, and the request was blocked")
        if not masks[b, action] and is_served:
            seen.note("hidden", f"action {action} was served, though the mask forbids it")


def _told(plan: tuple[int, int]) -> str:
    return f"candidate path {plan[0]} from slot {plan[1]}"


def _outside(space: spaces.Space[Any], observations: Any, lanes: int) -> str | None:
    """The first entry of an observation that its space does not contain."""
    for b in range(lanes):
        own = {name: part[b] for name, part in observations.items()} if isinstance(observations, dict) else None
        if not space.contains(observations[b] if own is None else own):
            parts = own.items() if own is not None else [("", observations[b])]
            for name, values in parts:
                told = _outside_box(space[name] if name else space, name, values)  # type: ignore[index]
                if told is not None:
                    return told
            return f"lane {b} shows what is not in {space}"
    return None


def _outside_box(box: Any, name: str, values: AnyArray) -> str | None:
    called = f"{name}[{{}}]" if name else "entry {}"
    if values.shape != box.shape or values.dtype != box.dtype:
        return f"{name or 'it'} is {values.dtype} {values.shape} where {box.dtype} {box.shape} is promised"
    bad = np.flatnonzero(~np.isfinite(values) | (values < box.low) | (values > box.high))
    if not bad.size:
        return None
    i = int(bad[0])
    limits = f"{box.low.ravel()[i]:g} .. {box.high.ravel()[i]:g}"
    return f"{called.format(i)} is {values.ravel()[i]:g}, outside {limits}"
