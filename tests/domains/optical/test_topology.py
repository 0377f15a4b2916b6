"""Topology files: what is written is what is read, and what cannot be used is one clear error."""

import json
import math
import re
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given

from fusion_rl.domains.optical import topology
from fusion_rl.domains.optical.topology import preset_names
from fusion_rl.errors import TopologyError, UnknownNameError
from tests.domains.optical.worlds import EdgeList, edge_lists, few_examples

# Nodes and edges of the networks whose sources the files name
SIZES = {
    "conus": (75, 99),
    "cost239": (11, 26),
    "cost239-ptrnet": (11, 26),
    "german17": (17, 24),
    "jpn48": (48, 82),
    "jpn48-x1.5": (48, 82),
    "nsfnet": (14, 22),
    "nsfnet-fusion": (14, 22),
    "tataind": (143, 181),
    "usa100": (100, 171),
    "usnet": (24, 43),
    "usnet-ptrnet": (24, 43),
}


@pytest.mark.parametrize("name", preset_names())
def test_every_shipped_topology_is_connected_and_as_large_as_published(name: str) -> None:
    directed, shared = topology.read(name, "directed"), topology.read(name, "shared")
    nodes, edges = SIZES[name]
    assert len(shared.nodes) == nodes
    assert len(shared.edges) == len(shared.links) == edges
    assert len(directed.links) == 2 * edges
    assert nx.is_connected(shared.graph)
    assert min(edge.length_km for edge in shared.edges) > 0
    assert shared.source, "every file says where it is from"
    stated = re.search(r"(\d+) nodes", shared.source), re.search(r"(\d+) edges", shared.source)
    for said, is_so in zip(stated, (nodes, edges), strict=True):
        assert said is None or int(said[1]) == is_so


def test_links_are_numbered_one_way_and_then_the_other() -> None:
    directed, shared = topology.read("nsfnet", "directed"), topology.read("nsfnet", "shared")
    for number, edge in enumerate(shared.edges):
        assert shared.link_number[edge.source, edge.target] == shared.link_number[edge.target, edge.source] == number
        assert directed.link_number[edge.source, edge.target] == number
        assert directed.link_number[edge.target, edge.source] == number + 22
    for name in ("directed", "shared"):
        read = topology.read("nsfnet", name)
        for number, link in enumerate(read.links):
            assert read.link_number[link.source, link.target] == number


def test_ordered_pairs_go_by_source_and_then_destination() -> None:
    read = topology.read("nsfnet", "shared")
    pairs = list(zip(read.pair_source.tolist(), read.pair_target.tolist(), strict=True))
    assert pairs == [(s, t) for s in range(14) for t in range(14) if s != t]
    assert read.nodes == tuple(str(node) for node in range(1, 15)), "numbers in numeric order"


def write_csv(path: Path, edges: EdgeList) -> Path:
    path.write_text("\n".join(["# from nowhere", "source,target,length_km", *(f"{a},{b},{km}" for a, b, km in edges)]))
    return path


def as_graph(edges: EdgeList) -> nx.Graph:
    graph = nx.Graph()
    graph.add_weighted_edges_from(edges, weight="length_km")
    return graph


def write_graphml(path: Path, edges: EdgeList) -> Path:
    nx.write_graphml(as_graph(edges), path)
    return path


def write_node_link(path: Path, edges: EdgeList, key: str = "edges") -> Path:
    path.write_text(json.dumps(nx.node_link_data(as_graph(edges), edges=key)))
    return path


def lengths(read: topology.Topology) -> dict[frozenset[str], float]:
    return {frozenset((edge.source, edge.target)): edge.length_km for edge in read.edges}


