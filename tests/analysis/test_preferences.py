"""Which paths and slots policies prefer, counted on requests whose choices are known."""

from pathlib import Path

import pytest

from fusion_rl.analysis.decisions import Decided, follow
from fusion_rl.analysis.preferences import (
    choice_figure,
    choice_matrix,
    departures,
    departures_figure,
    preference_figure,
    rank_shares,
    start_counts,
)
from fusion_rl.errors import UnknownNameError
from tests.analysis.test_decisions import FILLING
from tests.analysis.tiny_experiment import experiment, trace_of


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> Decided:
    trace: Path = trace_of(tmp_path_factory.mktemp("trace"), *FILLING)
    return follow(experiment(trace), "ksp-ff", ["sp-ff", "last-fit"], requests=6)


def test_ranks_are_shares_of_all_requests(decided: Decided) -> None:
    shares = rank_shares(decided)
    assert list(shares.index) == ["0", "1", "blocked"]
    assert shares["ksp-ff"].tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])
    assert shares["sp-ff"].tolist() == pytest.approx([3 / 6, 0, 3 / 6])
    assert list(rank_shares(decided, ["sp-ff"])) == ["sp-ff"]


def test_lightpaths_are_counted_by_their_first_slot(decided: Decided) -> None:
    assert start_counts(decided, "ksp-ff").tolist() == [2, 0, 0, 2, 0, 0, 1, 0]
    assert start_counts(decided, "last-fit").tolist() == [0, 0, 0, 0, 0, 4, 1, 0]


def test_choices_are_crossed_rival_by_row(decided: Decided) -> None:
    matrix = choice_matrix(decided, "sp-ff")
    assert matrix.loc["blocked", "1"] == pytest.approx(2 / 6)
    assert matrix.loc["blocked", "blocked"] == pytest.approx(1 / 6)
    assert matrix.loc["0", "0"] == pytest.approx(3 / 6)
    assert matrix.to_numpy().sum() == pytest.approx(1)
    with pytest.raises(UnknownNameError, match="unknown policy 'mscl'"):
        choice_matrix(decided, "mscl")


def test_figures_show_every_policy_and_share(decided: Decided) -> None:
    legend = preference_figure(decided).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["ksp-ff", "sp-ff", "last-fit"]
    written = [text.get_text() for text in choice_figure(decided, "sp-ff").axes[0].texts]
    assert sorted(written) == ["16.7%", "33.3%", "50.0%"]


def test_departures_are_of_requests_that_both_serve_otherwise(decided: Decided) -> None:
    apart = departures(decided, "last-fit")
    assert apart.index.tolist() == [0, 1, 2, 4]
    assert apart["start"].tolist() == [-5, -2, -5, -2]
    assert not apart["other_path"].any()
    assert departures(decided, "sp-ff").empty, "where they differ sp-ff blocks"
    with pytest.raises(UnknownNameError, match="unknown policy 'mscl'"):
        departures(decided, "mscl")


def test_departures_are_drawn_as_shares_of_all_requests(tmp_path: Path) -> None:
    decided = follow(experiment(trace_of(tmp_path, *FILLING)), "ksp-ff", ["least-congested"], requests=6)
    assert departures(decided, "least-congested")[["rank", "hops"]].to_numpy().tolist() == [[-1, 1], [-1, 1]]
    for axes, label in zip(departures_figure(decided).axes, ("-1", "+1", ">0"), strict=True):
        names = [tick.get_text() for tick in axes.get_xticklabels()]
        heights = dict(zip(names, (bar.get_height() for bar in axes.patches), strict=True))
        assert heights[label] == pytest.approx(2 / 6)
