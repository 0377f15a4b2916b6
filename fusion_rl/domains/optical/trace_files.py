"""Trace files: read and checked, or written.

A trace is a CSV or Parquet table, a row for each request:

| column | what |
| --- | --- |
| arrival_time | time of arrival, from 0 on, never before the row above (of the same lane) |
| holding_time | how long the request stays once served, 0 or more, in the same unit |
| source, destination | node names of the topology, two different ones |
| bandwidth_gbps | bit rate, Gb/s, above 0; or instead of it |
| width_slots | width in slots without the guard slots, at least 1 |
| lane | may be left out: the independent network, 0, 1, ..., that the request belongs to |
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion_rl.arrays import Bools, Floats, Ints, frozen
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.topology import Topology
from fusion_rl.domains.optical.traces import Trace
from fusion_rl.domains.optical.traffic import BandwidthClasses
from fusion_rl.errors import TrafficError, nearest_hint

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".csv", ".parquet")
COLUMNS = ("arrival_time", "holding_time", "source", "destination")
BANDWIDTHS = ("bandwidth_gbps", "width_slots")


def read(file: str, topology: Topology, slot_width_ghz: float) -> Trace:
    """Read a trace and check all of it.

    Args:
        file: CSV or Parquet.
        topology: whose nodes it names.
        slot_width_ghz: width of one slot.

    Raises:
        TrafficError: the file cannot be read, a column is missing or unknown, or a row cannot be served; the
            first such row is named, counted from 1 without the heading.
    """
    table = _table(file)
    _check_columns(file, list(table.columns))
    if table.empty:
        raise TrafficError(f"trace {file} has no requests")
    arrival, holding = _numbers(file, table, "arrival_time"), _numbers(file, table, "holding_time")
    _refuse(file, "arrival_time", arrival < 0, arrival, "must be 0 or more")
    _refuse(file, "holding_time", holding < 0, holding, "must be 0 or more")
    lane = _numbers(file, table, "lane") if "lane" in table else np.zeros(len(table))
    lanes = np.unique(lane)
    if not np.array_equal(lanes, np.arange(lanes.size)):
        raise TrafficError(f"trace {file}: lanes must be 0, 1, 2 ..., without gaps; it has {lanes[:8].tolist()}")
    order = np.argsort(lane, kind="stable")
    back = np.zeros(len(table), np.bool_)
    back[order[1:]] = (np.diff(arrival[order]) < 0) & (np.diff(lane[order]) == 0)
    _refuse(file, "arrival_time", back, arrival, "is before the request above it: time goes backwards")
    kind = next(column for column in BANDWIDTHS if column in table)
    asked = _numbers(file, table, kind)
    in_slots = kind == "width_slots"
    if in_slots:
        usable = (asked >= 1) & (asked == np.floor(asked)) & (asked <= np.iinfo(np.int32).max)
        _refuse(file, kind, ~usable, asked, "must be a whole number from 1 on")
    else:
        _refuse(file, kind, asked <= 0, asked, "must be above 0")
    return Trace(
        file=file,
        arrival=frozen(arrival[order]),
        holding=frozen(holding[order]),
        pair=frozen(_pairs(file, table, topology)[order]),
        gbps=frozen((asked * slot_width_ghz if in_slots else asked)[order]),
        slots=frozen((asked if in_slots else np.zeros_like(asked)).astype(np.int32)[order]),
        lane_first=frozen(np.searchsorted(lane[order], np.arange(lanes.size + 1)).astype(np.int32)),
    )


def check_writable(file: str | Path) -> None:
    """Make sure before a run that its trace can be written.

    Raises:
        TrafficError: unknown ending, or a folder that is missing or cannot be written.
    """
    path = Path(file)
    _check_ending(str(file))
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise TrafficError(f"trace {file} cannot be written: {path.parent} must be a folder that can be written")


def write(file: str | Path, lanes: Sequence[Requests], topology: Topology, classes: BandwidthClasses) -> None:
    """Write requests as a trace, which is complete or not there at all.

    Args:
        file: CSV or Parquet.
        lanes: the requests of each lane.
        topology: of whose nodes they are.
        classes: of which their bandwidths are.

    Raises:
        TrafficError: the file cannot be written, or requests mix widths in slots and bit rates.
    """
    import pandas as pd

    check_writable(file)
    pair = np.concatenate([requests.pair for requests in lanes])
    bandwidth_class = np.concatenate([requests.bandwidth_class for requests in lanes])
    in_slots = classes.slots[bandwidth_class] > 0
    if in_slots.any() and not in_slots.all():
        raise TrafficError(f"trace {file} cannot be written: requests mix widths in slots and bit rates")
    nodes = np.array(topology.nodes)
    table = pd.DataFrame(
        {
            "lane": np.repeat(np.arange(len(lanes)), [requests.pair.size for requests in lanes]),
            "arrival_time": np.concatenate([requests.arrival for requests in lanes]),
            "holding_time": np.concatenate([requests.holding for requests in lanes]),
            "source": nodes[topology.pair_source[pair]],
            "destination": nodes[topology.pair_target[pair]],
        }
    )
    if in_slots.all():
        table["width_slots"] = classes.slots[bandwidth_class]
    else:
        table["bandwidth_gbps"] = classes.gbps[bandwidth_class]
    path = Path(file)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made = Path(folder) / path.name
            if path.suffix.lower() == ".csv":
                table.to_csv(made, index=False)  # floats are written so that reading gives the same bits
            else:
                table.to_parquet(made, index=False)
            os.replace(made, path)
    except OSError as error:
        raise TrafficError(f"trace {file} cannot be written: {error.strerror or error}") from error


def _table(file: str) -> "pd.DataFrame":
    import pandas as pd

    _check_ending(file)
    try:
        if file.lower().endswith(".parquet"):
            return pd.read_parquet(file).reset_index(drop=True)
        # as text: so a node named "NA" or "01" stays as it is, and numbers are read to the last bit
        return pd.read_csv(file, dtype=str, keep_default_na=False)
    except (OSError, ValueError, ImportError) as error:  # errors of both parsers are ValueErrors
        raise TrafficError(f"trace {file} cannot be read: {error}") from error


def _check_ending(file: str) -> None:
    if not file.lower().endswith(ENDINGS):
        raise TrafficError(f"trace {file}: unknown ending '{Path(file).suffix}'; known: {', '.join(ENDINGS)}")


def _check_columns(file: str, given: list[str]) -> None:
    known = (*COLUMNS, *BANDWIDTHS, "lane")
    for column in given:
        if column not in known:
            raise TrafficError(f"trace {file}: unknown column '{column}': {nearest_hint(str(column), known)}")
    for column in COLUMNS:
        if column not in given:
            raise TrafficError(f"trace {file} has no column {column}; it needs {', '.join(COLUMNS)}")
    if sum(column in given for column in BANDWIDTHS) != 1:
        raise TrafficError(f"trace {file} needs one of the columns {' and '.join(BANDWIDTHS)}, and only one")


def _numbers(file: str, table: "pd.DataFrame", column: str) -> Floats:
    given = table[column].to_numpy()
    try:
        values = given.astype(np.float64)
    except (ValueError, TypeError):
        values = np.array([_number(value) for value in given])
    _refuse(file, column, ~np.isfinite(values), given, "is not a finite number")
    return np.asarray(values)


def _number(value: object) -> float:
    """NaN for what is no number."""
    try:
        return float(value)  # type: ignore[arg-type]  # whatever a column may hold
    except (ValueError, TypeError):
        return float("nan")


def _pairs(file: str, table: "pd.DataFrame", topology: Topology) -> Ints:
    number = {node: i for i, node in enumerate(topology.nodes)}
    ends = []
    for column in ("source", "destination"):
        names = table[column].astype(str).str.strip()
        ends.append(names.map(number).fillna(-1).to_numpy(np.int64))
        hint: Callable[[str], str] = lambda name: f"is no node of '{topology.name}': {nearest_hint(name, number)}"  # noqa: E731
        _refuse(file, column, ends[-1] < 0, names, hint)
    source, target = ends
    _refuse(file, "destination", source == target, table["destination"], "is the source too")
    pair_of = np.full((len(number), len(number)), -1, np.int32)
    pair_of[topology.pair_source, topology.pair_target] = np.arange(topology.pair_source.size)
    return np.asarray(pair_of[source, target])


def _refuse(file: str, column: str, wrong: Bools, values: Any, why: str | Callable[[str], str]) -> None:
    """Raise for the first row that is wrong, with its value."""
    if not wrong.any():
        return
    row = int(np.argmax(wrong))
    value = str(values[row])
    reason = why if isinstance(why, str) else why(value)
    raise TrafficError(f"trace {file}, row {row + 1}: {column} '{value}' {reason}")
