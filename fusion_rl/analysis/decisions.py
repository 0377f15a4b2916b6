"""Decisions one by one: what a policy chose for each request, and what others would have chosen in its place.

Two policies that serve the same requests have different networks before long, so comparing their choices there says
little. Here one policy serves, and the others are asked at every request what they would do in its network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from fusion_rl.arrays import Bools, Ints, Words
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.actions import codec_of
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.jit import handing
from fusion_rl.domains.optical.observations import observation_of
from fusion_rl.domains.optical.pipelines import batch
from fusion_rl.domains.optical.pipelines.orchestrator import (
    ACCEPTED,
    VERDICT_NAMES,
    Decisions,
    room_for,
)
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Request, Requests
from fusion_rl.domains.optical.rollout import look_at_links, serve
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.training.policies import Agent, Policy, find, require_fit

DEFAULT_REQUESTS = 5_000
_EXAMPLES = 400  # networks that are kept, at most, of the requests for which a rival would have decided otherwise


class Choice(NamedTuple):
    """What a policy would do with each request; -1 where it would block it, or where there was nothing to decide."""

    path: Ints  # [T] candidate path
    start: Ints  # [T] first slot


@dataclass(frozen=True, eq=False)  # one is itself alone: what is worked out of it may be kept by it
class Decided:
    """A policy's decisions on the first traffic of one lane, the warm-up left out.

    Attributes:
        policy: what the user calls it.
        setting: network and traffic.
        conditions: of the traffic.
        requests: arrays [T].
        made: verdict, path and start of each, [T].
        rivals: other policy -> what it would have done in the same network.
        found_blocked: request (0 .. T - 1) that was blocked -> the network as it found it, [L, W].
        examples: other policy -> requests for which it would have decided otherwise, spread evenly over all of
            those, at most 400 -> the network as each found it, [L, W].
    """

    policy: str
    setting: Setting
    conditions: dict[str, object]
    requests: Requests
    made: Decisions
    rivals: dict[str, Choice]
    found_blocked: dict[int, Words]
    examples: dict[str, dict[int, Words]]

    @property
    def choice(self) -> Choice:
        """What the policy itself chose."""
        return Choice(self.made.path, self.made.start)

    def choice_of(self, policy: str) -> Choice:
        """What one of the policies chose or would have chosen.

        Raises:
            UnknownNameError: it was not asked.
        """
        if policy == self.policy:
            return self.choice
        if policy not in self.rivals:
            raise UnknownNameError("policy", policy, (self.policy, *self.rivals))
        return self.rivals[policy]

    def examples_of(self, rival: str) -> dict[int, Words]:
        """Requests for which a rival would have decided otherwise -> the network as each found it.

        Raises:
            UnknownNameError: it was not asked.
        """
        if rival not in self.rivals:
            raise UnknownNameError("policy", rival, tuple(self.rivals))
        return self.examples[rival]

    def rank(self, policy: str) -> Ints:
        """Rank of the chosen path among the request's candidates, from 0; -1 where there is none, [T]."""
        world, path = self.setting.world, self.choice_of(policy).path
        rank = (path - world.path_first[self.requests.pair]) // world.formats
        return np.where(self.choice_of(policy).start == NOWHERE, NOWHERE, rank)

    def differs(self, rival: str) -> Bools:
        """Whether a rival would have chosen another path or another start, [T]."""
        mine, theirs = self.choice, self.choice_of(rival)
        both_block = (mine.start == NOWHERE) & (theirs.start == NOWHERE)
        return np.asarray(((mine.path != theirs.path) | (mine.start != theirs.start)) & ~both_block)


class Walk:
    """One network in which a policy serves a scenario's first traffic: lane 0 of an evaluation.

    Args:
        setting: network and scenarios.
        heuristic: who decides.
        seed: of the traffic.
        scenario: its position in the setting.
        requests: that will be taken, warm-up included.

    Raises:
        TrafficError: a trace has fewer requests.
    """

    def __init__(self, setting: Setting, heuristic: Heuristic, *, seed: int, scenario: int, requests: int) -> None:
        model = setting.models[scenario]
        model.require([0], requests)
        self.setting = setting
        self.state = lane_state.empty(setting.world, 1, lane_state.capacity_for(setting.typical_erlang))
        self.decide = heuristic.decide  # may be replaced by one that takes the same options
        self._options = heuristic.prepare(setting.world)
        self._stream = model.stream(seed, 0, 0)

    def take(self, count: int) -> Requests:
        """The next requests; the failures until the last of them are known to the network from now on."""
        asked = self._stream.take(count)
        self.state = lane_state.put_events(self.state, 0, asked.events)
        return asked

    def serve(self, asked: Requests) -> Decisions:
        """Serve requests that were taken, in order, and say what was done."""
        made = room_for(asked.arrival.size)
        self.state = serve(self.setting.world, self.state, 0, asked, self.decide, self._options, made)
        return made

    def release(self, now: float) -> None:
        """Let everything depart that is over by a request's arrival, which serving it would do first."""
        used_slots = np.zeros(self.setting.world.link_length_km.size, np.int32)
        look_at_links(self.setting.world, lane_state.view(self.state, 0), now, used_slots)


