"""Trials: many policies on the same requests, each from the same network in use."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fusion_rl.arrays import Bools, Floats32, Ints, Ints64, Words
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, room_for
from fusion_rl.domains.optical.requests import Request, Requests
from fusion_rl.domains.optical.rollout import LaneServer, serve
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import Lane, State
from fusion_rl.domains.optical.world import World


def blocked(
    setting: Setting,
    policies: Sequence[Heuristic],
    *,
    warmer: Heuristic,
    entropy: tuple[int, int],
    scenario: int,
    lanes: int,
    warmup_requests: int,
    requests: int,
    threads: int | None = None,
) -> Ints64:
    """Requests that each policy blocks, [policies]: all of them meet the same.

    Args:
        setting: network and scenarios.
        policies: who is tried.
        warmer: who serves the warm-up, once for all policies.
        entropy: (seed, episode) of the traffic; lane i meets the traffic that an environment's lane i would.
        scenario: its position in the setting.
        lanes: independent networks.
        warmup_requests: of each lane.
        requests: that count, of each lane.
        threads: policies that run side by side; None: one for each core.
    """
    seed, episode = entropy
    model = setting.models[scenario]
    model.require(range(lanes), warmup_requests + requests)
    begun: list[tuple[State, Requests]] = []

    def warm_up(lane: int) -> tuple[State, Requests]:
        stream = model.stream(seed, lane, episode)
        server = LaneServer(setting.world, warmer, setting.typical_erlang)
        if warmup_requests:
            server.serve(stream.take(warmup_requests))
        asked = stream.take(requests)
        return lane_state.put_events(server.state, 0, asked.events), asked

    def attempt(policy: Heuristic) -> int:
        options, out, count = policy.prepare(setting.world), room_for(requests), 0
        for state, asked in begun:
            serve(setting.world, _copy(state), 0, asked, policy.decide, options, out)
            count += int((out.verdict[:requests] != ACCEPTED).sum())
        return count

    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        begun.extend(pool.map(warm_up, range(lanes)))
        return np.array(list(pool.map(attempt, policies)), np.int64)


def decide(
    setting: Setting,
    policy: Heuristic,
    options: object,
    pair: Ints64,
    bandwidth_class: Ints64,
    in_use: Bools,
    holding: Floats32 | None = None,
    time_left: Floats32 | None = None,
) -> tuple[Ints64, Ints64]:
    """What a policy decides for one request of each of some networks: rank of the path and start, -1 for neither.

    Args:
        setting: the network.
        policy: who decides.
        options: what it prepared for this network.
        pair, bandwidth_class: of the requests, [B].
        in_use: slots in use, [B, L, S].
        holding: how long the requests are going to stay, [B]; None: the policy does not ask.
        time_left: how long each slot will be in use, [B, L, S]; None: the policy does not ask.
    """
    world = setting.world
    paths_of_links = world.path_hops.size + np.arange(world.link_length_km.size, dtype=np.int32)
    state = lane_state.empty(world, 1, 1 if time_left is None else in_use[0].size)
    lane = lane_state.view(state, 0)
    if time_left is not None:
        world = _with_links_as_paths(world)
    found = np.full((2, pair.size), -1)
    for b in range(pair.size):
        lane.occupied[:] = _words(in_use[b], world.beyond)
        if time_left is not None:
            _put_services(lane, paths_of_links, time_left[b])
        stays = 0.0 if holding is None else float(holding[b])
        request = Request(0.0, stays, int(pair[b]), int(bandwidth_class[b]), 0, 0)
        path, start = policy.decide(world, lane, request, options)
        if start >= 0:
            found[:, b] = path - world.path_first[pair[b]], start
    return found[0], found[1]


def _with_links_as_paths(world: World) -> World:
    """The world with a path over each link behind its candidate paths."""
    links = np.arange(world.link_length_km.size)
    last = int(world.link_first[-1])
    return world._replace(
        path_links=np.append(world.path_links, links).astype(world.path_links.dtype),
        link_first=np.append(world.link_first, last + 1 + links).astype(world.link_first.dtype),
    )


def _put_services(lane: Lane, path_of_link: Ints, time_left: Floats32) -> None:
    """Let a service run on each run of slots of a link that will be free at the same time, [L, S]."""
    edges = np.pad(time_left, ((0, 0), (1, 1)))
    differs = edges[:, 1:] != edges[:, :-1]
    link, start = np.nonzero(differs[:, :-1] & (time_left > 0))
    _, last = np.nonzero(differs[:, 1:] & (time_left > 0))
    lane.live[0] = link.size
    lane.departing[: link.size] = np.arange(link.size)
    lane.departure_time[: link.size] = time_left[link, start]
    lane.service_path[: link.size] = path_of_link[link]
    lane.service_start[: link.size] = start
    lane.service_width[: link.size] = last - start + 1


def _words(in_use: Bools, beyond: Words) -> Words:
    """Slots [L, S] as words [L, W], those beyond the band in use."""
    words: Words = bitmap.packed(in_use) | beyond
    return words


def _copy(state: State) -> State:
    """The same lanes, apart."""

    lightpaths = state.lightpaths
    if lightpaths is not None:
        lightpaths = type(lightpaths)(*(array.copy() for array in lightpaths))
    return State._make([*(array.copy() for array in state[:-1]), lightpaths])
