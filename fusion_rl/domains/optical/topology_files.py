"""Topology files: CSV edge lists, GraphML, node-link JSON and SNDlib XML, as edges and places of nodes."""

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx

Place = tuple[float, float]  # (x, y) on a map: east and north, in one unit

_EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
_PLANE, _GLOBE = ("x", "y"), (("longitude", "latitude"), ("lon", "lat"))


@dataclass(frozen=True)
class TopologyFile:
    """What a file says, unchecked.

    Attributes:
        source: where it was published, if the file says so.
        edges: (node, node, length in km).
        lonely: nodes without an edge.
        places: of the nodes; empty unless the file gives all of them.
    """

    source: str
    edges: list[tuple[str, str, float]]
    lonely: list[str] = field(default_factory=list)
    places: Mapping[str, Place] = field(default_factory=dict)


def great_circle_km(one: Place, other: Place) -> float:
    """Distance of two points (longitude, latitude), degrees, on the Earth's surface (haversine formula)."""
    (lon, lat), (to_lon, to_lat) = (tuple(map(math.radians, place)) for place in (one, other))
    chord = math.sin((to_lat - lat) / 2) ** 2 + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * _EARTH_RADIUS_KM * math.asin(math.sqrt(min(chord, 1.0)))


def _projected(places: Mapping[str, Place]) -> dict[str, Place]:
    """Longitudes and latitudes as a map: degrees of the middle latitude's length both ways."""
    latitudes = [latitude for _, latitude in places.values()]
    shrink = math.cos(math.radians((min(latitudes) + max(latitudes)) / 2))
    return {node: (longitude * shrink, latitude) for node, (longitude, latitude) in places.items()}


def _read_csv(path: Path) -> TopologyFile:
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    source = " ".join(line.lstrip("# ").strip() for line in lines if line.startswith("#"))
    rows = csv.DictReader(line for line in lines if line.strip() and not line.startswith("#"))
    missing = {"source", "target", "length_km"} - set(rows.fieldnames or ())
    if missing:
        raise ValueError(f"no column {', '.join(sorted(missing))}; it needs source,target,length_km")
    edges = []
    for row in rows:
        if None in row or None in row.values():
            raise ValueError(f"line {rows.line_num} of its table has not one value for each column")
        edges.append((row["source"].strip(), row["target"].strip(), float(row["length_km"])))
    return TopologyFile(source, edges)


def _read_graph(graph: nx.Graph) -> TopologyFile:
    edges = [(str(a), str(b), float(data["length_km"])) for a, b, data in graph.edges(data=True) if "length_km" in data]
    if len(edges) < graph.number_of_edges():
        raise ValueError("every edge needs the attribute length_km")
    lonely = [str(node) for node in nx.isolates(graph)]
    return TopologyFile(str(graph.graph.get("source", "")), edges, lonely, _graph_places(graph))


def _graph_places(graph: nx.Graph) -> Mapping[str, Place]:
    """Places from the node attributes x and y, or longitude and latitude, where every node has them."""
    nodes: dict[str, dict[str, Any]] = {
        str(node): {str(key).lower(): value for key, value in data.items()} for node, data in graph.nodes(data=True)
    }
    for across, up in (_PLANE, *_GLOBE):
        if nodes and all(across in data and up in data for data in nodes.values()):
            places = {node: (float(data[across]), float(data[up])) for node, data in nodes.items()}
            return places if (across, up) == _PLANE else _projected(places)
    return {}


def _read_graphml(path: Path) -> TopologyFile:
    return _read_graph(nx.read_graphml(path))


def _read_node_link(path: Path) -> TopologyFile:
    data = json.loads(path.read_text(encoding="utf-8"))
    return _read_graph(nx.node_link_graph(data, edges="edges" if "edges" in data else "links"))


def _read_sndlib(path: Path) -> TopologyFile:
    """A network in the XML of SNDlib (S. Orlowski et al., Networks 55, 276 (2010)).

    A link without a `length` is as long as the great circle between its ends.
    """
    root = ElementTree.parse(path).getroot()
    structure = root.find("{*}networkStructure")
    nodes = None if structure is None else structure.find("{*}nodes")
    links = None if structure is None else structure.find("{*}links")
    if nodes is None or links is None:
        raise ValueError("it is no SNDlib network: no networkStructure with nodes and links")
    geographical = nodes.get("coordinatesType") == "geographical"
    places: dict[str, Place] = {}
    for node in nodes.findall("{*}node"):
        x, y = (node.findtext(f"{{*}}coordinates/{{*}}{axis}") for axis in "xy")
        if x is not None and y is not None:
            places[node.attrib["id"]] = float(x), float(y)
    names = [node.attrib["id"] for node in nodes.findall("{*}node")]
    edges = []
    for link in links.findall("{*}link"):
        one, other = (link.findtext(f"{{*}}{end}", "").strip() for end in ("source", "target"))
        for end in (one, other):
            if end not in names:
                raise ValueError(f"link {link.get('id')} ends at '{end}', which is no node")
        length = link.findtext("{*}length")
        if length is None and not (geographical and one in places and other in places):
            raise ValueError(f"link {link.get('id')} has no length, and its ends no geographical coordinates")
        edges.append((one, other, great_circle_km(places[one], places[other]) if length is None else float(length)))
    ends = {end for one, other, _ in edges for end in (one, other)}
    if len(places) < len(names):
        places = {}
    origin = root.findtext("{*}meta/{*}origin", "").strip()
    lonely = [name for name in names if name not in ends]
    return TopologyFile(origin, edges, lonely, _projected(places) if places and geographical else places)


READERS = {".csv": _read_csv, ".graphml": _read_graphml, ".json": _read_node_link, ".xml": _read_sndlib}
