"""Candidate paths: the least by their order among all simple paths, for every pair and its reverse."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion_rl.config.network import NetworkConfig
from fusion_rl.domains.optical import paths, topology
from fusion_rl.domains.optical.modulation import best_efficiency
from fusion_rl.domains.optical.paths import CandidatePaths
from fusion_rl.errors import TopologyError
from fusion_rl.testing import tiny
from tests.domains.optical.worlds import EdgeList, edge_lists, make_setting, many_examples

NamePath = tuple[str, ...]
FORMATS = [
    {"bits_per_s_per_hz": 4, "reach_km": 300},
    {"bits_per_s_per_hz": 2, "reach_km": 800},
    {"bits_per_s_per_hz": 1, "reach_km": 1500},
]


def by_pair(candidates: CandidatePaths, names: tuple[str, ...]) -> dict[tuple[str, str], list[NamePath]]:
    found: dict[tuple[str, str], list[NamePath]] = {}
    for pair, (source, target) in enumerate(zip(candidates.pair_source, candidates.pair_target, strict=True)):
        own = candidates.nodes[candidates.path_first[pair] : candidates.path_first[pair + 1]]
        found[names[source], names[target]] = [tuple(names[node] for node in path) for path in own]
    return found


def length_km(graph: nx.Graph, path: NamePath) -> float:
    return float(sum(graph.edges[step]["length_km"] for step in pairwise(path)))


def efficiency(total_km: float) -> float:
    return max((form["bits_per_s_per_hz"] for form in FORMATS if total_km <= form["reach_km"]), default=0)


def hops_per_efficiency(graph: nx.Graph, path: NamePath) -> float:
    carries = efficiency(length_km(graph, path))
    return (len(path) - 1) / carries if carries else float("inf")


@many_examples
@given(edge_lists(), st.integers(1, 6), st.sampled_from(["km", "hops", "hops-per-se"]))
def test_candidates_are_the_least_of_all_simple_paths(edges: EdgeList, k: int, order: str) -> None:
    setting = make_setting(edges, {"k_paths": k, "path_order": order, "reach_table": FORMATS})
    graph, names = setting.topology.graph, setting.topology.nodes
    candidates = by_pair(setting.candidates, names)
    for source, target in ((s, t) for s in names for t in names if s != t):
        everything = [tuple(path) for path in nx.all_simple_paths(graph, source, target)]
        own = candidates[source, target]
        assert set(own) <= set(everything), "simple, from source to destination, along edges"
        assert len(own) == len(set(own)) == min(k, len(everything))
        assert own == [path[::-1] for path in candidates[target, source]]
        if order == "km":
            keys = sorted((length_km(graph, path), len(path)) for path in everything)
            assert [(length_km(graph, path), len(path)) for path in own] == keys[:k]
        else:
            assert sorted(map(len, own)) == sorted(map(len, everything))[:k]
            in_order = [len(p) if order == "hops" else hops_per_efficiency(graph, p) for p in own]
            assert in_order == sorted(in_order)


@many_examples
@given(edge_lists(), st.sampled_from(["directed", "shared"]))
def test_links_lengths_and_formats_of_candidates_are_those_of_their_nodes(edges: EdgeList, links: str) -> None:
    setting = make_setting(edges, {"k_paths": 4, "links": links, "reach_table": FORMATS, "guard_slots": 1})
    found, topo, world = setting.candidates, setting.topology, setting.world
    for number, nodes in enumerate(found.nodes):
        names = [topo.nodes[node] for node in nodes]
        own = found.path_links[found.link_first[number] : found.link_first[number + 1]]
        assert [topo.link_number[step] for step in pairwise(names)] == own.tolist()
        assert world.path_hops[number] == len(names) - 1
        total_km = length_km(topo.graph, tuple(names))
        assert found.length_km[number] == total_km
        assert world.path_efficiency[number] == efficiency(total_km)
        assert (world.path_width[number] > 0).all() == (total_km <= 1500)


@pytest.mark.parametrize("order", ["km", "hops", "hops-per-se"])
def test_paths_that_tie_do_not_prefer_the_links_that_a_file_lists_first(order: str) -> None:
    """Listing the edges in reverse changes no candidate."""
    lines = Path(str(topology.DATA / "nsfnet.csv")).read_text().splitlines()
    edges = [(a, b, float(km)) for a, b, km in (line.split(",") for line in lines[3:])]
    network = {"path_order": order, "reach_table": FORMATS, "k_paths": 5}
    one, other = (make_setting(listed, network) for listed in (edges, edges[::-1]))
    assert one.topology.nodes == other.topology.nodes
    assert one.candidates.nodes == other.candidates.nodes


def test_formats_reach_up_to_their_length_and_no_further() -> None:
    formats = NetworkConfig.model_validate({"topology": "nsfnet", "reach_table": FORMATS}).reach_table
    lengths = np.array([1.0, 300.0, 300.5, 800.0, 801.0, 1500.0, 1500.1])
    assert best_efficiency(formats, lengths).tolist() == [4, 4, 2, 2, 1, 1, 0]
    assert best_efficiency(None, lengths).tolist() == [1.0] * 7


def test_the_tiny_world_is_as_its_drawing_says() -> None:
    setting = tiny.setting()
    candidates = by_pair(setting.candidates, setting.topology.nodes)
    assert candidates["1", "3"] == [("1", "2", "3"), ("1", "3")]
    assert candidates["1", "2"] == [("1", "2"), ("1", "3", "2")]
    assert candidates["2", "4"] == [("2", "1", "4"), ("2", "3", "4")] or candidates["2", "4"] == [
        ("2", "3", "4"),
        ("2", "1", "4"),
    ]
    assert set(map(len, candidates.values())) == {2}
    names = [setting.path_names(path) for path in range(len(setting.candidates.nodes))]
    widths = dict(zip(names, setting.world.path_width.tolist(), strict=True))
    assert widths["1-2-3"] == widths["1-3"] == [2, 3], "up to 500 km: 25 and 50 Gb/s, 1 guard"
    assert widths["1-3-2"] == [3, 5], "700 km"


def test_fewer_paths_than_asked_for_are_a_warning() -> None:
    network = tiny.NETWORK.model_copy(update={"k_paths": 50})
    read = topology.read(network.topology, network.links)
    with pytest.warns(UserWarning, match="k_paths=50.*only 3 candidate paths"):
        found = paths.find(network, read)
    assert set(Counter(found.pair_source.tolist()).values()) == {3}
    assert max(np.diff(found.path_first)) <= 4


LISTED = "source,target,nodes\n"
CHAIN: EdgeList = [("a", "b", 100.0), ("b", "c", 100.0), ("a", "c", 300.0)]
ALL_PAIRS = "a,b,a-b\nb,a,b-a\na,c,a-c\na,c,a-b-c\nc,a,c-a\nb,c,b-c\nc,b,c-b\n"


def read_listed(
    tmp_path: Path, text: str, links: str = "directed", k: int = 2
) -> dict[tuple[str, str], list[NamePath]]:
    file = tmp_path / "listed.csv"
    file.write_text(text)
    setting = make_setting(CHAIN, {"paths_file": str(file), "links": links, "k_paths": k})
    return by_pair(setting.candidates, setting.topology.nodes)


def test_listed_candidates_are_used_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = read_listed(tmp_path, "# a note\n" + LISTED + ALL_PAIRS)
    assert found["a", "c"] == [("a", "c"), ("a", "b", "c")]
    assert found["c", "a"] == [("c", "a")]


def test_a_rank_overrides_the_order_of_the_file_and_k_cuts_the_list(tmp_path: Path) -> None:
    ranked = "source,target,rank,nodes\n" + "".join(
        f"{row.split(',', 2)[0]},{row.split(',', 2)[1]},{1 if row.endswith('a-c') else 0},{row.split(',', 2)[2]}\n"
        for row in ALL_PAIRS.splitlines()
    )
    assert read_listed(tmp_path, ranked)["a", "c"] == [("a", "b", "c"), ("a", "c")]
    assert read_listed(tmp_path, ranked, k=1)["a", "c"] == [("a", "b", "c")]


def test_a_pair_listed_once_serves_both_ways_where_links_are_shared(tmp_path: Path) -> None:
    once = LISTED + "a,b,a-b\na,c,a-b-c\nb,c,b-c\n"
    found = read_listed(tmp_path, once, links="shared")
    assert found["c", "a"] == [("c", "b", "a")]
    with pytest.raises(TopologyError, match="no path from b to a"):
        read_listed(tmp_path, once, links="directed")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("source,target\na,b\n", "no column nodes"),
        (LISTED + ALL_PAIRS + "a,c,a-x-c\n", "a-x-c is not a simple path"),
        (LISTED + ALL_PAIRS + "a,c,a-b-a-c\n", "a-b-a-c is not a simple path"),
        (LISTED + ALL_PAIRS + "a,c,a-b\n", "does not lead from a to c"),
        (LISTED + ALL_PAIRS + "a,c\n", "row 9"),
        (LISTED + ALL_PAIRS + "a,c,\n", "row 9"),
        ("source,target,nodes,rank\na,b,a-b,first\n", "row 2.*first"),
        (LISTED + "a,b,a-b\n", "no path from a to c"),
    ],
)
def test_a_paths_file_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TopologyError, match=said) as caught:
        read_listed(tmp_path, text)
    assert "listed.csv" in str(caught.value)


def test_a_paths_file_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TopologyError, match=r"nowhere\.csv"):
        make_setting(CHAIN, {"paths_file": str(tmp_path / "nowhere.csv")})
