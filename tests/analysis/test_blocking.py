"""Why requests are blocked, worked out by hand on the tiny world: 1 to 3 by 1-2-3 (300 km) or 1-3 (500 km)."""

from pathlib import Path

import numpy as np
import pytest

from fusion_rl.analysis.blocking import (
    blocked_requests,
    cause_counts,
    causes_figure,
    free_slots,
    in_the_way_map,
    link_shares,
    longest_block,
    pair_blocking,
    pairs_figure,
    what_was_missing,
)
from fusion_rl.analysis.decisions import follow
from fusion_rl.analysis.networks import pair_number
from fusion_rl.testing import tiny
from tests.analysis.test_decisions import FILLING
from tests.analysis.tiny_experiment import experiment, trace_of

SETTING = tiny.setting()
LINK = SETTING.topology.link_number
PAIR = pair_number(SETTING, "1", "3")
FIFTY = 1  # the class of 50 Gb/s: 3 slots on both paths


def free(**links: str) -> np.ndarray:
    """Free slots of links named as l12, as a text of dots for what is free; other links are idle."""
    found = np.ones((10, 8), np.bool_)
    for name, slots in links.items():
        found[LINK[name[1], name[2]]] = [slot == "." for slot in slots]
    return found


@pytest.mark.parametrize(
    ("links", "cause", "in_the_way"),
    [
        ({"l12": "xxxxxx..", "l13": "xxxxxxx."}, "full links", [("1", "2"), ("1", "3")]),
        ({"l12": "xxxxxx..", "l23": "xxxxxx..", "l13": "xxxxxxxx"}, "full links", [("1", "3")]),
        ({"l12": ".x.x.x.x", "l13": "xxxxxxxx"}, "fragmentation", [("1", "2"), ("1", "3")]),
        ({"l12": "...xxxxx", "l23": "xxx...xx", "l13": "x.x.x.x."}, "continuity", [("1", "2"), ("2", "3"), ("1", "3")]),
        ({"l12": "xxxxxxxx"}, "own choice", [("1", "2"), ("1", "3")]),
    ],
)
def test_the_cause_is_that_of_the_path_that_came_nearest(
    links: dict[str, str], cause: str, in_the_way: list[tuple[str, str]]
) -> None:
    found = what_was_missing(SETTING.world, free(**links), PAIR, FIFTY)
    assert found == (cause, [LINK[ends] for ends in in_the_way])


def test_the_longest_block_may_lie_at_either_end() -> None:
    blocks = {"........": 8, "xxxxxxxx": 0, "..x.....": 5, "....x..x": 4, "x..x...x": 3}
    assert {text: longest_block(np.array([slot == "." for slot in text])) for text in blocks} == blocks


def test_blocked_requests_are_told_with_links_in_the_way(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "ksp-ff", requests=6)
    found = blocked_requests(decided)
    assert found.index.tolist() == [5]
    # 1-2-3 is full on both links, so that neither alone would do; of 1-3 two slots are left
    assert found.loc[5].tolist() == ["1", "3", 50.0, "full links", ["1-3"]]
    assert cause_counts(decided).tolist() == [0, 0, 0, 1]
    assert link_shares(decided)[LINK["1", "3"]] == 1.0
    assert link_shares(decided).sum() == 1.0
    shares = pair_blocking(decided)
    assert shares[0, 2] == 1 / 6
    assert np.isnan(shares).sum() == 15


def test_a_policy_that_refuses_a_path_with_room_is_its_own_cause(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "sp-ff", requests=6)
    assert cause_counts(decided).to_dict() == {"own choice": 3, "continuity": 0, "fragmentation": 0, "full links": 0}


def test_what_is_kept_of_a_blocked_request_is_the_network_as_it_found_it(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "ksp-ff", requests=6)
    found = free_slots(SETTING.world, decided.found_blocked[5])
    assert found.sum(axis=1)[[LINK["1", "2"], LINK["2", "3"], LINK["1", "3"], LINK["3", "1"]]].tolist() == [0, 0, 2, 8]


def test_figures_show_causes_pairs_and_links(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, *FILLING)
    mine, other = (follow(experiment(trace), name, requests=6) for name in ("sp-ff", "ksp-ff"))
    bars = causes_figure(mine, other).axes[0]
    assert [label.get_text() for label in bars.get_yticklabels()] == ["sp-ff", "ksp-ff"]
    assert sum(bar.get_width() for bar in bars.patches) == pytest.approx(3 / 6 + 1 / 6)
    assert [axes.get_title() for axes in pairs_figure(mine, other).axes[:2]] == ["sp-ff", "ksp-ff"]
    assert in_the_way_map(other).axes[1].get_ylabel() == "share of the blocked requests"
    nothing = follow(experiment(trace), "ksp-ff", requests=2)
    assert pairs_figure(nothing)
    assert causes_figure(nothing)
    assert in_the_way_map(nothing)
