"""Comparisons without any tolerance: routes through our own simulator, and the streams of public simulators.

Sources: FUSION (Flexible Unified System for Intelligent Optical Networking) and optical-rl-gym's RMSA-v0
(C. Natalino and P. Monti, ICTON 2020), both run as their authors ship them.
"""

from collections.abc import Iterator

import numpy as np

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, Decisions, room_for
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.domains.optical.rollout import LaneServer, recorded
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.parity import fusion, optical_rl_gym
from fusion_rl.parity.line import Line, Size, exactly

EXPERIMENT = "deeprmsa-nsfnet"
STEPPED = "ksp-ff"  # the heuristic that is also played through the environment, action by action
# (Erlang, seed, requests) -> blocked requests, measured on FUSION
FUSION_FIGURES = (((400.0, 1, 6000), 251), ((500.0, 1, 6000), 417))
# (load, seed, warm-up, requests) -> service and bit-rate blocking, measured on optical-rl-gym
OPTICAL_RL_GYM_FIGURES = (((250.0, 1, 1000, 4000), (0.38175, 0.43229540326168425)),)


def lines_of_routes(size: Size) -> Iterator[Line]:
    """Each heuristic's decisions served again by a replay, and one heuristic's through the environment."""
    config = load(EXPERIMENT, overrides={"algorithm.action": "path-start", "scenarios.*.warmup_requests": 0}).config
    setting = prepare(config)
    for name in HEURISTICS.names():
        decided = _decide(setting, HEURISTICS[name], size)
        replayed = _decide(setting, _repeating(decided), size)
        yield _line(f"replay with the rollout of {name}", setting, size, _differences(replayed, decided))
        if name == STEPPED:
            stepped = _through_environment(config, setting, HEURISTICS[name], size)
            yield _line(f"environment with the rollout of {name}", setting, size, _differences(stepped, decided))


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


def _line(compared: str, setting: Setting, size: Size, differing: int) -> Line:
    return exactly(
        group="decisions",
        compared=f"{compared}: requests that differ",
        conditions=f"{EXPERIMENT}, {setting.scenarios[0].load_erlang:g} E, {size.decisions:,} requests from an empty "
        f"network, seed {size.seed}: verdict, path and start of each",
        expected=0,
        found=differing,
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


def _through_environment(config: ExperimentConfig, setting: Setting, heuristic: Heuristic, size: Size) -> Decisions:
    """The heuristic asked at every step of `UnifiedSimEnv`, its decision given as an action number."""
    simulator = make_simulator(config, setting, 1, size.seed, warmup_requests=0, episode_requests=size.decisions)
    env, world = UnifiedSimEnv(simulator), setting.world
    options = heuristic.prepare(world)
    decided = room_for(size.decisions)
    env.reset()
    for t in range(size.decisions):
        request = request_at(simulator.request(0), 0)
        path, start = heuristic.decide(world, lane_state.view(simulator.state, 0), request, options)
        # any action is a refusal where nothing can be served
        action = 0 if start == NOWHERE else (path - world.path_first[request.pair]) * world.slots + start
        outcome = env.step(int(action))[-1]["outcome"]
        decided.verdict[t], decided.path[t], decided.start[t] = outcome.verdict[0], outcome.path[0], outcome.start[0]
    return decided