@few_examples
@given(edge_lists())
def test_every_format_reads_what_was_written(tmp_path_factory: pytest.TempPathFactory, edges: EdgeList) -> None:
    folder = tmp_path_factory.mktemp("topologies")
    expected = {frozenset((one, other)): km for one, other, km in edges}
    files = [
        write_csv(folder / "a.csv", edges),
        write_csv(folder / "both.csv", edges + [(other, one, km) for one, other, km in edges]),
        write_graphml(folder / "a.graphml", edges),
        write_node_link(folder / "a.json", edges),
        write_node_link(folder / "links.json", edges, key="links"),
    ]
    for file in files:
        read = topology.read(str(file), "directed")
        assert lengths(read) == expected
        assert set(read.nodes) == {node for edge in edges for node in edge[:2]}
    assert topology.read(str(files[0]), "shared").source == "from nowhere"


SNDLIB = """<?xml version="1.0" encoding="UTF-8"?>
<network xmlns="http://sndlib.zib.de/network" version="1.0">
 <meta><origin>drawn for this test</origin></meta>
 <networkStructure>
  <nodes coordinatesType="geographical">
   <node id="Quito"><coordinates><x>0.0</x><y>0.0</y></coordinates></node>
   <node id="East"><coordinates><x>90.0</x><y>0.0</y></coordinates></node>
   <node id="Pole"><coordinates><x>0.0</x><y>90.0</y></coordinates></node>
  </nodes>
  <links>
   <link id="L1"><source>Quito</source><target>East</target></link>
   <link id="L2"><source>East</source><target>Pole</target></link>
   <link id="L3"><source>Pole</source><target>Quito</target><length>12000</length></link>
  </links>
 </networkStructure>
</network>
"""


def test_sndlib_links_without_a_length_follow_the_great_circle(tmp_path: Path) -> None:
    file = tmp_path / "corners.xml"
    file.write_text(SNDLIB)
    read = topology.read(str(file), "shared")
    assert (read.source, read.nodes) == ("drawn for this test", ("Quito", "East", "Pole"))
    quarter_km = 10_007.557  # of the circumference of a sphere with the Earth's mean radius, 6371.0088 km
    expected = {("Quito", "East"): quarter_km, ("East", "Pole"): quarter_km, ("Pole", "Quito"): 12000.0}
    assert lengths(read) == pytest.approx({frozenset(ends): km for ends, km in expected.items()}, rel=1e-6)
    middle = math.cos(math.radians(45.0))  # a map is true at its middle latitude
    assert read.places is not None
    assert np.array(read.places) == pytest.approx(np.array([(0, 0), (90 * middle, 0), (0, 90)]))


@pytest.mark.parametrize(
    ("found", "instead", "said"),
    [
        ("geographical", "pixel", "link L1 has no length, and its ends no geographical coordinates"),
        ("<target>Pole</target>", "<target>Plo</target>", "link L2 ends at 'Plo', which is no node"),
        ("12000", "-5", "has length -5 km"),
        ("12000", "nan", "has length nan km"),
        ("<x>90.0</x>", "<x>east</x>", "east"),
        ("networkStructure", "something", "no SNDlib network"),
        ("</network>", "", "cannot be read"),
    ],
)
def test_sndlib_xml_that_cannot_be_used_is_one_clear_error(tmp_path: Path, found: str, instead: str, said: str) -> None:
    file = tmp_path / "bad.xml"
    file.write_text(SNDLIB.replace(found, instead))
    with pytest.raises(TopologyError, match=said) as caught:
        topology.read(str(file), "shared")
    assert "\n" not in str(caught.value)


