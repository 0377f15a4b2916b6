"""Choices beside each other: the slots of both, and what is known of each, on requests whose choices are known."""

from pathlib import Path

import pytest
from matplotlib.colors import to_rgba

from fusion_rl.analysis.choices import (
    choices_figure,
    choices_map,
    clearest,
    described_choices,
    feature_differences,
    reasons_figure,
)
from fusion_rl.analysis.decisions import Decided, follow
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.training.plots import ACCENT
from tests.analysis.test_decisions import FILLING
from tests.analysis.tiny_experiment import experiment, trace_of


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    """ksp-ff fills 1-2-3, and least-congested would have gone over 1-3 as soon as it is the emptier one."""
    trace: Path = trace_of(tmp_path_factory.mktemp("trace"), *FILLING)
    return follow(experiment(trace), "ksp-ff", ["least-congested", "last-fit"], requests=6)


def test_networks_are_kept_as_the_requests_found_them(decided: Decided) -> None:
    kept = decided.examples_of("last-fit")
    assert list(kept) == [0, 1, 2, 4]  # the fourth has one place alone
    first, third = decided.setting.topology.link_number["1", "2"], decided.setting.topology.link_number["1", "3"]
    beyond = int(decided.setting.world.beyond[0])
    assert [int(kept[2][link, 0]) - beyond for link in (first, third)] == [0b111111, 0]
    assert [int(kept[4][link, 0]) - beyond for link in (first, third)] == [0b11111111, 0b111]
    with pytest.raises(UnknownNameError, match="did you mean 'last-fit'"):
        decided.examples_of("last-fi")


def test_both_choices_are_described_by_the_features_that_scores_are_given(decided: Decided) -> None:
    told = described_choices(decided, "last-fit", 0)
    assert told.loc["start"].tolist()[:2] == pytest.approx([0, 5 / 8])
    assert told.loc["hops"].tolist()[:2] == pytest.approx([2 / 5, 2 / 5])
    assert told.loc["max_utilisation"].tolist()[:2] == [0, 0]
    again = described_choices(decided, "last-fit", 1)
    assert again.loc["max_utilisation"].tolist()[:2] == pytest.approx([3 / 8, 3 / 8])
    assert again.loc["cuts"].tolist()[:2] == [0, 0], "next to the first, or at the end"
    assert told["meaning"].iloc[0] == "hops x width / 20"


def test_only_examples_that_both_serve_can_be_looked_at(decided: Decided) -> None:
    with pytest.raises(ConfigError, match=r"request 3 is no example .* there are 4 \(0, 1, 2, 4\)"):
        described_choices(decided, "last-fit", 3)
    with pytest.raises(ConfigError, match="never serve a request on different paths"):
        clearest(decided, "last-fit")


def test_differences_are_means_in_standard_deviations_and_what_never_differs_is_left_out(decided: Decided) -> None:
    rows = feature_differences(decided, "last-fit")
    assert "hops" not in rows.index
    assert rows.loc["start", "difference"] < 0
    assert rows.loc["start", "ci95"] > 0
    panel = reasons_figure(decided, ("last-fit",)).axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == [name.replace("_", " ") for name in rows.index]


def test_the_clearest_example_is_on_two_paths(decided: Decided) -> None:
    request = clearest(decided, "least-congested")
    loss = {t: described_choices(decided, "least-congested", t).loc["route_loss"] for t in (1, 3)}
    assert list(decided.examples_of("least-congested")) == [1, 3]
    assert request == max(loss, key=lambda t: abs(loss[t].iloc[0] - loss[t].iloc[1]))


def test_the_picture_marks_both_blocks_on_the_links_of_their_paths(decided: Decided) -> None:
    mine, theirs = choices_figure(decided, "least-congested", 1).axes
    assert [label.get_text() for label in mine.get_yticklabels()] == [
        "1→2   5 in a row", "2→3   5 in a row", "on all   5 in a row"
    ]  # fmt: skip
    assert [label.get_text() for label in theirs.get_yticklabels()] == ["1→3   8 in a row", "on all   8 in a row"]
    blocks = [(box.get_x() + 0.5, box.get_width(), round(box.get_y() + 0.42)) for box in mine.patches]
    assert blocks == [(3, 3, 0), (3, 3, 1)]
    assert [(box.get_x() + 0.5, box.get_width()) for box in theirs.patches] == [(0, 3)]
    assert {box.get_facecolor()[:3] for box in mine.patches} == {to_rgba(ACCENT)[:3]}
    assert mine.get_title(loc="left") == "ksp-ff: 1-2-3 from slot 3"


def test_on_the_same_path_each_panel_marks_both_blocks(decided: Decided) -> None:
    mine, theirs = choices_figure(decided, "last-fit", 0).axes
    for axes in (mine, theirs):
        assert sorted(box.get_x() + 0.5 for box in axes.patches) == [0, 0, 5, 5]


def test_the_map_names_both_paths(decided: Decided) -> None:
    legend = choices_map(decided, "least-congested", 3).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["ksp-ff: 1-2-3", "least-congested: 1-3"]
