"""Slot-capacity loss adds up rows of 32 bits where that is enough, and decides as with wider ones."""

from typing import Any

import numpy as np
import pytest

from fusion_rl.config.load import load
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.mscl import RouteLosses, mscl, prepare
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.rollout import LaneServer
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.setting import prepare as prepare_setting
from fusion_rl.domains.optical.world import World
from fusion_rl.testing.contracts import each, same

FEW_WIDTHS: dict[str, Any] = {}
MANY_WIDTHS = {
    "network.topology": "usnet",
    "network.slots": 4096,
    "scenarios.0.bandwidth": {
        "kind": "weighted",
        "values_gbps": [12.5 * width for width in range(1, 4097)],
        "weights": [1.0] * 4096,
    },
}


def nsfnet(changes: dict[str, Any]) -> Setting:
    config = load("deeprmsa-nsfnet", overrides=changes).config
    return prepare_setting(config.network, config.scenarios)


def prepare_wide(world: World) -> RouteLosses:
    found = prepare(world)
    wide = {name: getattr(found.capacities, name).astype(np.int64) for name in ("value", "value_backwards", "rows")}
    return RouteLosses(found.capacities._replace(**wide), found.losses.astype(np.int64))


@pytest.mark.parametrize(("changes", "bits"), [(FEW_WIDTHS, 32), (MANY_WIDTHS, 64)])
def test_rows_are_as_wide_as_the_largest_sum_needs(changes: dict[str, Any], bits: int) -> None:
    world = nsfnet(changes).world
    found = prepare(world)
    widths = [np.unique(world.path_width[route]) for route in found.capacities.route_path]
    ways_to_place = sum(int(np.maximum(world.slots + 1 - one[one > 0], 0).sum()) for one in widths)
    assert found.capacities.rows.dtype == found.losses.dtype == np.dtype(f"int{bits}")
    assert (ways_to_place > np.iinfo(np.int32).max) == (bits == 64)


def test_narrow_rows_decide_as_wide_ones() -> None:
    setting = nsfnet(FEW_WIDTHS)
    asked = setting.models[0].stream(1).take(2000)
    narrow, wide = (
        each(LaneServer(setting.world, Heuristic(mscl, made), setting.typical_erlang).serve(asked), np.copy)
        for made in (prepare, prepare_wide)
    )
    assert same(narrow, wide)
    assert (narrow.verdict != 0).any()


@pytest.mark.parametrize("slots", [64, 100])
def test_an_empty_network_is_known_from_the_first_request_on(slots: int) -> None:
    """64 slots fill a word, so no bit of the first request's links differs from what is remembered at first."""
    setting = nsfnet({"network.slots": slots})
    found = prepare(setting.world)
    LaneServer(setting.world, Heuristic(mscl, lambda world: found), setting.typical_erlang).serve(
        setting.models[0].stream(1).take(1)
    )
    known = found.capacities.known_free[found.capacities.near[0]]
    assert bitmap.count(known) == slots
