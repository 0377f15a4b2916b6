"""Where a policy blocks, and why: pairs of nodes, links that are in the way, and what was missing.

A request that is blocked for want of spectrum could have used one of its candidate paths. What was missing is told of
the path that came nearest:

| cause | some candidate path ... |
| --- | --- |
| own choice | had room, and the policy did not take it |
| continuity | has a block wide enough on each of its links, but no block in the same slots on all of them |
| fragmentation | has as many free slots as it takes on each of its links, on one of them in pieces |
| full links | (none of the above) every candidate path has a link with fewer free slots than the request takes |

Networks that groom, split or protect, or that check signals, say the simulator's own reason instead.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion_rl.analysis.decisions import Decided
from fusion_rl.arrays import Bools, Floats, Words
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, BLOCKED_NO_SPECTRUM, VERDICT_NAMES
from fusion_rl.domains.optical.world import World
from fusion_rl.training.charts import COLOURS
from fusion_rl.training.plots import ACCENT, BUSY, FAINT, INK, dress, frame, utilisation_map

CAUSES = ("own choice", "continuity", "fragmentation", "full links")  # from the nearest miss to the farthest


@lru_cache(maxsize=4)  # several figures are made of it
def blocked_requests(decided: Decided) -> pd.DataFrame:
    """The requests that were blocked, one row each, indexed by number: who asked for what, and what was missing.

    `cause` is one of `CAUSES`, or the simulator's reason where it is not for want of spectrum. `in_the_way` are the
    links of which each alone, were it idle, would have let the request in on one of its candidate paths.
    """
    world, topology = decided.setting.world, decided.setting.topology
    rows = []
    for t, found in decided.found_blocked.items():
        pair, kind = int(decided.requests.pair[t]), int(decided.requests.bandwidth_class[t])
        verdict = int(decided.made.verdict[t])
        cause, links = VERDICT_NAMES[verdict], list[int]()
        if verdict == BLOCKED_NO_SPECTRUM and world.rules is None and world.transmission is None:
            cause, links = what_was_missing(world, free_slots(world, found), pair, kind)
        rows.append(
            {
                "request": t,
                "from": topology.nodes[world.pair_source[pair]],
                "to": topology.nodes[world.pair_target[pair]],
                "gbps": float(world.class_gbps[kind]),
                "cause": cause,
                "in_the_way": [f"{topology.links[link].source}-{topology.links[link].target}" for link in links],
            }
        )
    columns = ["request", "from", "to", "gbps", "cause", "in_the_way"]
    return pd.DataFrame(rows, columns=columns).set_index("request")


def free_slots(world: World, occupied: Words) -> Bools:
    """Every slot of every link, true where it is free, [L, S]."""
    return ~bitmap.unpacked(occupied, world.slots)


def what_was_missing(world: World, free: Bools, pair: int, bandwidth_class: int) -> tuple[str, list[int]]:
    """Why a request found no room, and the links of which each alone, were it idle, would have let it in.

    Args:
        world: the network; each service has a lightpath of its own.
        free: slots that were free, [L, S].
        pair: of the request.
        bandwidth_class: of the request.
    """
    nearest, in_the_way = CAUSES[-1], []
    for path in range(int(world.path_first[pair]), int(world.path_first[pair + 1])):
        width = int(world.path_width[path, bandwidth_class])
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]].tolist()
        if width == 0:
            continue  # out of reach
        nearest = min(nearest, _missing(free[links], width), key=CAUSES.index)
        for one in links:
            others = [link for link in links if link != one]
            if longest_block(np.all(free[others], axis=0)) >= width:
                in_the_way.append(one)
    return nearest, list(dict.fromkeys(in_the_way))


def _missing(free: Bools, width: int) -> str:
    """What is missing on one path, of whose links the free slots are given, [H, S]."""
    if longest_block(np.all(free, axis=0)) >= width:
        return CAUSES[0]
    if all(longest_block(link) >= width for link in free):
        return CAUSES[1]
    return CAUSES[2] if (free.sum(axis=1) >= width).all() else CAUSES[3]


def longest_block(free: Bools) -> int:
    """Slots of the longest free block, [S] -> length."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], free, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def cause_counts(decided: Decided) -> pd.Series:
    """How many requests were blocked for each cause."""
    counts = blocked_requests(decided)["cause"].value_counts()
    others = [cause for cause in counts.index if cause not in CAUSES]
    return counts.reindex([*CAUSES, *others], fill_value=0).rename_axis("cause")


