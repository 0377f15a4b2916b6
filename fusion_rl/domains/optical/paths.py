"""Candidate paths: up to K simple paths for every ordered pair, in a named order.

| order | candidates and their order |
| --- | --- |
| km | the K shortest; of equally long ones, those with fewer hops |
| hops | the K with fewest hops |
| hops-per-se | the K with fewest hops, ordered by hops / spectral efficiency of the best format that reaches |

Further ties are broken by a digest of the path's node names: fixed, and in favour of no link. This matters. Broken by
length or by node order, ties put the same few links first for many pairs, and KSP-FF on the DeepRMSA benchmark
(NSFNET, hops-per-se, K = 5, 250 Erlang) blocks 0.028 to 0.030 of the requests in place of 0.0255.

The candidates are a function of the network alone, and a pair and its reverse have the same ones.
hops-per-se follows XLRON (since January 2026); every simulator breaks ties in its own way, so an exact
comparison with one needs its own candidates: a file.
"""

import csv
import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import yen

from fusion_rl.arrays import Floats, Ints
from fusion_rl.config.network import NetworkConfig
from fusion_rl.domains.optical.modulation import best_efficiency, formats_of
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.errors import TopologyError

NodePath = tuple[int, ...]
_MOST_TIES = 4096  # looked into for one pair


@dataclass(frozen=True)
class CandidatePaths:
    """The candidates of every ordered pair, in one list.

    Attributes:
        pair_source, pair_target: node numbers, [R].
        path_first: the candidates of pair r are path_first[r] .. path_first[r + 1] - 1, [R + 1].
        link_first: the links of path p are path_links[link_first[p]] .. path_links[link_first[p + 1] - 1], [P + 1].
        path_links: link numbers from source to destination.
        length_km: [P].
        nodes: node numbers of each path.
    """

    pair_source: Ints
    pair_target: Ints
    path_first: Ints
    link_first: Ints
    path_links: Ints
    length_km: Floats
    nodes: tuple[NodePath, ...]


def find(network: NetworkConfig, topology: Topology) -> CandidatePaths:
    """The candidates that a network's settings ask for, each once for each format that a decision may choose.

    Raises:
        TopologyError: the candidate file does not fit the topology.
    """
    if network.paths_file is not None:
        lists = _read(Path(network.paths_file), topology, network.k_paths)
    else:
        lists = _search(network, topology)
    shortest = min(len(paths) for paths in lists)
    if shortest < network.k_paths:
        warnings.warn(
            f"k_paths={network.k_paths}, but some pairs of topology '{topology.name}' have only {shortest} "
            "candidate paths: they get what there is",
            stacklevel=2,
        )
    return repeated(numbered(lists, topology), len(formats_of(network)))


def _search(network: NetworkConfig, topology: Topology) -> list[list[NodePath]]:
    count = len(topology.nodes)
    number = {node: i for i, node in enumerate(topology.nodes)}
    weights = np.zeros((count, count))
    length_km = np.zeros((count, count))
    for edge in topology.edges:
        one, other = number[edge.source], number[edge.target]
        length_km[one, other] = length_km[other, one] = edge.length_km
        weights[one, other] = weights[other, one] = edge.length_km if network.path_order == "km" else 1.0
    graph = csr_array(weights)
    found: dict[tuple[int, int], list[NodePath]] = {}
    for source in range(count):
        for target in range(source + 1, count):
            paths = _k_least(graph, source, target, network.k_paths, topology.nodes)
            if network.path_order == "hops-per-se":
                paths.sort(key=_hops_per_efficiency(network, length_km))
            found[source, target] = paths
            found[target, source] = [path[::-1] for path in paths]
    return [found[int(s), int(t)] for s, t in zip(topology.pair_source, topology.pair_target, strict=True)]


def _hops_per_efficiency(network: NetworkConfig, length_km: Floats) -> Callable[[NodePath], float]:
    def key(path: NodePath) -> float:
        total_km = np.array([sum(length_km[a, b] for a, b in pairwise(path))])
        efficiency = best_efficiency(network.reach_table, total_km)[0]
        return (len(path) - 1) / efficiency if efficiency > 0 else float("inf")

    return key


def _k_least(graph: csr_array, source: int, target: int, k: int, names: Sequence[str]) -> list[NodePath]:
    """The k simple paths of least weight; ties at the end are looked into, not left to the search."""
    asked = k + 4
    while True:
        weights, before = yen(graph, source, target, asked, directed=False, return_predecessors=True)
        weights = np.round(weights, 6)
        if len(weights) < asked or weights[-1] > weights[k - 1] or asked > _MOST_TIES:
            break
        asked *= 2
    paths = [_walk_back(row, source, target) for row in before]
    keyed = sorted((w, len(path), _tie_key(path, names), path) for w, path in zip(weights, paths, strict=True))
    return [path for *_, path in keyed[:k]]


