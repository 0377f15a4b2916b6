"""What is checked before a training, one function a check: it looks at a subject and says what it saw.

A check gives its verdict, what was seen, and the likely cause where something is wrong.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.errors import TrafficError
from fusion_rl.training.probe import Probe, probe, rows_of

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

    from fusion_rl.envs.vector import OpticalVecEnv

_LANES = 4
_REQUESTS = 800  # that are decided at random, over all lanes
_COMPARED_STEPS = 40
_TRAFFIC_REQUESTS = 2_000  # of each scenario, over all lanes
_IDLE_UTILISATION = 0.01
_HOPELESS_BLOCKING = 0.95
_UNUSED_SHARE = 0.15  # of the actions, that is no surprise: the last slots of a link are too few for most requests


class Verdict(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Subject:
    """What is checked: the parts of a training, and what was seen when somebody decided at random with them."""

    config: ExperimentConfig
    domain: Domain
    setting: Any
    agent: "BaseAlgorithm"

    def env(self, seed: int | None = None) -> "OpticalVecEnv":
        """A few lanes like those of the training, every scenario among them if the training has so many."""
        from fusion_rl.envs.vector import OpticalVecEnv

        execution = self.config.execution
        lanes = min(execution.lanes, max(_LANES, len(self.config.scenarios)))
        seed = execution.seed if seed is None else seed
        return OpticalVecEnv(self.domain.make_simulator(self.config, self.setting, lanes, seed))

    @cached_property
    def seen(self) -> Probe:
        env = self.env()
        return probe(env, -(-_REQUESTS // env.num_envs), self.config.execution.seed)


Verdicts = tuple[Verdict, str, str]
Check = Callable[[Subject], Verdicts]


def _passed(detail: str) -> Verdicts:
    return Verdict.PASSED, detail, ""


def observations_lie_in_their_space(subject: Subject) -> Verdicts:
    """Every observation is in the space that was promised, and finite."""
    seen, name = subject.seen, subject.config.algorithm.observation
    if seen.outside is not None:
        return Verdict.FAILED, seen.outside, f"observation '{name}' writes what its limits do not allow"
    return _passed(f"{len(seen.rows):,} observations of {seen.rows.shape[1]} entries")


def observations_change(subject: Subject) -> Verdicts:
    """Not one entry is the same all the time."""
    seen, name = subject.seen, subject.config.algorithm.observation
    constant = np.flatnonzero(np.ptp(seen.rows, axis=0) == 0)
    if constant.size == seen.rows.shape[1]:
        return Verdict.FAILED, "every observation is the same", f"observation '{name}' does not look at the request"
    if constant.size:
        told = ", ".join(seen.entries[i] for i in constant[:3]) + (", ..." if constant.size > 3 else "")
        cause = f"observation '{name}' tells nothing there on this network, or not within {len(seen.rows):,} requests"
        return Verdict.WARNING, f"{constant.size} of {seen.rows.shape[1]} entries never change: {told}", cause
    return _passed(f"all {seen.rows.shape[1]} entries change")


def actions_mean_what_they_say(subject: Subject) -> Verdicts:
    """Every action stands for a decision of its own, that decision is carried out, and sometimes it can be taken."""
    seen, name = subject.seen, subject.config.algorithm.action
    found = seen.collision or seen.misread
    if found is not None:
        return Verdict.FAILED, found, f"action codec '{name}' cuts or folds action numbers"
    unused = np.flatnonzero(~seen.actions_allowed)
    if unused.size > _UNUSED_SHARE * seen.actions_allowed.size:
        told = ", ".join(str(action) for action in unused[:3]) + (", ..." if unused.size > 3 else "")
        cause = f"action codec '{name}' cuts numbers off, or network.k_paths is more than there are paths"
        never = f"{unused.size:,} of {seen.actions_allowed.size:,} actions could never be taken: {told}"
        return Verdict.WARNING, never, cause
    return _passed(f"{int(seen.actions_tried.sum()):,} of {seen.actions_tried.size:,} actions were carried out")


def masks_tell_what_can_be_served(subject: Subject) -> Verdicts:
    """An allowed action is served, a masked one is not, and there is always one to take."""
    seen, name = subject.seen, subject.config.algorithm.action
    if seen.nothing_allowed is not None:
        cause = f"the mask of action codec '{name}' must leave an action, also where none can be served"
        return Verdict.FAILED, seen.nothing_allowed, cause
    found = seen.refused or seen.hidden
    if found is not None:
        return Verdict.FAILED, found, f"mask and decoding of action codec '{name}' disagree"
    return _passed(f"{int(seen.served.sum()):,} of {seen.served.size:,} requests served, as the masks said")


def rewards_differ(subject: Subject) -> Verdicts:
    """What is done decides what is paid."""
    rewards, served, name = subject.seen.rewards, subject.seen.served, subject.config.reward.name
    if not np.isfinite(rewards).all():
        bad = rewards[~np.isfinite(rewards)][0]
        return Verdict.FAILED, f"a reward is {bad}", f"reward '{name}' divides by zero or overflows"
    if np.ptp(rewards) > 0:
        return _passed(f"{np.unique(rewards).size:,} values from {rewards.min():g} to {rewards.max():g}")
    told = f"every reward is {rewards[0]:g}"
    if served.all() or not served.any():
        return Verdict.WARNING, told, f"{'every' if served.all() else 'no'} request was served: see the traffic"
    return Verdict.FAILED, told, f"reward '{name}' does not depend on whether a request is served"


def traffic_fills_the_network(subject: Subject) -> Verdicts:
    """There is something to decide well: a bad policy blocks some requests, and not all of them."""
    told, idle = [], []
    policy = subject.domain.BASELINES[-1]
    for number, scenario in enumerate(subject.config.scenarios):
        rollout = _random_rollout(subject, number, scenario.requests_per_episode)
        blocking, utilisation = rollout.tally.service_blocking.mean, rollout.gauge.utilisation
        told.append(f"{scenario.name}: {utilisation:.1%} of slots in use, {blocking:.2%} blocked by '{policy}'")
        if utilisation < _IDLE_UTILISATION or not 0 < blocking < _HOPELESS_BLOCKING:
            idle.append(scenario.name)
    if idle:
        cause = "it teaches nothing: change load_erlang or network.slots, or give it more warmup_requests"
        return Verdict.WARNING, "; ".join(told), f"scenario {', '.join(idle)}: {cause}"
    return _passed("; ".join(told))


def _random_rollout(subject: Subject, scenario: int, episode: int) -> Any:
    each = min(episode, _TRAFFIC_REQUESTS)
    size: dict[str, Any] = {"lanes": -(-_TRAFFIC_REQUESTS // each), "requests": _TRAFFIC_REQUESTS}
    try:
        subject.domain.check_traffic(subject.setting, scenario=scenario, **size)
    except TrafficError:  # a trace has so many lanes and no more
        size = {"lanes": 1, "requests": each}
    return subject.domain.run_heuristic(
        subject.setting,
        subject.domain.BASELINES[-1],
        seed=subject.config.execution.seed,
        scenario=scenario,
        threads=1,
        **size,
    )


def actions_change_the_outcome(subject: Subject) -> Verdicts:
    """On the same traffic, the first and the last of the allowed actions lead to different networks."""
    count = int(subject.agent.action_space.n)  # type: ignore[attr-defined]
    if count < 2:
        return Verdict.FAILED, f"there is {count} action", "nothing is left to decide: raise network.k_paths"
    first, last = subject.env(), subject.env()
    first.reset()
    last.reset()
    one, other = _played(first), _played(last, last=True)
    differ = sum(not np.array_equal(*pair) for pair in zip(one.done, other.done, strict=True))
    if not differ:
        cause = "the action number is not used, or no request has two actions that can be served"
        return Verdict.FAILED, f"{_COMPARED_STEPS} steps came out alike whatever was chosen", cause
    return _passed(f"{differ} of {_COMPARED_STEPS} steps came out differently")


def resets_begin_other_episodes(subject: Subject) -> Verdicts:
    """Without a seed a reset goes on to new traffic; with a seed it repeats that of the seed."""
    env, played = subject.env(), []
    for seed in (None, None, 7, 7):
        if seed is not None:
            env.seed(seed)
        env.reset()
        played.append(_played(env))
    cause = "the environment does not seed its traffic as BatchSimulator.reset says"
    if played[2] != played[3]:
        return Verdict.FAILED, "two resets with the same seed began different episodes", cause
    if all(scenario.trace is not None for scenario in subject.config.scenarios):
        return _passed("seeded resets agree; a trace is the same in every episode")
    if played[0] == played[1]:
        return Verdict.FAILED, "two resets without a seed began the same episode", cause
    return _passed("seeded resets agree, others differ")


@dataclass(frozen=True, eq=False)
class _Played:
    """Some steps of an environment: what was shown, [steps, B, entries], and what was done, [steps, B, 4]."""

    shown: Any
    done: Any

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Played)
            and np.array_equal(self.shown, other.shown, equal_nan=True)
            and np.array_equal(self.done, other.done)
        )


def _played(env: "OpticalVecEnv", last: bool = False) -> _Played:
    shown, done = [], []
    for _ in range(_COMPARED_STEPS):
        masks = env.action_masks()
        actions = masks.shape[1] - 1 - masks[:, ::-1].argmax(axis=1) if last else masks.argmax(axis=1)
        observations, *_ = env.step(actions)
        outcome = env.outcome
        shown.append(rows_of(observations))  # type: ignore[arg-type]
        done.append(np.stack([outcome.verdict, outcome.path, outcome.start, outcome.gbps], axis=1))
    return _Played(np.array(shown), np.array(done))


def tensors_are_on_the_model_s_device(subject: Subject) -> Verdicts:
    """Weights, and the observations that they are to see, are where the model is."""
    agent = subject.agent
    where = {name: tensor.device.type for name, tensor in agent.policy.state_dict().items()}
    shown: Any = subject.env().reset()
    given, _ = agent.policy.obs_to_tensor(shown)
    parts = given.items() if isinstance(given, dict) else [("", given)]
    where |= {f"observation {name}".rstrip(): part.device.type for name, part in parts}
    astray = [f"{name} on {device}" for name, device in where.items() if device != agent.device.type]
    if astray:
        cause = "a part was made or moved after the model: leave the device to execution.device"
        return Verdict.FAILED, f"the model is on {agent.device.type}, and {', '.join(astray[:3])}", cause
    return _passed(f"{len(where)} tensors on {agent.device.type}")


def an_update_changes_the_weights(subject: Subject) -> Verdicts:
    """One update, of a copy of the agent that is thrown away: other weights, finite, and so is what they compute."""
    from fusion_rl.agents.catalog import callbacks_of, greedy, make_agent

    broken = _not_finite(subject.agent.policy.state_dict())
    if broken is not None:
        cause = "the training that it goes on from had diverged"
        return Verdict.FAILED, f"before any update {broken} is not finite", cause
    settings, env = subject.config.algorithm, subject.env()
    small = settings.model_copy(update=_shrunk(settings, env.num_envs))
    execution = subject.config.execution
    agent = make_agent(small, env, seed=execution.seed, device=execution.device)
    weights: Any = subject.agent.get_parameters()  # by name: those of the policy and of its optimisers
    agent.set_parameters(weights, device=agent.device)
    before = {name: tensor.clone() for name, tensor in agent.policy.state_dict().items()}
    too_fast = "steps are too large: lower algorithm.learning_rate, or scale the reward down"
    try:
        agent.learn(_steps_of_an_update(small, env.num_envs), callback=callbacks_of(small), log_interval=None)  # type: ignore[arg-type]
        shown: Any = env.reset()
        greedy(agent, small.name)(shown, env.action_masks())
    except ValueError as error:
        return Verdict.FAILED, f"after an update the agent cannot decide: {str(error).splitlines()[0]}", too_fast
    after = agent.policy.state_dict()
    broken = _not_finite(after)
    if broken is not None:
        return Verdict.FAILED, f"after an update {broken} is not finite", too_fast
    changed = sum(not tensor.equal(before[name]) for name, tensor in after.items())
    if not changed:
        cause = "the learning rate is 0, or gradients do not reach the weights"
        return Verdict.FAILED, "an update leaves every weight as it was", cause
    return _passed(f"{changed} of {len(after)} tensors changed, all finite")


def _not_finite(tensors: dict[str, Any]) -> str | None:
    """The first of some tensors that is not finite everywhere."""
    return next((name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())), None)


def _shrunk(settings: Any, lanes: int) -> dict[str, Any]:
    """Settings for an update that takes a moment: the same agent, less to learn from."""
    has = type(settings).model_fields
    if "learning_starts" in has:
        return {
            "learning_starts": min(settings.learning_starts, 32),
            "buffer_size": max(min(settings.buffer_size, 1_000), settings.batch_size, lanes),
            "train_freq": min(settings.train_freq, 4),
            "gradient_steps": 1,
        }
    if "population" in has:
        return {"population": 4, "requests": 50, "warmup_requests": 50}
    if "n_steps" not in has:
        return {}
    n_steps = min(settings.n_steps, max(2, 64 // lanes))
    batches = {"batch_size": n_steps * lanes} if "batch_size" in has else {}
    return {"n_steps": n_steps, **batches, **({"n_epochs": 1} if "n_epochs" in has else {})}


def _steps_of_an_update(settings: Any, lanes: int) -> int:
    """Enough for two of them, so that the first is not at the end of a schedule, which may be 0."""
    has = type(settings).model_fields
    if "learning_starts" in has:
        return int(settings.learning_starts + 4 * settings.train_freq * lanes)
    return int(2 * getattr(settings, "n_steps", 16) * lanes)


CHECKS: dict[str, Check] = {
    "observations lie in their space": observations_lie_in_their_space,
    "observations change": observations_change,
    "actions mean what they say": actions_mean_what_they_say,
    "masks tell what can be served": masks_tell_what_can_be_served,
    "rewards differ": rewards_differ,
    "traffic fills the network": traffic_fills_the_network,
    "actions change the outcome": actions_change_the_outcome,
    "resets begin other episodes": resets_begin_other_episodes,
    "tensors are on the model's device": tensors_are_on_the_model_s_device,
    "an update changes the weights": an_update_changes_the_weights,
}
