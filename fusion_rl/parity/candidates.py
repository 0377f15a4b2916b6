"""Candidate paths of others: where paths tie in hops or km, who comes first decides the blocking.

Source of the tables: NSFNET with 44 directed links, exported from XLRON 1.1.0 (M. Doherty and A. Beghelli).
"""

import csv
import gzip
import json
from importlib import resources
from pathlib import Path
from typing import Any

from fusion_rl.errors import ConfigError

NodeNames = list[str]
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


def write(table: Table, file: Path) -> None:
    """Write candidates as the CSV that `network.paths_file` names."""
    with file.open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle)
        rows.writerow(["source", "target", "nodes"])
        for (source, target), paths in table.items():
            rows.writerows([source, target, "-".join(path)] for path in paths)
