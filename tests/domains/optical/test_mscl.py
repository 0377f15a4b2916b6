"""Slot-capacity loss adds up rows of 16 bits where that is enough, and decides as with wider ones."""

from typing import Any

import numpy as np
import pytest

from fusion_rl.config.load import load
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.mscl import Capacities, mscl, prepare
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.setting import prepare as prepare_setting
from fusion_rl.domains.optical.world import World
from fusion_rl.testing.contracts import each, same

FEW_WIDTHS: dict[str, Any] = {}
MANY_WIDTHS = {
    "network.slots": 2000,
    "scenarios.0.bandwidth": {
        "kind": "weighted",
        "values_gbps": [12.5 * width for width in range(1, 1201)],
        "weights": [1.0] * 1200,
    },
}


def nsfnet(changes: dict[str, Any]) -> Setting:
    config = load("deeprmsa-nsfnet", overrides=changes).config
    return prepare_setting(config.network, config.scenarios)


def prepare_wide(world: World) -> Capacities:
    found = prepare(world)
    wide = {name: getattr(found, name).astype(np.int32) for name in ("placements", "sums", "fitting")}
    return found._replace(**wide, fitting_backwards=np.ascontiguousarray(wide["fitting"][:, ::-1]))


@pytest.mark.parametrize(("changes", "bits"), [(FEW_WIDTHS, 16), (MANY_WIDTHS, 32)])
def test_rows_are_as_wide_as_the_largest_sum_needs(changes: dict[str, Any], bits: int) -> None:
    world = nsfnet(changes).world
    found = prepare(world)
    largest = 0
    for path in range(world.path_hops.size):
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
        near = {
            route for link in links for route in found.link_routes[found.link_first[link] : found.link_first[link + 1]]
        }
        largest = max(largest, sum(len(set(world.path_width[found.route_path[route]].tolist())) for route in near))
    assert found.placements.dtype == found.sums.dtype == np.dtype(f"int{bits}")
    assert (largest > np.iinfo(np.int16).max) == (bits == 32)


def test_narrow_rows_decide_as_wide_ones() -> None:
    setting = nsfnet(FEW_WIDTHS)
    asked = setting.models[0].stream(1).take(2000)
    narrow, wide = (
        each(LaneServer(setting.world, Heuristic(mscl, made), setting.typical_erlang).serve(asked), np.copy)
        for made in (prepare, prepare_wide)
    )
    assert same(narrow, wide)
    assert (narrow.verdict != 0).any()
