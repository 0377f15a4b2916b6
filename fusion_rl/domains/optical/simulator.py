"""The optical domain as a `BatchSimulator`: lanes of traffic, stepped with action numbers."""

from collections.abc import Sequence
from math import gcd
from typing import Any

import numpy as np
from gymnasium import spaces

from fusion_rl.arrays import AnyArray, Bools, Floats32, Ints64
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.base import Step
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.actions import ActionCodec, codec_of, decode_decision
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.jit import direct, handing
from fusion_rl.domains.optical.metrics import Gauge
from fusion_rl.domains.optical.observations import observation_of
from fusion_rl.domains.optical.pipelines import batch
from fusion_rl.domains.optical.pipelines.batch import Outcome, View, Window
from fusion_rl.domains.optical.pipelines.orchestrator import after_grooming, room_for
from fusion_rl.domains.optical.requests import Requests, request_at
from fusion_rl.domains.optical.rewards import REWARDS
from fusion_rl.domains.optical.rollout import mean_fragmentation, serve
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.traces import TraceStream
from fusion_rl.domains.optical.traffic import Stream
from fusion_rl.errors import SimulationError

WINDOW = 1024  # requests at hand of each lane


class OpticalSimulator:
    """Lanes of one setting, decided by action numbers.

    An episode is a scenario's warm-up, served by KSP-FF, and then its requests_per_episode requests, which the
    agent decides. Scenarios are shared out over the lanes as evenly as can be; where there are more scenarios than
    lanes, the lanes go through them episode by episode (`scenario_at`).

    Args:
        setting: network and scenarios.
        num_lanes: networks side by side, B.
        observation: what agents see, by name.
        action: what their action numbers mean, by name.
        reward: what they are paid.
        seed: of the traffic; lane and episode numbers are added to it.
        scenario: run this one on every lane; None: share all of them out.
        warmup_requests: None: as the scenario says.
        episode_requests: None: as the scenario says.
        by_decision: `step` takes decisions, path x slots + start with the path's number among all, -1 a refusal, in the
            place of action numbers; masks and observations are the codec's all the same.
    """

    def __init__(
        self,
        setting: Setting,
        *,
        num_lanes: int,
        observation: str,
        action: str,
        reward: RewardConfig,
        seed: int,
        scenario: int | None = None,
        warmup_requests: int | None = None,
        episode_requests: int | None = None,
        by_decision: bool = False,
    ) -> None:
        self.setting = setting
        self.num_lanes = num_lanes
        self._observation = observation_of(observation, action)
        self._codec = codec_of(action)
        self._decode = decode_decision if by_decision else self._codec.decode
        world = setting.world
        self._memory = self._observation.prepare(world)
        self._show = batch.show if self._memory is None else batch.show_with_memory
        self._reward = REWARDS[reward.name](reward, world)
        self._models = setting.models if scenario is None else (setting.models[scenario],)
        self._warmup = [_given(warmup_requests, m.scenario.warmup_requests) for m in self._models]
        self._episode = [_given(episode_requests, m.scenario.requests_per_episode) for m in self._models]
        for b in range(num_lanes):
            for s in _scenarios_of(b, num_lanes, len(self._models)):
                self._models[s].require([b], self._warmup[s] + self._episode[s])
        handed = (self._decode, self._codec.mask, self._observation.write)
        self._batch_step, self._batch_look = direct(handing(batch.step, *handed)), handing(batch.look, *handed)
        self._layout = self._observation.layout(world)
        self.observation_space = self._make_space()
        self.action_space = spaces.Discrete(self._codec.count(world, self._codec.parameter))
        self._state = lane_state.empty(world, num_lanes, lane_state.capacity_for(setting.typical_erlang))
        self._window = _empty_window(num_lanes)
        self._outcome = _empty_outcome(num_lanes)
        self._view = View(
            np.zeros((num_lanes, sum(self._layout.values())), np.float32),
            np.zeros((num_lanes, int(self.action_space.n)), np.bool_),
            np.zeros(num_lanes, np.bool_),
        )
        self._actions = np.zeros(num_lanes, np.int64)
        self._streams: list[Stream | TraceStream | None] = [None] * num_lanes
        self._seeds = np.full(num_lanes, seed)
        self._episodes = np.full(num_lanes, -1)
        self._left = np.zeros(num_lanes, np.int64)  # requests until a lane's episode ends
        self._until_end = 0  # steps until the first of them does
        self._until_refill = 0

    def reset(self, lanes: Sequence[int] | Ints64, seeds: Sequence[int | None] | None = None) -> None:
        """Begin a new episode on some lanes; see `BatchSimulator.reset`."""
        for i, b in enumerate(lanes):
            seed = None if seeds is None else seeds[i]
            if seed is not None:
                self._seeds[b] = seed
                self._episodes[b] = -1
            self._episodes[b] += 1
            self._start(int(b))
        self._count_down()
        self._look(np.asarray(lanes, np.int64))

    def step(self, actions: Ints64) -> Step:
        """Decide the request at hand of every lane.

        Raises:
            SimulationError: an episode that has ended was not reset, or there is not one action a lane.
        """
        actions = np.asarray(actions, np.int64)
        if actions.shape != (self.num_lanes,):
            raise SimulationError(f"step needs {self.num_lanes} actions, one a lane; it got shape {actions.shape}")
        if self._until_end < 1:
            raise SimulationError("the episode is over (or none has begun): call reset before step")
        if self._until_refill < 1:
            self._refill()
        self._actions[:] = actions
        most = self._batch_step(
            self.setting.world,
            self._state,
            self._window,
            self._actions,
            self._decode,
            self._codec.mask,
            self._codec.parameter,
            self._show,
            self._observation.write,
            self._memory,
            self._outcome,
            self._view,
            0,
            self.num_lanes,
        )
        self._make_room(most)
        self._left -= 1
        self._until_end -= 1
        self._until_refill -= 1
        outcome = self._outcome_copy()
        return Step(self._reward(outcome), self._left == 0, outcome)

    def observations(self) -> AnyArray | dict[str, AnyArray]:
        """What every lane shows of its request at hand; a copy."""
        row = self._view.observation.copy()
        return self.as_parts(row) if self._observation.as_dict else row

    def as_parts(self, row: Floats32) -> dict[str, AnyArray]:
        """An observation row, or rows, by part."""
        parts = np.split(row, np.cumsum(list(self._layout.values()))[:-1], axis=-1)
        return dict(zip(self._layout, parts, strict=True))

    def masks(self) -> Bools:
        """Actions that can be served, [B, A]; action 0 where none can. A copy."""
        return self._view.mask.copy()

    def servable(self) -> Bools:
        """Lanes whose request some action can serve, [B]. A copy."""
        return self._view.servable.copy()

    def measure(self, gauge: Gauge) -> None:
        """Add a sample of every lane's utilisation and fragmentation."""
        utilisation = lane_state.utilisation(self._state, self.setting.world)
        for b in range(self.num_lanes):
            view = lane_state.view(self._state, b)
            gauge.add(utilisation[b], mean_fragmentation(self.setting.world, view))
            if view.lightpaths is not None:
                gauge.add_lightpaths(b, *lane_state.lightpaths_in_use(view.lightpaths))

    @property
    def codec(self) -> ActionCodec:
        """What action numbers mean."""
        return self._codec

    @property
    def scenario_names(self) -> tuple[str, ...]:
        """The scenarios that the lanes share."""
        return tuple(model.scenario.name for model in self._models)

    def scenario_of(self, lane: int) -> int:
        """Number, among `scenario_names`, of the scenario that a lane runs now."""
        return scenario_at(lane, max(int(self._episodes[lane]), 0), self.num_lanes, len(self._models))

    def requests_by_scenario(self) -> Ints64:
        """Requests decided of each scenario since the lanes' seeds were set; [scenarios].

        Episodes are counted as whole, so a lane that was reset in mid-episode counts for more than it decided.
        """
        counts = np.zeros(len(self._models), np.int64)
        for b in range(self.num_lanes):
            if self._episodes[b] < 0:
                continue
            period = _scenarios_of(b, self.num_lanes, len(self._models))
            whole, rest = divmod(int(self._episodes[b]), len(period))
            for turn, s in enumerate(period):
                counts[s] += (whole + (turn < rest)) * self._episode[s]
            counts[self.scenario_of(b)] += self._episode[self.scenario_of(b)] - self._left[b]
        return counts

    @property
    def state(self) -> lane_state.State:
        """The lanes, to read."""
        return self._state

    def request(self, lane: int) -> Requests:
        """The request at hand of one lane, as arrays [1]."""
        at = slice(self._window.cursor[lane], self._window.cursor[lane] + 1)
        return Requests(
            self._window.arrival[lane, at],
            self._window.holding[lane, at],
            self._window.pair[lane, at],
            self._window.bandwidth_class[lane, at],
            int(self._window.key[lane]),
            int(self._window.number[lane]) + at.start,
        )

    def plan(self, lane: int, action: int) -> tuple[int, int]:
        """What an action would do on one lane: (path, start), start -1 where it takes no spectrum."""
        view, codec = lane_state.view(self._state, lane), self._codec
        request = after_grooming(self.setting.world, view, request_at(self.request(lane), 0))
        path, start = codec.decode(self.setting.world, view, request, action, codec.parameter)
        return int(path), int(start)

    def close(self) -> None:
        """Nothing is held that must be released."""

    def _outcome_copy(self) -> Outcome:
        arrays: list[AnyArray] = [array.copy() for array in self._outcome]
        return Outcome(*arrays)

    def _make_space(self) -> spaces.Space[Any]:
        low, high = self._observation.limits(self.setting.world)
        boxes: dict[str, spaces.Space[AnyArray]] = {
            name: spaces.Box(low, high, (size,), np.float32) for name, size in self._layout.items()
        }
        if self._observation.as_dict:
            return spaces.Dict(boxes)
        return spaces.Box(low, high, (sum(self._layout.values()),), np.float32)

    def _start(self, b: int) -> None:
        """Make lane b idle, warm it up, and put the episode's first requests into its window."""
        s = self.scenario_of(b)
        stream = self._models[s].stream(int(self._seeds[b]), b, int(self._episodes[b]))
        self._streams[b] = stream
        lane_state.clear(self._state, self.setting.world, np.array([b], np.int32))
        left = self._warmup[s]
        while left > 0:
            asked = stream.take(min(left, 8 * WINDOW))
            out = room_for(asked.arrival.size)
            self._state = lane_state.put_events(self._state, b, asked.events)
            self._state = serve(self.setting.world, self._state, b, asked, ksp_ff, 0, out)
            left -= asked.arrival.size
        self._make_room(int(self._state.live[b, 0]))
        self._put(b, 0, stream.take(WINDOW))
        self._left[b] = self._episode[s]

    def _make_room(self, live: int) -> None:
        """A step can add one service to every lane, and a kernel cannot grow the state."""
        capacity = self._state.unused.shape[1]
        if live >= capacity:
            self._state = lane_state.grown(self._state, 2 * capacity)

    def _refill(self) -> None:
        """Give every lane that is at its last request new ones behind it."""
        window = self._window
        for b in np.flatnonzero(window.cursor == WINDOW - 1):
            stream = self._streams[b]
            assert stream is not None, "a lane that is stepped has been started"
            for rows in (window.arrival, window.holding, window.pair, window.bandwidth_class):
                rows[b, 0] = rows[b, -1]
            self._put(int(b), 1, stream.take(WINDOW - 1))
        self._count_down()

    def _put(self, b: int, at: int, requests: Requests) -> None:
        window = self._window
        window.arrival[b, at:] = requests.arrival
        window.holding[b, at:] = requests.holding
        window.pair[b, at:] = requests.pair
        window.bandwidth_class[b, at:] = requests.bandwidth_class
        self._state = lane_state.put_events(self._state, b, requests.events)
        window.key[b] = requests.key
        window.number[b] = requests.number - at
        window.cursor[b] = 0

    def _count_down(self) -> None:
        self._until_end = int(self._left.min())
        self._until_refill = int(WINDOW - 1 - self._window.cursor.max())

    def _look(self, lanes: Ints64) -> None:
        self._batch_look(
            self.setting.world,
            self._state,
            self._window,
            self._codec.mask,
            self._codec.parameter,
            self._show,
            self._observation.write,
            self._memory,
            self._view,
            lanes,
        )


