"""`fusion-rl topologies`: the networks that come with the package, or one from a file, in figures and as a map."""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion_rl.cli.options import Json
from fusion_rl.cli.output import print_json, print_table
from fusion_rl.errors import ConfigError

if TYPE_CHECKING:
    from fusion_rl.domains.optical.topology import Topology

_MAP_COLUMNS, _MAP_ROWS = 76, 26
_PICTURES = (".png", ".svg", ".pdf")

app = typer.Typer(help="List networks, or show one in figures and as a map.", invoke_without_command=True)


@app.callback()
def _list_when_nothing_is_asked(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_presets()


@app.command("list")
def list_presets(as_json: Json = False) -> None:
    """List the topologies that come with the package."""
    from fusion_rl.domains.optical import topology

    found = [figures(topology.read(name, "shared")) for name in topology.preset_names()]
    if as_json:
        print_json({"topologies": found})
        return
    columns = ("name", "nodes", "edges", "total_km", "mean_degree", "diameter_hops", "diameter_km", "source")
    for row in found:
        row["source"] = row["source"].rpartition("Source: ")[2]
    print_table([column.replace("_", " ") for column in columns], [[row[c] for c in columns] for row in found])


@app.command()
def show(
    topology: Annotated[
        str, typer.Argument(help="Topology: name, or a CSV, GraphML, node-link JSON or SNDlib XML file.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Draw the map into this file (.png, .svg or .pdf) instead.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one topology: its figures and a map; with --json its edges."""
    if output is not None and output.suffix.lower() not in _PICTURES:
        raise ConfigError(f"--output {output}: unknown kind of picture; known: {', '.join(_PICTURES)}")
    from fusion_rl.domains.optical.topology import read

    found = read(topology, "shared")
    shown = figures(found)
    if output is not None:
        _draw_picture(found, output)
        shown["map"] = str(output)
    if as_json:
        edges = [{"source": e.source, "target": e.target, "length_km": e.length_km} for e in found.edges]
        print_json({**shown, "node_names": found.nodes, "edge_list": edges})
        return
    print_table(("", found.name), [(key.replace("_", " "), str(value)) for key, value in shown.items()])
    if output is None:
        typer.echo(text_map(found))


def figures(topology: "Topology") -> dict[str, Any]:
    """What a topology is, in numbers: each edge counted once, lengths in km, shortest paths by hops and by km."""
    import networkx as nx

    lengths = [edge.length_km for edge in topology.edges]
    hops = dict(nx.all_pairs_shortest_path_length(topology.graph))
    km = dict(nx.all_pairs_dijkstra_path_length(topology.graph, weight="length_km"))
    return {
        "name": topology.name,
        "nodes": len(topology.nodes),
        "edges": len(topology.edges),
        "total_km": round(sum(lengths), 1),
        "shortest_edge_km": round(min(lengths), 1),
        "longest_edge_km": round(max(lengths), 1),
        "mean_degree": round(2 * len(topology.edges) / len(topology.nodes), 2),
        "diameter_hops": max(most for row in hops.values() for most in row.values()),
        "diameter_km": round(max(most for row in km.values() for most in row.values()), 1),
        "places": "laid out by length" if topology.places is None else "from the file",
        "source": topology.source,
    }


def positions(topology: "Topology") -> dict[str, tuple[float, float]]:
    """A place in the unit square for each node: as the file says, or so that distances are like those along fibres."""
    import networkx as nx
    import numpy as np

    if topology.places is not None:
        turned = np.array(topology.places)
    else:
        layout = nx.kamada_kawai_layout(topology.graph, weight="length_km")
        places = np.array([layout[node] for node in topology.nodes])
        _, _, axes = np.linalg.svd(places - places.mean(axis=0), full_matrices=False)
        turned = places @ axes.T  # the longest extent lies across
    turned = (turned - turned.min(axis=0)) / np.maximum(np.ptp(turned, axis=0), 1e-9)
    return {node: (float(x), float(y)) for node, (x, y) in zip(topology.nodes, turned, strict=True)}


def text_map(topology: "Topology") -> str:
    """The nodes by name, joined by dotted lines, for a terminal; not to scale."""
    widest = max(map(len, topology.nodes))
    cells = {
        node: (round(x * (_MAP_COLUMNS - widest)), round((1 - y) * (_MAP_ROWS - 1)))
        for node, (x, y) in positions(topology).items()
    }
    canvas = [[" "] * _MAP_COLUMNS for _ in range(_MAP_ROWS)]
    for edge in topology.edges:
        (x, y), (to_x, to_y) = cells[edge.source], cells[edge.target]
        steps = max(abs(to_x - x) // 2, abs(to_y - y), 1)
        for i in range(steps + 1):
            canvas[round(y + (to_y - y) * i / steps)][round(x + (to_x - x) * i / steps)] = "·"
    for node, (x, y) in cells.items():
        canvas[y][x : x + len(node)] = node
    return "\n".join("".join(row).rstrip() for row in canvas)


def _picture_height_in(topology: "Topology") -> float:
    """Inches beside a width of 10."""
    return 6.0 if topology.places is None else min(max(10 * _proportions(topology), 4.0), 9.0)


def _proportions(topology: "Topology") -> float:
    """Height by width of the places that a topology's file gives, within what a page can show."""
    across, up = ([place[axis] for place in topology.places or ()] for axis in (0, 1))
    width, height = max(across) - min(across), max(up) - min(up)
    return min(max(height / width, 0.25), 4.0) if width > 0 else 4.0


def _draw_picture(topology: "Topology", output: Path) -> None:
    """Draw the map into a file, which is complete or not there at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    places = positions(topology)
    figure = Figure(figsize=(10, _picture_height_in(topology)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_title(f"{topology.name}: {len(topology.nodes)} nodes, {len(topology.edges)} edges, lengths in km")
    few = len(topology.edges) <= 60  # beyond that, lengths would only hide the map
    for edge in topology.edges:
        across, up = zip(places[edge.source], places[edge.target], strict=True)
        axes.plot(across, up, color="#8a94a0", linewidth=1.6, zorder=1)
        if few:
            middle = (sum(across) / 2, sum(up) / 2)
            axes.annotate(f"{edge.length_km:.4g}", middle, ha="center", va="center", size=7, color="#4b5563",
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})  # fmt: skip
    across, up = zip(*places.values(), strict=True)
    if max(map(len, places)) <= 3:
        axes.scatter(across, up, s=380 if few else 120, color="#1f4e79", zorder=2)
        name_box = None
    else:  # names do not fit into circles
        name_box = {"facecolor": "#1f4e79", "edgecolor": "none", "boxstyle": "round,pad=0.3"}
    for node, place in places.items():
        axes.annotate(
            node, place, ha="center", va="center", size=9 if few else 5, color="white", zorder=3, bbox=name_box
        )
    axes.margins(0.08)
    if topology.places is not None:
        axes.set_box_aspect(_proportions(topology))
    try:
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            drawn = Path(folder) / output.name
            figure.savefig(drawn, dpi=160)
            os.replace(drawn, output)
    except OSError as error:
        raise ConfigError(f"--output {output} cannot be written: {error.strerror or error}") from error
