"""Settings of lightpaths, failures and transmission that do not go together are one clear error, before any work."""

from typing import Any

import pytest
from pydantic import ValidationError

from fusion_rl.errors import ConfigError, TopologyError, TrafficError
from tests.domains.optical.worlds import make_setting

TRIANGLE = [("Rome", "Paris", 100.0), ("Paris", "Bonn", 100.0), ("Rome", "Bonn", 100.0)]
RATES = {"bandwidth": {"kind": "uniform-integers", "low_gbps": 25, "high_gbps": 100}}
FORMAT = {"bits_per_s_per_hz": 2.0, "required_snr_db": 12.0}
WITHOUT_SNR = {"bits_per_s_per_hz": 4.0}


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"protection": "1+1", "slicing": {}}, r"protection \(1\+1\) and slicing are both given.*slicing to null"),
        ({"protection": "1+1", "grooming": {}}, r"protection \(1\+1\) and grooming are both given.*grooming to null"),
        ({"transmission": {}, "reach_table": [FORMAT, WITHOUT_SNR]}, "required_snr_db: missing for 4 bits/s/Hz"),
        ({"transmission": {}, "reach_table": None}, "needs formats with required_snr_db: reach_table is null"),
        ({"format_choice": "by-snr"}, r"format_choice \(by-snr\) needs the links' physics: give transmission"),
        ({"format_choice": "by-action", "reach_table": None}, r"format_choice \(by-action\) needs formats"),
        (
            {"grooming": {"preference": "by-action"}},
            r"preference \(by-action\) needs format_choice: by-action",
        ),
        ({"grooming": {"max_parts": 0}}, "greater than or equal to 1"),
        ({"slicing": {"max_segments": 1}}, "greater than or equal to 2"),
    ],
)
def test_rules_that_do_not_go_together_are_refused(network: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        make_setting(TRIANGLE, {"reach_table": [FORMAT], **network}, RATES)
    assert caught.value.error_count() == 1


@pytest.mark.parametrize("rule", ["grooming", "slicing"])
def test_widths_in_slots_cannot_be_shared_or_split(rule: str) -> None:
    with pytest.raises(ConfigError, match=rf"network.{rule} is given, but a scenario asks for widths in slots"):
        make_setting(TRIANGLE, {"reach_table": [FORMAT], rule: {}})


def failing(*events: tuple[str, str, float, float]) -> dict[str, Any]:
    rows = [dict(zip(("source", "target", "at", "repair_after"), event, strict=True)) for event in events]
    return {"failures": {"kind": "scheduled", "events": rows}}


def test_the_failure_of_an_edge_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(TrafficError, match=r"the edge Rome-Pari, which topology.*did you mean 'Rome-Paris'"):
        make_setting(TRIANGLE, scenario=failing(("Rome", "Pari", 5, 1)))


def test_an_edge_cannot_fail_again_before_its_repair() -> None:
    with pytest.raises(TrafficError, match=r"edge Rome-Paris fails at 5, before its repair at 7"):
        make_setting(TRIANGLE, scenario=failing(("Rome", "Paris", 4, 3), ("Paris", "Rome", 5, 1)))
    make_setting(TRIANGLE, scenario=failing(("Rome", "Paris", 4, 3), ("Paris", "Rome", 7, 1)))


def test_a_link_without_length_has_no_physics() -> None:
    edges = [("Rome", "Paris", 0.0), *TRIANGLE[1:]]
    with pytest.raises(TopologyError, match=r"length"):
        make_setting(edges, {"reach_table": [FORMAT], "transmission": {}}, RATES)