def scenario_at(lane: int, episode: int, lanes: int, scenarios: int) -> int:
    """The scenario of a lane's episode.

    With a lane for each scenario or more, lane b runs scenario b modulo their number in all episodes. With fewer
    lanes, each round of episodes takes the next scenarios, so that after ceil(scenarios / lanes) rounds each has
    had its turn. Lane and episode number alone decide.
    """
    return lane % scenarios if lanes >= scenarios else (lane + episode * lanes) % scenarios


def _scenarios_of(lane: int, lanes: int, scenarios: int) -> list[int]:
    """The scenarios of a lane's episodes, in order, until they begin again."""
    rounds = 1 if lanes >= scenarios else scenarios // gcd(lanes, scenarios)
    return [scenario_at(lane, episode, lanes, scenarios) for episode in range(rounds)]


def _given(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _empty_window(lanes: int) -> Window:
    shape = (lanes, WINDOW)
    return Window(
        arrival=np.zeros(shape),
        holding=np.zeros(shape),
        pair=np.zeros(shape, np.int32),
        bandwidth_class=np.zeros(shape, np.int32),
        key=np.zeros(lanes, np.int64),
        number=np.zeros(lanes, np.int64),
        cursor=np.zeros(lanes, np.int64),
    )


def _empty_outcome(lanes: int) -> Outcome:
    return Outcome(
        verdict=np.zeros(lanes, np.uint8),
        path=np.zeros(lanes, np.int32),
        start=np.zeros(lanes, np.int32),
        width=np.zeros(lanes, np.int32),
        hops=np.zeros(lanes, np.int32),
        gbps=np.zeros(lanes),
        groomed_gbps=np.zeros(lanes),
        lightpaths=np.zeros(lanes, np.int32),
        slot_hops=np.zeros(lanes, np.int32),
        inverse_snr=np.zeros(lanes),
    )
