"""Candidate paths of others: where paths tie in hops or km, who comes first decides the blocking.

`enumerated` finds them as XLRON (M. Doherty and A. Beghelli) does; `xlron_table` has what XLRON 1.1.0 exported for
NSFNET with 44 directed links, and both are the same. Source of 1.1.0's rule: its init_path_link_array, which adds that
the code of the survey "Hype or Hope?" (arXiv 2502.12804) had no digest. Source of the survey's: the same function at
the time when --weight chose the order, as it does in the survey's scripts.
"""

import csv
import gzip
import hashlib
import json
from functools import cache, partial
from importlib import resources
from itertools import combinations, islice
from pathlib import Path
from typing import Any, Literal

import networkx as nx
import numpy as np

from fusion_rl.config.network import NetworkConfig
from fusion_rl.domains.optical import topology
from fusion_rl.domains.optical.modulation import best_efficiency
from fusion_rl.errors import ConfigError

Source = Literal["xlron", "survey"]  # XLRON 1.1.0; XLRON when its authors made their survey
Links = Literal["directed", "shared"]
NodeNames = list[str]
Rank = tuple[float, ...]
Table = dict[tuple[str, str], list[NodeNames]]  # source and target -> paths, best first

_DATA = resources.files("fusion_rl.parity") / "data"


def xlron_table(k_paths: int, path_order: str) -> Table:
    """XLRON's candidates for NSFNET: K = 5 by km, hops and hops-per-se, K = 50 by hops-per-se.

    Raises:
        ConfigError: there is no such table.
    """
    orders = xlron_orders(k_paths)
    if path_order not in orders:
        raise ConfigError(f"no candidate table by {path_order} for K={k_paths}: known: {', '.join(orders)}")
    pairs = orders[path_order].items()
    return {(pair.split(">")[0], pair.split(">")[1]): [path.split("-") for path in paths] for pair, paths in pairs}


def xlron_orders(k_paths: int) -> Any:
    """Every table of XLRON's for K candidates: order -> "source>target" -> paths as node names joined by dashes."""
    if k_paths == 50:
        text = gzip.decompress((_DATA / "nsfnet_candidates_k50.json.gz").read_bytes()).decode()
    elif k_paths == 5:
        text = (_DATA / "nsfnet_candidates_k5.json").read_text()
    else:
        raise ConfigError(f"no candidate table for K={k_paths}: known: 5, 50")
    return json.loads(text)["orders"]


def enumerated(network: NetworkConfig, source: Source) -> Table:
    """The candidates that XLRON finds for a network, all ties included.

    | order | candidates | xlron: in order of | survey: in order of |
    | --- | --- | --- | --- |
    | km | the K shortest | km, hops, digest | km |
    | hops | the K with fewest hops | hops, digest | hops / spectral efficiency, longest first; see below |
    | hops-per-se | the K with fewest hops | hops / spectral efficiency, hops, digest | - |

    Where nothing else decides, and where the K-th ties with the next, it is as networkx lists them. The survey's code
    turned the formats round for every pair anew, so for every second pair the format of longest reach, which has the
    lowest efficiency, was taken for all paths: these pairs are in order of hops. So are all where there are no formats.

    Raises:
        ConfigError: the survey has no such order.
    """
    if source == "survey" and network.path_order == "hops-per-se":
        raise ConfigError("the survey has no candidates by hops-per-se: known: km, hops")
    graph = _graph(network.topology, network.links)
    table: Table = {}
    listed = _listed(network.topology, network.links, network.k_paths, network.path_order == "km")
    for number, (pair, paths) in enumerate(listed.items()):
        table[pair] = sorted(paths, key=partial(_RANKS[source], graph=graph, network=network, number=number))
        if network.links == "shared":
            table[pair[::-1]] = [path[::-1] for path in table[pair]]
    return table


@cache
def _graph(name: str, links: Links) -> nx.Graph:
    """The network with its nodes and links in the order of XLRON's files, which is that of ours."""
    read = topology.read(name, links)
    graph = nx.Graph() if links == "shared" else nx.DiGraph()
    graph.add_nodes_from(read.nodes)
    graph.add_weighted_edges_from([(link.source, link.target, link.length_km) for link in read.links], "km")
    return graph


@cache  # many settings differ in the order of the same paths alone
def _listed(name: str, links: Links, k_paths: int, by_km: bool) -> Table:
    """The first paths that networkx lists; both directions of a pair where links are directed."""
    graph = _graph(name, links)
    pairs = list(combinations(graph.nodes, 2))
    if links == "directed":
        pairs += [pair[::-1] for pair in pairs]
    weight = "km" if by_km else None
    return {pair: list(islice(nx.shortest_simple_paths(graph, *pair, weight=weight), k_paths)) for pair in pairs}


def _rank_of_1_1_0(path: NodeNames, graph: nx.Graph, network: NetworkConfig, number: int) -> Rank:
    hops, length_km = len(path) - 1, nx.path_weight(graph, path, "km")
    digest = int(hashlib.sha256(f"[{', '.join(path)}]".encode()).hexdigest(), 16)
    first = {"km": length_km, "hops": hops, "hops-per-se": hops / _efficiency(network, length_km)}[network.path_order]
    return first, hops, digest


def _rank_of_survey(path: NodeNames, graph: nx.Graph, network: NetworkConfig, number: int) -> Rank:
    length_km = nx.path_weight(graph, path, "km")
    if network.path_order == "km":
        return (length_km,)
    return (len(path) - 1) / (_efficiency(network, length_km) if number % 2 == 0 else 1.0), -length_km


_RANKS = {"xlron": _rank_of_1_1_0, "survey": _rank_of_survey}


def _efficiency(network: NetworkConfig, length_km: float) -> float:
    return float(best_efficiency(network.reach_table, np.array([length_km]))[0])


def write(table: Table, file: Path) -> None:
    """Write candidates as the CSV that `network.paths_file` names."""
    with file.open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle)
        rows.writerow(["source", "target", "nodes"])
        for (source, target), paths in table.items():
            rows.writerows([source, target, "-".join(path)] for path in paths)