def test_places_are_kept_where_the_file_gives_all_of_them(tmp_path: Path) -> None:
    graph = as_graph([("a", "b", 100.0), ("b", "c", 200.0)])
    file = tmp_path / "placed.graphml"
    for number, node in enumerate(graph):
        graph.nodes[node].update(Longitude=float(number), Latitude=60.0)
    nx.write_graphml(graph, file)
    placed = topology.read(str(file), "shared")
    assert placed.places is not None
    assert np.array(placed.places) == pytest.approx(np.array([(0, 60), (0.5, 60), (1.0, 60)]))
    del graph.nodes["b"]["Latitude"]
    nx.write_graphml(graph, file)
    assert topology.read(str(file), "shared").places is None
    for number, node in enumerate(graph):
        graph.nodes[node].update(x=number, y=3)
    file = tmp_path / "placed.json"
    file.write_text(json.dumps(nx.node_link_data(graph, edges="edges")))
    assert topology.read(str(file), "shared").places == ((0, 3), (1, 3), (2, 3))


def test_a_digest_tells_networks_apart(tmp_path: Path) -> None:
    edges: EdgeList = [("a", "b", 100.0), ("b", "c", 200.0)]
    file = str(write_csv(tmp_path / "a.csv", edges))
    longer = str(write_csv(tmp_path / "b.csv", [("a", "b", 100.0), ("b", "c", 201.0)]))
    digests = [topology.read(file, "directed"), topology.read(file, "shared"), topology.read(longer, "shared")]
    assert len({read.sha256() for read in digests}) == 3
    assert topology.read(file, "shared").sha256() == digests[1].sha256()


HEAD = "source,target,length_km\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "a,b,100\nc,d,100\n", "not connected: (a, b|c, d) cannot be reached"),
        (HEAD + "a,b,-5\n", "a-b has length -5 km; it must be above 0"),
        (HEAD + "a,b,0\n", "a-b has length 0 km"),
        (HEAD + "a,b,inf\n", "a-b has length inf km"),
        (HEAD + "a,b,nan\n", "a-b has length nan km"),
        (HEAD + "a,a,5\n", "joins a node to itself"),
        (HEAD + "a,b,100\nb,a,101\n", "given twice, with 100 and 101 km"),
        (HEAD, "no edges"),
        ("", "no column length_km, source, target"),
        ("source,target\na,b\n", "no column length_km"),
        (HEAD + "a,b,far\n", "far"),
        (HEAD + "a,b\n", "cannot be read"),
        (HEAD + "a\n", "cannot be read"),
        (HEAD + ",b,100\n", "a node without a name"),
    ],
)
def test_an_edge_list_that_cannot_be_used_is_one_clear_error(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(TopologyError, match=said) as caught:
        topology.read(str(file), "shared")
    assert "bad" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bad.json", "{"),
        ("bad.json", "[]"),
        ("bad.json", "{}"),
        ("bad.json", '{"nodes": [{"id": "a"}, {"id": "b"}], "edges": [{"source": "a", "target": "b"}]}'),
        ("bad.json", '{"nodes": [{"id": 1}, {"id": 2}], "edges": [{"source": 1, "target": 2, "length_km": null}]}'),
        ("bad.graphml", "not xml"),
        ("bad.graphml", "<graphml/>"),
        ("bad.txt", "source,target,length_km\na,b,1\n"),
        ("bad.csv", "\xff\xfe"),
    ],
)
def test_a_file_that_is_no_topology_is_one_clear_error(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / name
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(TopologyError, match="bad") as caught:
        topology.read(str(file), "shared")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", ["graphml", "json"])
def test_a_node_without_edges_leaves_the_topology_unconnected(tmp_path: Path, ending: str) -> None:
    graph = as_graph([("a", "b", 100.0), ("b", "c", 100.0)])
    graph.add_node("lonely")
    file = tmp_path / f"lonely.{ending}"
    if ending == "graphml":
        nx.write_graphml(graph, file)
    else:
        file.write_text(json.dumps(nx.node_link_data(graph, edges="edges")))
    with pytest.raises(TopologyError, match="not connected: lonely"):
        topology.read(str(file), "shared")


def test_an_unknown_name_is_told_the_nearest_one() -> None:
    with pytest.raises(UnknownNameError, match="unknown topology 'nsfent': did you mean 'nsfnet'"):
        topology.read("nsfent", "directed")
