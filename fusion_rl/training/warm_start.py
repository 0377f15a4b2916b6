"""Warm start: a policy network learns to decide as another policy does, before it learns by itself.

The teacher serves requests of its own, on lanes of the training's traffic; the network is shown each request and
learns, by cross-entropy, the action that is the teacher's decision. Its value learns the discounted returns, so that
what follows does not begin by unlearning. Demonstrations come in blocks, each gone over `epochs` times.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion_rl.arrays import AnyArray, Bools, Floats32, Ints64
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.policy_gradient import WarmStart
from fusion_rl.domains.base import Domain
from fusion_rl.domains.optical.demonstrations import NO_LABEL, Decision, Demonstrations, HeuristicTeacher
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.tracking.base import RunLog
from fusion_rl.tracking.sb3_classes import MASKED
from fusion_rl.training.evaluate import evaluate_scenarios
from fusion_rl.training.policies import Agent, Heuristic, Policy, as_policy, find, require_fit

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

LANES = 16  # of the demonstrations; a lane for each scenario, at least
BLOCK = 8_192  # requests of all lanes between updates, about
_VALUE_WEIGHT = 0.5  # of the value's loss
_CLIP = 0.5  # norm of the gradient


@dataclass(frozen=True)
class WarmStarted:
    """What a warm start led to.

    Attributes:
        requests: demonstrated, without those of the last agreement.
        labelled: of them, where an action is the teacher's decision.
        skipped: of them, where the teacher serves, but no action is its decision.
        agreement_before, agreement_after: share of labelled requests, not learned from until then, where the network's
            best action is the teacher's.
        service_blocking: of the network afterwards, on the traffic of evaluations in between.
        seconds: it took.
    """

    requests: int
    labelled: int
    skipped: int
    agreement_before: float
    agreement_after: float
    service_blocking: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.requests:,} requests, agreement {self.agreement_before:.3f} before and {self.agreement_after:.3f} "
            f"after, blocking {self.service_blocking:.5f}; {self.skipped:,} decisions are no action and were skipped"
        )


@dataclass(frozen=True)
class _Block:
    """Consecutive requests of all lanes, one after another: a row for each."""

    observations: Any
    masks: Bools
    labels: Ints64
    returns: Floats32
    skipped: int

    def rows(self, at: AnyArray) -> Any:
        """Observations of some rows."""
        if isinstance(self.observations, dict):
            return {name: part[at] for name, part in self.observations.items()}
        return self.observations[at]


def settings_of(config: ExperimentConfig) -> WarmStart | None:
    """The warm start that a configuration asks for."""
    given: WarmStart | None = getattr(config.algorithm, "warm_start", None)
    return given


def find_teacher(config: ExperimentConfig, domain: Domain, setting: Any) -> Policy | None:
    """The policy that a configuration's warm start names, which fits its network; None where it has none.

    Raises:
        FusionRLError: there is no such policy, or it was trained on other observations or actions.
    """
    asked = settings_of(config)
    if asked is None:
        return None
    teacher = find(asked.policy, domain, config.execution.tracking_dir)
    if isinstance(teacher, Agent) and teacher.in_rollouts is None:
        shown = config.model_copy(update={"algorithm": teacher.config.algorithm})
        require_fit(teacher, domain.make_simulator(shown, setting, 1, 0))
    return teacher


def warm_start(
    config: ExperimentConfig, domain: Domain, setting: Any, agent: "BaseAlgorithm", teacher: Policy, run: RunLog
) -> WarmStarted:
    """Teach an agent what a policy decides, and log it.

    Args:
        config: the training; `algorithm.warm_start` says how long.
        domain: whose lanes these are.
        setting: network and traffic.
        agent: with a policy network; its optimiser is left as it is.
        teacher: what `find_teacher` found.
        run: gets agreement and loss, at the number of requests demonstrated.
    """
    asked = settings_of(config)
    assert asked is not None, "there is a teacher, so there is a warm start"
    started = time.perf_counter()
    lanes = max(LANES, len(config.scenarios))
    steps = max(1, min(BLOCK, asked.requests) // lanes)
    blocks = -(-asked.requests // (steps * lanes))
    source = _Source(config, domain, setting, teacher, lanes, steps, blocks + 1)
    student = Student(agent, config.algorithm.name, asked, getattr(config.algorithm, "gamma", 0.99))
    labelled, skipped, before = 0, 0, 0.0
    for number in range(blocks):
        block = source.block(student)
        agreement = student.agreement(block)
        before = agreement if number == 0 else before
        labelled, skipped = labelled + int((block.labels != NO_LABEL).sum()), skipped + block.skipped
        loss = student.learn(block)
        done = (number + 1) * steps * lanes
        run.log_metrics({"warm_start/agreement": agreement, "warm_start/loss": loss}, done)
    result = WarmStarted(
        requests=blocks * steps * lanes,
        labelled=labelled,
        skipped=skipped,
        agreement_before=before,
        agreement_after=student.agreement(source.block(student)),
        service_blocking=_blocking(config, setting, agent),
        seconds=time.perf_counter() - started,
    )
    run.log_metrics({f"warm_start/{name}": float(value) for name, value in vars(result).items()})
    return result


def _blocking(config: ExperimentConfig, setting: Any, agent: "BaseAlgorithm") -> float:
    execution, policy = config.execution, as_policy(config.algorithm.name, agent, config)
    size: dict[str, Any] = {"requests": execution.eval_requests, "lanes": execution.eval_lanes, "setting": setting}
    return evaluate_scenarios(config, policy, **size).service_blocking.mean


class _Source:
    """Lanes that the teacher decides, block by block."""

    def __init__(
        self,
        config: ExperimentConfig,
        domain: Domain,
        setting: Any,
        teacher: Policy,
        lanes: int,
        steps: int,
        blocks: int,
    ) -> None:
        # one more step than there are, so that no lane begins anew
        size: dict[str, Any] = {"episode_requests": steps * blocks + 1}
        simulator: Any = domain.make_simulator(config, setting, lanes, config.execution.seed, by_decision=True, **size)
        simulator.reset(range(lanes))
        self._lanes, self._steps = Demonstrations(simulator), steps
        self._decide, self._go_along = asking(config, domain, setting, teacher, simulator, size)

    def block(self, student: "Student") -> _Block:
        """The next requests; what follows the last of them is worth what the student holds it to be."""
        simulator = self._lanes.simulator
        shown, masks, labels, rewards, skipped = [], [], [], [], 0
        for _ in range(self._steps):
            shown.append(simulator.observations())
            masks.append(simulator.masks())
            decided = self._decide()
            labels.append(self._lanes.labels(decided))
            skipped += sum(
                start != NOWHERE and label == NO_LABEL for (_, start), label in zip(decided, labels[-1], strict=True)
            )
            rewards.append(self._lanes.follow(decided).reward)
            self._go_along()
        returns = student.returns(np.array(rewards), simulator.observations())
        return _Block(_joined(shown), np.concatenate(masks), np.concatenate(labels), returns.ravel(), skipped)


def asking(
    config: ExperimentConfig, domain: Domain, setting: Any, teacher: Policy, simulator: Any, size: dict[str, Any]
) -> tuple[Callable[[], Sequence[Decision]], Callable[[], object]]:
    """How a teacher is asked for its decisions, and what has to follow each time."""
    lanes = simulator.num_lanes
    if isinstance(teacher, Heuristic):
        heuristics = [HEURISTICS[teacher.name]] * lanes
        return HeuristicTeacher(simulator, heuristics).decisions, lambda: None
    if teacher.in_rollouts is not None:
        heuristics = [teacher.in_rollouts(setting, simulator.scenario_of(b)) for b in range(lanes)]
        return HeuristicTeacher(simulator, heuristics).decisions, lambda: None
    # it sees and numbers decisions in a way of its own, so it has lanes of its own, which meet the same
    shown = config.model_copy(update={"algorithm": teacher.config.algorithm})
    own = domain.make_simulator(shown, setting, lanes, config.execution.seed, **size)
    own.reset(range(lanes))
    act, actions = teacher.begin(), np.zeros(lanes, np.int64)

    def decisions() -> list[Decision]:
        actions[:] = act(own.observations(), own.masks())
        return [own.plan(b, int(actions[b])) for b in range(lanes)]

    return decisions, lambda: own.step(actions)


class Student:
    """An agent's policy network while it is taught."""

    def __init__(self, agent: "BaseAlgorithm", algorithm: str, asked: WarmStart, gamma: float) -> None:
        import torch

        self._agent, self._asked, self._gamma = agent, asked, gamma
        self._policy: Any = agent.policy
        self._masked = algorithm in MASKED
        self._optimiser = torch.optim.Adam(self._policy.parameters(), lr=asked.learning_rate)
        self._shuffle = np.random.default_rng(agent.seed)  # of its own: what follows draws as it would without

    def agreement(self, block: _Block) -> float:
        """Share of a block's labelled requests where the best action is the label."""
        at = np.flatnonzero(block.labels != NO_LABEL)
        agreed = 0
        for part in np.array_split(at, -(-at.size // self._asked.batch_size) or 1):
            masked: dict[str, Any] = {"action_masks": block.masks[part]} if self._masked else {}
            if part.size:
                chosen, _ = self._agent.predict(block.rows(part), deterministic=True, **masked)
                agreed += int((chosen == block.labels[part]).sum())
        return agreed / at.size if at.size else float("nan")

    def returns(self, rewards: Floats32, last: Any) -> Floats32:
        """Discounted returns of consecutive steps, [T, B], of which the last leads to an observation."""
        import torch

        with torch.no_grad():
            value = self._policy.predict_values(self._policy.obs_to_tensor(last)[0]).cpu().numpy().ravel()
        returns = np.empty_like(rewards)
        for t in reversed(range(len(rewards))):
            value = rewards[t] + self._gamma * value
            returns[t] = value
        return returns

    def learn(self, block: _Block) -> float:
        """Go over a block; returns the mean cross-entropy of the last time."""
        self._policy.set_training_mode(True)
        losses: list[float] = []
        for _ in range(self._asked.epochs):
            order = self._shuffle.permutation(block.labels.size)
            parts = np.array_split(order, -(-order.size // self._asked.batch_size))
            losses = [self._update(block, part) for part in parts]
        self._policy.set_training_mode(False)
        return float(np.mean(losses))

    def _update(self, block: _Block, at: Ints64) -> float:
        import torch

        device = self._policy.device
        has_label = block.labels[at] != NO_LABEL
        # any allowed action in the place of a label that is not there: it has no weight
        actions = torch.as_tensor(np.where(has_label, block.labels[at], block.masks[at].argmax(axis=1)), device=device)
        weight = torch.as_tensor(has_label, dtype=torch.float32, device=device)
        masked = {"action_masks": block.masks[at]} if self._masked else {}
        seen = self._policy.obs_to_tensor(block.rows(at))[0]
        values, log_probability, _ = self._policy.evaluate_actions(seen, actions, **masked)
        cross_entropy = -(log_probability * weight).sum() / weight.sum().clamp(min=1)
        returns = torch.as_tensor(block.returns[at], device=device)
        loss = cross_entropy + _VALUE_WEIGHT * torch.nn.functional.mse_loss(values.flatten(), returns)
        self._optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._policy.parameters(), _CLIP)
        self._optimiser.step()
        return float(cross_entropy.detach())


def _joined(shown: list[Any]) -> Any:
    """Observations of steps, one after another."""
    if isinstance(shown[0], dict):
        return {name: np.concatenate([one[name] for one in shown]) for name in shown[0]}
    return np.concatenate(shown)
