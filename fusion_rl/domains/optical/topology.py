"""Topologies: read, checked, and numbered.

A topology file lists each edge once (or in both directions, with one length). Formats: CSV with the columns
source, target, length_km (lines that start with # are comments); GraphML and node-link JSON with the edge
attribute length_km, and x and y or longitude and latitude of the nodes if known; SNDlib XML.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Literal

import networkx as nx
import numpy as np

from fusion_rl.arrays import Ints
from fusion_rl.domains.optical.topology_files import READERS, Place
from fusion_rl.errors import TopologyError, UnknownNameError

DATA = resources.files("fusion_rl.domains.optical") / "data" / "topologies"


@dataclass(frozen=True)
class Link:
    """A spectrum from one node to another; for shared links, the spectrum of both directions."""

    source: str
    target: str
    length_km: float


@dataclass(frozen=True)
class Topology:
    """A connected network.

    Attributes:
        name: preset or file name.
        source: where the edges and lengths were published, if known.
        nodes: node names; integers in numeric order, other names in the file's order.
        edges: each edge once.
        direction: "directed" gives each direction of an edge a spectrum of its own: edge e is link e one way and
            link e + len(edges) the other way. "shared" has one spectrum an edge.
        places: (x, y) of each node on a map, in one unit; None where the file has none.
    """

    name: str
    source: str
    nodes: tuple[str, ...]
    edges: tuple[Link, ...]
    direction: Literal["directed", "shared"]
    places: tuple[Place, ...] | None = None

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """The spectra, in the order that link numbers follow."""
        if self.direction == "shared":
            return self.edges
        return self.edges + tuple(Link(e.target, e.source, e.length_km) for e in self.edges)

    @cached_property
    def link_number(self) -> dict[tuple[str, str], int]:
        """(from, to) -> link number, both ways."""
        back = len(self.edges) if self.direction == "directed" else 0
        numbers = {(e.source, e.target): i for i, e in enumerate(self.edges)}
        return numbers | {(e.target, e.source): i + back for i, e in enumerate(self.edges)}

    @cached_property
    def graph(self) -> nx.Graph:
        """Undirected graph with the edge attribute length_km."""
        graph = nx.Graph(name=self.name)
        graph.add_nodes_from(self.nodes)
        graph.add_weighted_edges_from([(e.source, e.target, e.length_km) for e in self.edges], weight="length_km")
        return graph

    @cached_property
    def pair_source(self) -> Ints:
        """Source node of each ordered pair, [R]; pairs in order of source, then destination."""
        count = len(self.nodes)
        return np.repeat(np.arange(count, dtype=np.int32), count - 1)

    @cached_property
    def pair_target(self) -> Ints:
        """Destination node of each ordered pair, [R]."""
        count = len(self.nodes)
        return np.array([t for s in range(count) for t in range(count) if t != s], np.int32)

    def sha256(self) -> str:
        """Digest of the edges, their lengths and direction."""
        text = json.dumps([self.direction, self.nodes, [(e.source, e.target, e.length_km) for e in self.edges]])
        return hashlib.sha256(text.encode()).hexdigest()


def preset_names() -> list[str]:
    """Names of the topologies that come with the package."""
    return sorted(file.name.removesuffix(".csv") for file in DATA.iterdir() if file.name.endswith(".csv"))


def read(name_or_path: str, direction: Literal["directed", "shared"]) -> Topology:
    """Read a topology by preset name or from a file.

    Raises:
        UnknownNameError: neither a preset nor a file.
        TopologyError: the file cannot be read, or does not describe a connected network.
    """
    path = Path(name_or_path)
    if name_or_path in preset_names():
        path = Path(str(DATA / f"{name_or_path}.csv"))
    elif not path.is_file():
        raise UnknownNameError("topology", name_or_path, preset_names())
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise TopologyError(f"topology {path}: unknown ending '{path.suffix}'; known: {', '.join(READERS)}")
    try:
        found = reader(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, nx.NetworkXException, SyntaxError) as error:
        raise TopologyError(f"topology {path}: cannot be read: {error}") from error
    return checked(path.stem, found.source, found.edges, direction, found.lonely, found.places)


def checked(
    name: str,
    source: str,
    edges: Iterable[tuple[str, str, float]],
    direction: Literal["directed", "shared"],
    lonely: Iterable[str] = (),
    places: Mapping[str, Place] | None = None,
) -> Topology:
    """A topology from its edges, once they describe a connected network with positive lengths.

    `lonely` names nodes that are said to have no edge, which is an error; `places` are those of all nodes, if known.

    Raises:
        TopologyError: no edges, a loop, a length that is not positive, two lengths for one edge, unconnected parts.
    """
    lengths: dict[tuple[str, str], float] = {}
    for one, other, length_km in edges:
        if not one or not other:
            raise TopologyError(f"topology '{name}': an edge '{one}'-'{other}' has a node without a name")
        if one == other:
            raise TopologyError(f"topology '{name}': edge {one}-{other} joins a node to itself")
        if not 0 < length_km < float("inf"):
            raise TopologyError(
                f"topology '{name}': edge {one}-{other} has length {length_km:g} km; it must be above 0"
            )
        key = (other, one) if (other, one) in lengths else (one, other)
        if lengths.setdefault(key, length_km) != length_km:
            raise TopologyError(
                f"topology '{name}': edge {one}-{other} is given twice, with {lengths[key]:g} and {length_km:g} km"
            )
    if not lengths:
        raise TopologyError(f"topology '{name}' has no edges")
    names = list(dict.fromkeys([*(node for pair in lengths for node in pair), *lonely]))
    if all(node.isdigit() for node in names):
        names.sort(key=int)
    located = tuple(places[node] for node in names) if places else None
    for node, place in zip(names, located or (), strict=False):
        if not all(map(math.isfinite, place)):
            raise TopologyError(f"topology '{name}': node {node} is at {place}; coordinates must be finite")
    links = tuple(Link(a, b, km) for (a, b), km in lengths.items())
    topology = Topology(name, source, tuple(names), links, direction, located)
    parts = list(nx.connected_components(topology.graph))
    if len(parts) > 1:
        stray = ", ".join(sorted(sorted(parts, key=len)[0]))
        raise TopologyError(f"topology '{name}' is not connected: {stray} cannot be reached from the other nodes")
    return topology