def follow(
    config: ExperimentConfig,
    policy: str | Policy,
    rivals: Sequence[str | Policy] = (),
    *,
    requests: int = DEFAULT_REQUESTS,
    warmup_requests: int | None = None,
    seed: int | None = None,
    scenario: int = 0,
    setting: Setting | None = None,
) -> Decided:
    """Serve traffic by a policy and note every decision, and what its rivals would have decided in its network.

    Args:
        config: network and scenarios.
        policy: who serves: a heuristic's name, a checkpoint, an address in the run store, or a policy found before.
        rivals: who is asked as well; the network never sees their decisions.
        requests: that are noted.
        warmup_requests: served before; None: as the scenario says.
        seed: of the traffic; None: execution.eval_seed.
        scenario: its position among the scenarios.
        setting: what the domain prepared from this configuration before; None: prepared now.

    Raises:
        FusionRLError: a policy is unknown, cannot be read, or does not fit the network; a name is given twice.
    """
    setting = domain_of(config).prepare(config) if setting is None else setting
    everybody = [chosen(config, one) for one in (policy, *rivals)]
    names = [one.name for one in everybody]
    if len(set(names)) < len(names):
        raise ConfigError(f"policies {', '.join(names)}: one of them is given twice")
    seed = config.execution.eval_seed if seed is None else seed
    warmup = setting.scenarios[scenario].warmup_requests if warmup_requests is None else warmup_requests
    mine, *others = [as_heuristic(config, setting, one) for one in everybody]
    walk = Walk(setting, mine, seed=seed, scenario=scenario, requests=warmup + requests)
    if warmup:
        walk.serve(walk.take(warmup))
    recorder = _Recorder(setting.world, others, warmup, requests)
    walk.decide = recorder.around(mine.decide)
    asked = walk.take(requests)
    made = walk.serve(asked)
    size = {"requests": requests, "lanes": 1, "seed": seed, "warmup_requests": warmup}
    return Decided(
        policy=names[0],
        setting=setting,
        conditions={**domain_of(config).conditions(setting, scenario), **size},
        requests=asked,
        made=made,
        rivals=dict(zip(names[1:], recorder.choices, strict=True)),
        found_blocked={t: found for t, found in recorder.undecided.items() if made.verdict[t] != ACCEPTED},
        examples=dict(zip(names[1:], (one.kept for one in recorder.examples), strict=True)),
    )


def chosen(config: ExperimentConfig, policy: str | Policy) -> Policy:
    """The policy that is meant, if it is not one already."""
    return find(policy, domain_of(config), config.execution.tracking_dir) if isinstance(policy, str) else policy


def as_heuristic(config: ExperimentConfig, setting: Setting, policy: Policy) -> Heuristic:
    """A policy as a function of the network and the request; an agent sees and decides what it does in a simulator.

    Raises:
        PolicyError: the agent does not fit the network.
    """
    if not isinstance(policy, Agent):
        return HEURISTICS[policy.name]
    if policy.in_rollouts is not None:
        heuristic: Heuristic = policy.in_rollouts(setting, 0)
        return heuristic
    algorithm = policy.config.algorithm
    simulator = domain_of(config).make_simulator(config.model_copy(update={"algorithm": algorithm}), setting, 1, 0)
    require_fit(policy, simulator)
    observation, codec = observation_of(algorithm.observation, algorithm.action), codec_of(algorithm.action)
    memory = observation.prepare(setting.world)
    show = batch.show if memory is None else batch.show_with_memory
    look = handing(batch.look, codec.decode, codec.mask, observation.write)
    view = batch.View(
        np.zeros((1, sum(observation.layout(setting.world).values())), np.float32),
        np.zeros((1, codec.count(setting.world, codec.parameter)), np.bool_),
        np.zeros(1, np.bool_),
    )
    first = np.zeros(1, np.int64)

    def decide(world: World, lane: Lane, request: Request, act: Any) -> tuple[int, int]:
        # what an environment shows of its lanes is shown of this one
        write = observation.write
        state, window = _as_state(lane), _as_window(request)
        look(world, state, window, codec.mask, codec.parameter, show, write, memory, view, first)
        row: Any = view.observation.copy()
        seen = simulator.as_parts(row) if observation.as_dict else row  # type: ignore[attr-defined]
        [action] = act(seen, view.mask.copy())
        path, start = codec.decode(world, lane, request, int(action), codec.parameter)
        return int(path), int(start)

    return Heuristic(decide, lambda world: policy.begin())


def _as_state(lane: Lane) -> lane_state.State:
    """One lane as the state of a simulator that has no other."""
    lightpaths = lane.lightpaths
    if lightpaths is not None:
        lightpaths = lane_state.Lightpaths(*(array[None] for array in lightpaths))
    return lane_state.State._make([*(array[None] for array in lane[:-1]), lightpaths])


