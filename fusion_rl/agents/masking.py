"""Action masks for agents that learn what actions are worth: where they come from, and exploring within them.

A request that no action can serve is lost whatever is done, but an agent must do something, so its mask leaves an
action. To agents that act, that is all. One that learns would find the loss in the value of that action, which was
not to blame, and would soon shun it where it could serve. So they learn from `choices`, whose row is empty there.

Random numbers come from numpy's global generator: it is the one that Stable-Baselines3 seeds and draws from.
"""

from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from fusion_rl.arrays import AnyArray, Bools, Floats, Ints64
from fusion_rl.errors import PolicyError


def masks_of(env: VecEnv | None) -> Bools:
    """Actions that each lane may take now, [B, A]; at least one.

    Raises:
        PolicyError: the environment does not say.
    """
    if env is None or not env.has_attr("action_masks"):
        raise PolicyError("a masked agent learns on environments with action_masks, as OpticalVecEnv: this has none")
    return np.stack(env.env_method("action_masks")).astype(np.bool_)


def choices_of(env: VecEnv | None) -> Bools:
    """Actions that each lane can serve now, [B, A]; none where the request is lost whatever is done.

    A foreign environment that does not tell the two apart is believed its masks.
    """
    if env is None or not env.has_attr("choices"):
        return masks_of(env)
    return np.stack(env.env_method("choices")).astype(np.bool_)


def choices_after(env: VecEnv | None, dones: AnyArray, infos: list[dict[str, Any]]) -> Bools:
    """Choices that a step led to, [B, A]; of ended lanes those of the terminal observation.

    The environment has reset an ended lane already, so its `terminal_choices` count; without them, as from a
    foreign environment, everything is allowed.
    """
    choices = choices_of(env)
    for lane in np.flatnonzero(dones):
        choices[lane] = infos[lane].get("terminal_choices", True)
    return choices


def some(choices: Bools) -> Bools:
    """Lanes with a choice, [B]: an action decides their request."""
    return np.asarray(choices.any(axis=1))


def best_allowed(values: AnyArray, masks: Bools) -> Ints64:
    """The most valuable allowed action of each lane, the lowest of equals, [B]."""
    return np.asarray(np.where(masks, values, -np.inf).argmax(axis=1), np.int64)


def random_allowed(masks: Bools) -> Ints64:
    """One of the allowed actions of each lane, all equally likely, [B]."""
    return best_allowed(_uniform(*masks.shape), masks)


def epsilon_greedy(best: Ints64, masks: Bools, rate: float) -> Ints64:
    """The best action of most lanes, and a random allowed one of about `rate` of them, [B]."""
    exploring = _uniform(len(masks)) < rate
    return np.where(exploring, random_allowed(masks), best)


def _uniform(*shape: int) -> Floats:
    return np.random.random_sample(shape)  # noqa: NPY002  # see the module's docstring