def pair_blocking(decided: Decided) -> Floats:
    """Share of the requests of each source (row) and destination (column) that were blocked; nan of none, [N, N]."""
    world = decided.setting.world
    asked = np.zeros((world.num_nodes, world.num_nodes))
    blocked = np.zeros_like(asked)
    where = world.pair_source[decided.requests.pair], world.pair_target[decided.requests.pair]
    np.add.at(asked, where, 1.0)
    np.add.at(blocked, where, (decided.made.verdict != ACCEPTED).astype(float))
    return np.divide(blocked, asked, out=np.full_like(asked, np.nan), where=asked > 0)


def link_shares(decided: Decided) -> Floats:
    """Share of the blocked requests that each link alone kept out, [L]; 0 where nothing was blocked."""
    found, topology = blocked_requests(decided), decided.setting.topology
    names = {f"{link.source}-{link.target}": number for number, link in enumerate(topology.links)}
    shares = np.zeros(len(topology.links))
    for name in found["in_the_way"].explode().dropna():
        shares[names[name]] += 1 / len(found)
    return shares


def causes_figure(*compared: Decided) -> Figure:
    """Share of the requests that each policy blocked, by cause; each served them in a network of its own."""
    figure = frame("Why requests are blocked", compared[0].conditions, 1.0 + 0.5 * len(compared))
    axes = dress(figure.add_subplot())
    counts = {one.policy: cause_counts(one) / one.made.verdict.size for one in compared}
    causes = list(dict.fromkeys(cause for shares in counts.values() for cause in shares.index))
    left = np.zeros(len(counts))
    for cause, colour in zip(causes, (ACCENT, *COLOURS), strict=False):
        shares = np.array([one.get(cause, 0.0) for one in counts.values()])
        if shares.any():
            axes.barh(list(counts), shares, left=left, color=colour, label=cause, height=0.6)
        left += shares
    axes.invert_yaxis()
    axes.set_xlabel("share of the requests")
    axes.grid(axis="x", color=FAINT)
    if left.any():
        axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def pairs_figure(*compared: Decided) -> Figure:
    """Share of each pair's requests that each policy blocked, source by destination, on one scale."""
    found = [pair_blocking(one) for one in compared]
    figure = frame("Which pairs are blocked", compared[0].conditions, 4.2)
    top = max(float(np.nanmax(shares)) for shares in found) or 1.0
    panels = figure.subplots(1, len(compared), squeeze=False)[0]
    for axes, one, shares in zip(panels, compared, found, strict=True):
        image = dress(axes).imshow(shares, cmap=BUSY, vmin=0, vmax=top)
        nodes = one.setting.topology.nodes
        ticks = range(0, len(nodes), -(-len(nodes) // 15))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_ticks(ticks, [nodes[node] for node in ticks], size=7)
        axes.set_title(one.policy, size=10, color=INK)
        axes.set(xlabel="destination", ylabel="source")
    bar = figure.colorbar(image, ax=list(panels), shrink=0.8, aspect=28)
    bar.set_label("share of the pair's requests blocked", color=INK)
    bar.outline.set_visible(False)
    return figure


def in_the_way_map(decided: Decided) -> Figure:
    """The topology, with every link coloured by the share of the blocked requests that it alone kept out."""
    title = f"Links that alone kept requests of {decided.policy} out"
    label = "share of the blocked requests"
    return utilisation_map(decided.setting, link_shares(decided), title, decided.conditions, label)