def _as_window(request: Request) -> batch.Window:
    """One request as those at hand of a simulator's only lane."""
    return batch.Window(
        arrival=np.full((1, 1), request.arrival),
        holding=np.full((1, 1), request.holding),
        pair=np.full((1, 1), request.pair, np.int32),
        bandwidth_class=np.full((1, 1), request.bandwidth_class, np.int32),
        key=np.array([request.key]),
        number=np.array([request.number]),
        cursor=np.zeros(1, np.int64),
    )


class _Recorder:
    """Asks the rivals at every request, and keeps the network where a decision is not to light anything."""

    def __init__(self, world: World, rivals: Sequence[Heuristic], first: int, count: int) -> None:
        self._rivals = [(rival.decide, rival.prepare(world)) for rival in rivals]
        self._first = first
        self.choices = [Choice(np.full(count, NOWHERE), np.full(count, NOWHERE)) for _ in rivals]
        self.examples = [_Examples() for _ in rivals]
        self.undecided: dict[int, Words] = {}

    def around(self, serving: Callable[..., Any]) -> Callable[..., Any]:
        """The decisions of the one that serves, recorded."""

        def decide(world: World, lane: Lane, request: Request, options: Any) -> tuple[int, int]:
            t = request.number - self._first
            for (rival, own), choice in zip(self._rivals, self.choices, strict=True):
                path, start = rival(world, lane, request, own)
                choice.path[t], choice.start[t] = path if start != NOWHERE else NOWHERE, start
            path, start = serving(world, lane, request, options)
            if start == NOWHERE:
                self.undecided[t] = lane.occupied.copy()
                path = NOWHERE
            for choice, examples in zip(self.choices, self.examples, strict=True):
                if (choice.path[t], choice.start[t]) != (path, start):
                    examples.offer(t, lane.occupied)
            return int(path), int(start)

        return decide


class _Examples:
    """Networks in the order in which they are offered, thinned out evenly so that there are never too many."""

    def __init__(self) -> None:
        self.kept: dict[int, Words] = {}
        self._offered, self._every = 0, 1

    def offer(self, t: int, occupied: Words) -> None:
        """Keep a copy, perhaps."""
        if self._offered % self._every == 0:
            self.kept[t] = occupied.copy()
        self._offered += 1
        if len(self.kept) > _EXAMPLES:
            self.kept = dict(list(self.kept.items())[::2])
            self._every *= 2


def differing(decided: Decided, rival: str, count: int = 10) -> pd.DataFrame:
    """Examples of requests for which a rival would have decided otherwise, spread evenly over the traffic.

    One row a request, indexed by its number: who asked for what, and the path, start and hops of both choices.

    Raises:
        UnknownNameError: the rival was not asked.
    """
    where = list(decided.examples_of(rival))
    if len(where) > count:
        where = [where[place] for place in np.linspace(0, len(where) - 1, count).round().astype(int)]
    rows = []
    for t in where:
        row: dict[str, object] = {"request": t, **asked_for(decided, t)}
        for name in (decided.policy, rival):
            row[name] = described(decided, name, t)
        rows.append(row)
    columns = ["request", "from", "to", "gbps", decided.policy, rival]
    return pd.DataFrame(rows, columns=columns).set_index("request")


def asked_for(decided: Decided, t: int) -> dict[str, Any]:
    """What a request was: from, to, gbps."""
    nodes, world, asked = decided.setting.topology.nodes, decided.setting.world, decided.requests
    return {
        "from": nodes[world.pair_source[asked.pair[t]]],
        "to": nodes[world.pair_target[asked.pair[t]]],
        "gbps": float(world.class_gbps[asked.bandwidth_class[t]]),
    }


def described(decided: Decided, policy: str, t: int) -> str:
    """A choice in words: the path and its first slot, "blocked" with the reason, or "blocked" for a rival."""
    choice = decided.choice_of(policy)
    if choice.start[t] != NOWHERE:
        return f"{decided.setting.path_names(int(choice.path[t]))} from slot {choice.start[t]}"
    if policy == decided.policy:
        reason = VERDICT_NAMES[decided.made.verdict[t]]
        return "on other lightpaths" if reason == "accepted" else f"blocked ({reason})"
    return "blocked"


def agreement(decided: Decided) -> pd.DataFrame:
    """How often each rival would have decided as the policy did; one row a rival.

    `same` decisions are equal in path and start; `same_path` in the path alone; `rival_serves` counts requests that
    the policy blocked and the rival would have served in the same network, `rival_blocks` the reverse. Shares of all.
    """
    mine, rows = decided.choice, []
    for rival, theirs in decided.rivals.items():
        blocked, would_block = mine.start == NOWHERE, theirs.start == NOWHERE
        row = {
            "rival": rival,
            "same": float(1 - decided.differs(rival).mean()),
            "same_path": float((mine.path == theirs.path).mean()),
            "rival_serves": float((blocked & ~would_block).mean()),
            "rival_blocks": float((~blocked & would_block).mean()),
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=["rival", "same", "same_path", "rival_serves", "rival_blocks"]).set_index("rival")
