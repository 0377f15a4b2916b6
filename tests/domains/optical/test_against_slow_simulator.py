"""The fast simulator decides as the slow, obvious one does, request for request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.testing import tiny
from tests.domains.optical.worlds import (
    fast_decisions,
    few_examples,
    many_examples,
    requests_with_ties,
    slots_in_use,
    slow_network,
    slow_requests,
    small_settings,
)
from tests.oracles import slow_simulator


def assert_agree(setting: Setting, heuristic: str, requests: Requests) -> set[str]:
    """Compare every decision, and the spectrum in use at the end; returns the verdicts that were seen."""
    slow = slow_network(setting)
    decide = slow_simulator.HEURISTICS[heuristic]
    expected = [slow.serve(request, decide) for request in slow_requests(setting, requests)]
    decided, server = fast_decisions(setting, heuristic, requests)
    assert decided == expected
    in_use = {link: slots for link, slots in slow.in_use.items() if slots}
    assert {slow.link(*link): slots for link, slots in slots_in_use(setting, server.state).items()} == in_use
    return {verdict for verdict, *_ in decided}


def test_every_heuristic_has_a_slow_twin() -> None:
    assert set(slow_simulator.HEURISTICS) == set(HEURISTICS.names())


VERY_SLOW = ("mscl", "mscl-first-path")  # their twins weigh every slot of every route


@pytest.mark.parametrize("heuristic", [name for name in HEURISTICS if name not in VERY_SLOW])
def test_decisions_are_those_of_the_slow_simulator(heuristic: str) -> None:
    verdicts: set[str] = set()

    @many_examples
    @given(small_settings(), st.integers(0, 10_000))
    def compare(setting: Setting, seed: int) -> None:
        verdicts.update(assert_agree(setting, heuristic, setting.models[0].stream(seed).take(120)))

    compare()
    assert verdicts == {"accepted", "spectrum", "reach"}, "the worlds are to bring out every verdict"


@pytest.mark.parametrize("heuristic", VERY_SLOW)
def test_slot_capacity_loss_decides_as_its_slow_twin(heuristic: str) -> None:
    verdicts: set[str] = set()

    @few_examples
    @given(small_settings(most_nodes=4, most_slots=20), st.integers(0, 10_000))
    def compare(setting: Setting, seed: int) -> None:
        verdicts.update(assert_agree(setting, heuristic, setting.models[0].stream(seed).take(30)))

    compare()
    assert "accepted" in verdicts
    assert verdicts & {"spectrum", "reach"}


def test_slot_capacity_loss_decides_as_its_slow_twin_across_words() -> None:
    setting = tiny.setting(slots=70)
    for heuristic in VERY_SLOW:
        assert_agree(setting, heuristic, setting.models[0].stream(3).take(40))


@few_examples
@given(st.data())
def test_departures_at_the_instant_of_an_arrival_make_room_for_it(data: st.DataObject) -> None:
    setting = data.draw(small_settings())
    requests = data.draw(requests_with_ties(setting, 60))
    for heuristic in set(HEURISTICS) - set(VERY_SLOW):
        assert_agree(setting, heuristic, requests)
