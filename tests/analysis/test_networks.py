"""What a network and its traffic are, in tables and on a map."""

import pandas as pd
import pytest

from fusion_rl.analysis.networks import (
    candidate_paths,
    candidate_paths_map,
    candidate_share,
    network_table,
    services_offered,
    topology_map,
    traffic_figure,
    traffic_table,
)
from fusion_rl.errors import UnknownNameError
from fusion_rl.testing import tiny


def test_a_pairs_candidates_are_listed_best_first() -> None:
    found = candidate_paths(tiny.setting(), "1", "3")
    assert found["path"].tolist() == ["1-2-3", "1-3"]
    assert found["km"].tolist() == [300.0, 500.0]
    assert found["slots"].tolist() == ["2 to 3", "2 to 3"]
    assert candidate_paths(tiny.setting(), "1", "4")["slots"].tolist() == ["2 to 3", "3 to 5"]


def test_each_route_is_listed_once_where_decisions_name_the_format() -> None:
    found = candidate_paths(tiny.setting(format_choice="by-action"), "1", "3")
    assert found["path"].tolist() == ["1-2-3", "1-3"]


@pytest.mark.parametrize(("source", "destination"), [("1", "5"), ("7", "2"), ("2", "2")])
def test_a_pair_has_two_different_nodes(source: str, destination: str) -> None:
    with pytest.raises(UnknownNameError, match="known: 1"):
        candidate_paths(tiny.setting(), source, destination)


def test_links_are_wanted_by_the_pairs_whose_first_path_uses_them() -> None:
    setting = tiny.setting()
    share = candidate_share(setting)
    link = setting.topology.link_number
    # 1-2-3 serves 1 to 2, 1 to 3 and 2 to 3; 4 to 2 goes by 3 or by 1, whichever is 500 km
    assert share[link["2", "3"]] >= 2 / 12
    assert share.sum() * 12 == sum(setting.world.path_hops[setting.world.path_first[:-1]])


def test_a_network_is_told_in_one_column() -> None:
    facts = network_table(tiny.setting())[""]
    assert facts["nodes"] == 4
    assert facts["links (spectra of their own)"] == "10 directed"
    assert facts["candidate paths"] == "24, 2 of a pair at most, by km"


def test_traffic_is_that_of_the_simulator() -> None:
    setting = tiny.setting()
    table = traffic_table(setting, 50, seed=4)
    asked = setting.models[0].stream(4, 0, 0).take(50)
    assert table["arrival"].tolist() == asked.arrival.tolist()
    assert set(table["gbps"]) == {25.0, 50.0}
    assert (table["from"] != table["to"]).all()


def test_services_are_offered_until_they_depart() -> None:
    requests = pd.DataFrame({"arrival": [0.0, 1.0, 2.0, 3.0], "holding": [10.0, 1.0, 0.5, 1.0]})
    assert services_offered(requests).tolist() == [0, 1, 1, 1]  # what departs at an arrival has gone


def test_figures_show_every_edge_path_and_panel() -> None:
    setting = tiny.setting()
    lengths = [text.get_text() for text in topology_map(setting).axes[0].texts]
    assert {"100", "200", "300", "400", "500"} <= set(lengths)
    legend = candidate_paths_map(setting, "1", "3").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["0: 1-2-3", "1: 1-3"]
    panels = traffic_figure(setting, 200).axes
    assert [axes.get_xlabel() for axes in panels[:4]] == ["time", "holding time", "bit rate (Gb/s)", "destination"]
