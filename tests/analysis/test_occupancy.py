"""The spectrum while it fills: the slots of each service, what was taken, and the picture that follows the slider."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fusion_rl.analysis import occupancy
from fusion_rl.analysis.occupancy import FREE, Film, blocked_table, browse, film, occupancy_figure
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.errors import ConfigError
from fusion_rl.training.plots import ACCENT
from tests.analysis.test_decisions import FILLING
from tests.analysis.tiny_experiment import experiment, trace_of


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Film:
    later = (200.0, 1.0, "4", "1", 25.0)  # when all the others have departed
    trace = trace_of(tmp_path_factory.mktemp("trace"), *FILLING, later)
    return film(experiment(trace), "ksp-ff", requests=7)


def test_slots_belong_to_their_service_until_it_departs(shown: Film) -> None:
    link = shown.setting.topology.link_number
    first_way, second_way = [link["1", "2"], link["2", "3"]], link["1", "3"]
    last = shown.owner[5]
    assert (last[first_way[0]] == last[first_way[1]]).all()
    _, places = np.unique(last[first_way[0]], return_index=True)
    assert sorted(places.tolist()) == [0, 3, 6]  # three services, 3, 3 and 2 slots wide
    assert (last[second_way, 6:] == FREE).all()
    assert (last[second_way, :6] != FREE).all()
    assert (shown.owner[6] != FREE).sum() == 2
    assert (shown.owner[6, link["4", "1"], :2] != FREE).all()


def test_what_a_request_took_is_told_apart(shown: Film) -> None:
    link = shown.setting.topology.link_number
    assert np.argwhere(shown.taken[1]).tolist() == [[link[pair], slot] for pair in [("1", "2"), ("2", "3")]
                                                    for slot in (3, 4, 5)]  # fmt: skip
    assert not shown.taken[5].any()


def test_a_film_is_of_the_simulators_own_state(shown: Film) -> None:
    walked = film(experiment(), "random", requests=60, warmup_requests=30, seed=2)
    walk = occupancy.Walk(walked.setting, occupancy.as_heuristic(experiment(), walked.setting,
                          occupancy.chosen(experiment(), "random")), seed=2, scenario=0, requests=90)  # fmt: skip
    walk.serve(walk.take(90))
    np.testing.assert_array_equal(walked.owner[-1] != FREE, lane_state.occupancy(walk.state, walked.setting.world))


@pytest.mark.slow  # the kernels of networks with rules take long to compile
def test_lightpaths_that_services_share_are_shown_once() -> None:
    config = experiment()
    network = config.network.model_validate(config.network.model_dump() | {"grooming": {"max_parts": 1}})
    shared = film(config.model_copy(update={"network": network}), "ksp-ff", requests=150)
    rode = (shared.made.verdict == 0) & (shared.made.start == -1)
    assert rode.any()
    assert not shared.taken[rode].any()
    assert "served on other lightpaths" in shared.story(int(np.flatnonzero(rode)[0]))


def test_the_story_of_a_request_is_one_line(shown: Film) -> None:
    assert shown.story(2) == "request 2, 1 to 3, 50 Gb/s: served on 1-3 from slot 0"
    assert shown.story(5) == "request 5, 1 to 3, 50 Gb/s: blocked (spectrum)"
    with pytest.raises(ConfigError, match="request 7 is not in the film: it has 0 to 6"):
        shown.story(7)


def test_blocked_requests_are_listed_with_what_was_free(shown: Film) -> None:
    [(request, row)] = list(blocked_table(shown).iterrows())
    assert (request, row["reason"]) == (5, "spectrum")
    assert row["free share of all slots"] == 1 - (8 + 8 + 6) / (10 * 8)


def test_the_figure_brings_out_what_was_taken_and_the_links_concerned(shown: Film) -> None:
    axes = occupancy_figure(shown, 2).axes[0]
    picture = axes.images[0].get_array()
    red = np.argwhere((picture == np.array(to_rgb(ACCENT))).all(axis=-1))
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert [(names[row], int(slot)) for row, slot in red] == [("1→3", 0), ("1→3", 1), ("1→3", 2)]
    bold = {label.get_text() for label in axes.get_yticklabels() if label.get_fontweight() == "bold"}
    assert bold == {"1→3"}
    blocked = occupancy_figure(shown, 5).axes[0].get_yticklabels()
    assert {label.get_text() for label in blocked if label.get_fontweight() == "bold"} == {"1→2", "2→3", "1→3"}


def test_the_picture_follows_the_slider_and_the_button(shown: Film) -> None:
    controls, picture = browse(shown).children
    _, slider, onward = controls.children
    first = picture.value
    slider.value = 2
    assert picture.value != first
    onward.click()
    assert slider.value == 5
    assert bytes(picture.value).startswith(b"\x89PNG")
