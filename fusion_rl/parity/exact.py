"""Comparisons without any tolerance: routes through our own simulator, and the streams of public simulators.

Sources: FUSION (Flexible Unified System for Intelligent Optical Networking) and optical-rl-gym's RMSA-v0
(C. Natalino and P. Monti, ICTON 2020), both run as their authors ship them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fusion_rl.arrays import Bools, Bytes
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, Decisions, room_for
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rollout import LaneServer, recorded
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.envs.legacy import GeneralSimEnv, with_observation_set
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.parity import fusion, optical_rl_gym
from fusion_rl.parity.line import Line, Size, exactly

EXPERIMENT = "deeprmsa-nsfnet"
STEPPED = "ksp-ff"  # the heuristic that is also played through the environments, action by action
# (Erlang, seed, requests) -> blocked requests, measured on FUSION
FUSION_FIGURES = (((400.0, 1, 6000), 251), ((500.0, 1, 6000), 417))
# (load, seed, warm-up, requests) -> service and bit-rate blocking, measured on optical-rl-gym
OPTICAL_RL_GYM_FIGURES = (((250.0, 1, 1000, 4000), (0.38175, 0.43229540326168425)),)
DIFFER = "requests that differ in verdict, path or start"


@dataclass(frozen=True)
class Course:
    """What became of a public simulator's requests.

    Attributes:
        simulator: whose they are.
        conditions: load, seed and warm-up.
        blocked: of each request that counts, in order, [n].
        expected: the share blocked, as measured on that simulator.
    """

    simulator: str
    conditions: str
    blocked: Bools
    expected: float


class _Played(NamedTuple):
    decided: Decisions
    masks: Bytes  # of each request, eight actions a byte, [n, A / 8]

    @property
    def service_blocking(self) -> float:
        return float((self.decided.verdict != ACCEPTED).mean())


def lines_of_routes(size: Size) -> Iterator[Line]:
    """Each heuristic's decisions served again by a replay, and one heuristic's through both environments."""
    config = load(EXPERIMENT, overrides={"algorithm.action": "path-start", "scenarios.*.warmup_requests": 0}).config
    setting = prepare(config)
    for name in HEURISTICS.names():
        decided = _decide(setting, HEURISTICS[name], size)
        replayed = _decide(setting, _repeating(decided), size)
        yield _line(f"replay with the rollout of {name}: {DIFFER}", 0, _differences(replayed, decided), setting, size)
    yield from _lines_of_environments(config, setting, size)


def _lines_of_environments(config: ExperimentConfig, setting: Setting, size: Size) -> Iterator[Line]:
    heuristic = HEURISTICS[STEPPED]
    plain = rollout.run(setting, heuristic, requests=size.decisions, lanes=1, seed=size.seed, warmup_requests=0)
    unified = _play(UnifiedSimEnv, config, setting, heuristic, size)
    legacy = _play(GeneralSimEnv, with_observation_set(config), setting, heuristic, size)
    of_plain = f"unified environment with the plain simulation of {STEPPED}"
    of_unified = f"legacy environment with the unified one, {STEPPED}"
    masks_differ = int((unified.masks != legacy.masks).any(axis=1).sum())
    for compared, expected, found in (
        (f"{of_plain}: {DIFFER}", 0, _differences(unified.decided, _decide(setting, heuristic, size))),
        (f"{of_plain}: service blocking", plain.tally.service_blocking.mean, unified.service_blocking),
        (f"{of_unified}: {DIFFER}", 0, _differences(legacy.decided, unified.decided)),
        (f"{of_unified}: requests whose masks differ", 0, masks_differ),
        (f"{of_unified}: service blocking", unified.service_blocking, legacy.service_blocking),
    ):
        yield _line(compared, expected, found, setting, size)


def lines_of_streams(size: Size) -> Iterator[Line]:
    """Figures of two public simulators, met with their own random streams."""
    for (erlang, seed, requests), blocked in FUSION_FIGURES:
        yield exactly(
            group="request for request",
            compared="blocked requests with FUSION",
            conditions=f"{erlang:g} E, seed {seed}, {requests} requests, 1 core, 100 Gb/s; {fusion.CONDITIONS}",
            expected=blocked,
            found=fusion.simulate(erlang, seed, requests).blocked_requests,
        )
    for (erlang, seed, warmup, requests), expected in OPTICAL_RL_GYM_FIGURES:
        tally = optical_rl_gym.simulate(erlang, seed, warmup, requests)
        found = (tally.service_blocking.mean, tally.bit_rate_blocking.mean)
        for what, theirs, ours in zip(("service blocking", "bit-rate blocking"), expected, found, strict=True):
            yield exactly(
                group="request for request",
                compared=f"{what} with optical-rl-gym",
                conditions=f"{erlang:g} E, seed {seed}, {requests} requests after {warmup}; "
                f"{optical_rl_gym.CONDITIONS}",
                expected=theirs,
                found=ours,
            )


def courses() -> Iterator[Course]:
    """What became of the requests of two public simulators, one after the other."""
    for (erlang, seed, requests), blocked in FUSION_FIGURES:
        verdict, _ = fusion.decide(erlang, seed, requests)
        yield Course("FUSION", f"{erlang:g} E, seed {seed}", verdict != ACCEPTED, blocked / requests)
    for (erlang, seed, warmup, requests), (blocking, _) in OPTICAL_RL_GYM_FIGURES:
        verdict, _ = optical_rl_gym.decide(erlang, seed, warmup + requests)
        conditions = f"{erlang:g} E, seed {seed}, after {warmup} requests"
        yield Course("optical-rl-gym", conditions, verdict[warmup:] != ACCEPTED, blocking)


def _line(compared: str, expected: float, found: float, setting: Setting, size: Size) -> Line:
    return exactly(
        group="decisions",
        compared=compared,
        conditions=f"{EXPERIMENT}, {setting.scenarios[0].load_erlang:g} E, {size.decisions:,} requests from an empty "
        f"network, seed {size.seed}",
        expected=expected,
        found=found,
    )


def _decide(setting: Setting, heuristic: Heuristic, size: Size) -> Decisions:
    server = LaneServer(setting.world, heuristic, setting.typical_erlang)
    served = server.serve(setting.models[0].stream(size.seed, 0, 0).take(size.decisions))
    # a refusal's path has no meaning: environments say -1
    path = np.where(served.verdict == ACCEPTED, served.path, NOWHERE).astype(np.int32)
    return Decisions(served.verdict.copy(), path, served.start.copy())


def _repeating(decided: Decisions) -> Heuristic:
    return Heuristic(recorded, lambda _: decided)


def _differences(one: Decisions, other: Decisions) -> int:
    differs = [mine != theirs for mine, theirs in zip(one, other, strict=True)]
    return int(np.any(differs, axis=0).sum())


def _play(
    kind: type[UnifiedSimEnv], config: ExperimentConfig, setting: Setting, heuristic: Heuristic, size: Size
) -> _Played:
    """The heuristic asked at every step of an environment, its decision given as an action number."""
    simulator = make_simulator(config, setting, 1, size.seed, warmup_requests=0, episode_requests=size.decisions)
    env, world = kind(simulator), setting.world
    options = heuristic.prepare(world)
    decided, masks = room_for(size.decisions), []
    env.reset()
    for t in range(size.decisions):
        masks.append(np.packbits(env.action_masks()))
        request = request_at(simulator.request(0), 0)
        path, start = heuristic.decide(world, lane_state.view(simulator.state, 0), request, options)
        # any action is a refusal where nothing can be served
        action = 0 if start == NOWHERE else (path - world.path_first[request.pair]) * world.slots + start
        outcome = env.step(int(action))[-1]["outcome"]
        decided.verdict[t], decided.path[t], decided.start[t] = outcome.verdict[0], outcome.path[0], outcome.start[0]
    return _Played(decided, np.array(masks))