def _tie_key(path: NodePath, names: Sequence[str]) -> bytes:
    return hashlib.md5("-".join(names[node] for node in path).encode(), usedforsecurity=False).digest()


def _walk_back(before: Ints, source: int, target: int) -> NodePath:
    path = [target]
    while path[-1] != source:
        path.append(int(before[path[-1]]))
    return tuple(reversed(path))


def _read(file: Path, topology: Topology, k: int) -> list[list[NodePath]]:
    """Candidates from a CSV with the columns source, target, nodes (names joined by -), best first.

    A pair that is listed one way only serves both directions where links are shared. A column rank, if there
    is one, gives the order within a pair.
    """
    number = {node: i for i, node in enumerate(topology.nodes)}
    listed: dict[tuple[int, int], list[tuple[int, NodePath]]] = {}
    for place, row in _rows(file):
        names = row["nodes"].split("-")
        if not set(pairwise(names)) <= topology.link_number.keys() or len(set(names)) < len(names) or len(names) < 2:
            raise TopologyError(f"{place}: {row['nodes']} is not a simple path of topology '{topology.name}'")
        if (names[0], names[-1]) != (row["source"], row["target"]):
            raise TopologyError(f"{place}: {row['nodes']} does not lead from {row['source']} to {row['target']}")
        path = tuple(number[name] for name in names)
        known = listed.setdefault((path[0], path[-1]), [])
        known.append((int(row.get("rank") or len(known)), path))
    result = []
    for source, target in zip(topology.pair_source.tolist(), topology.pair_target.tolist(), strict=True):
        paths = [path for _, path in sorted(listed.get((source, target), []))]
        if not paths and topology.direction == "shared":
            paths = [path[::-1] for _, path in sorted(listed.get((target, source), []))]
        if not paths:
            raise TopologyError(
                f"paths file {file} has no path from {topology.nodes[source]} to {topology.nodes[target]}"
            )
        result.append(paths[:k])
    return result


def _rows(file: Path) -> list[tuple[str, dict[str, str]]]:
    """The rows of a paths file, each with a value for every column, and where each stands."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"paths file {file} cannot be read: {error}") from error
    kept = [(number, line) for number, line in enumerate(lines, start=1) if line.strip() and not line.startswith("#")]
    table = csv.DictReader(line for _, line in kept)
    missing = {"source", "target", "nodes"} - set(table.fieldnames or ())
    if missing:
        raise TopologyError(f"paths file {file}: no column {', '.join(sorted(missing))}")
    rows = []
    for row in table:
        place = f"paths file {file}, row {kept[table.line_num - 1][0]}"
        if None in row or None in row.values() or not row.get("rank", "0").isdigit():
            raise TopologyError(f"{place}: {list(row.values())} does not fit {', '.join(table.fieldnames or ())}")
        rows.append((place, row))
    return rows


def repeated(candidates: CandidatePaths, times: int) -> CandidatePaths:
    """The same candidates, each listed so many times in a row (once for each format, say)."""
    if times == 1:
        return candidates
    hops = np.repeat(np.diff(candidates.link_first), times)
    links = np.split(candidates.path_links, candidates.link_first[1:-1])
    return CandidatePaths(
        pair_source=candidates.pair_source,
        pair_target=candidates.pair_target,
        path_first=candidates.path_first * np.int32(times),
        link_first=np.cumsum([0, *hops], dtype=np.int32),
        path_links=np.concatenate([part for part in links for _ in range(times)]),
        length_km=np.repeat(candidates.length_km, times),
        nodes=tuple(path for path in candidates.nodes for _ in range(times)),
    )


def numbered(lists: list[list[NodePath]], topology: Topology) -> CandidatePaths:
    """Candidates from lists of node paths, one list a pair in the topology's order of pairs."""
    paths = [path for candidates in lists for path in candidates]
    names = topology.nodes
    links = [[topology.link_number[names[a], names[b]] for a, b in pairwise(path)] for path in paths]
    lengths = np.array([link.length_km for link in topology.links])
    return CandidatePaths(
        pair_source=topology.pair_source,
        pair_target=topology.pair_target,
        path_first=np.cumsum([0, *map(len, lists)], dtype=np.int32),
        link_first=np.cumsum([0, *map(len, links)], dtype=np.int32),
        path_links=np.array([link for path in links for link in path], np.int32),
        length_km=np.array([lengths[path].sum() for path in links]),
        nodes=tuple(paths),
    )
