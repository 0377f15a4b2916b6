"""Two choices for one request beside each other: link by link, slot by slot, and by what is known of each.

What is known of a choice is its row of features (`fusion_rl.domains.optical.candidates.FEATURES`), the same that
scores and agents are given.
"""

from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fusion_rl.analysis.blocking import free_slots, longest_block
from fusion_rl.analysis.decisions import Choice, Decided, asked_for, described
from fusion_rl.analysis.networks import draw_path
from fusion_rl.arrays import Bools, Floats, Words
from fusion_rl.domains.optical import candidates
from fusion_rl.domains.optical import state as lane_state
from fusion_rl.domains.optical.candidates import COUNT, FEATURES, RANK, START
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import request_at
from fusion_rl.errors import ConfigError
from fusion_rl.intervals import t_half_width
from fusion_rl.training.charts import COLOURS
from fusion_rl.training.plots import ACCENT, FAINT, INK, QUIET, draw_topology, dress, frame, map_frame

_RIVAL = COLOURS[1]
_IN_USE, _FREE, _CLEAR = "#a3b3c2", "#f5f6f8", "#ffffff"
_ROW_IN = 0.24


def described_choices(decided: Decided, rival: str, request: int) -> pd.DataFrame:
    """What is known of the choices of the policy and of a rival for one request: one row a feature, with its meaning.

    Raises:
        ConfigError: the network of the request was not kept, one of the two does not serve it, or services share
            lightpaths.
        UnknownNameError: the rival was not asked.
    """
    both = _rows(decided, rival, request)
    names = pd.Index(FEATURES, name="feature")
    shown = pd.DataFrame(both.T, index=names, columns=[decided.policy, rival])
    return shown.assign(meaning=list(FEATURES.values()))


def feature_differences(decided: Decided, rival: str) -> pd.DataFrame:
    """How the policy's choice differs from a rival's, mean over the examples that both serve; one row a feature.

    Values are in standard deviations of the feature over all these choices; `ci95` is the half-width of the mean's
    95 % interval. Features that are the same for all choices of a request are left out.

    Raises:
        ConfigError: services share lightpaths.
        UnknownNameError: the rival was not asked.
    """
    served = _served(decided, rival)
    if not served:
        return pd.DataFrame(columns=["difference", "ci95"], index=pd.Index([], name="feature"))
    both = np.array([_rows(decided, rival, t) for t in served])
    spread = both.reshape(-1, COUNT).std(axis=0)
    apart: Floats = (both[:, 0] - both[:, 1]) / np.where(spread > 0, spread, 1.0)
    told = {"difference": apart.mean(axis=0), "ci95": [t_half_width(column) for column in apart.T]}
    differences = pd.DataFrame(told, index=pd.Index(FEATURES, name="feature"))
    return differences[np.abs(apart).max(axis=0) > 0]


def clearest(decided: Decided, rival: str) -> int:
    """The example in which both serve on different paths, and what the choices cost other routes differs most.

    Raises:
        ConfigError: there is none, or services share lightpaths.
        UnknownNameError: the rival was not asked.
    """
    choices = [decided.choice, decided.choice_of(rival)]
    apart = [t for t in _served(decided, rival) if choices[0].path[t] != choices[1].path[t]]
    if not apart:
        raise ConfigError(f"{decided.policy} and {rival} never serve a request on different paths: ask for more")
    loss = [abs(np.subtract(*_rows(decided, rival, t)[:, candidates.ROUTE_LOSS])) for t in apart]
    return apart[int(np.argmax(loss))]


def choices_figure(decided: Decided, rival: str, request: int) -> Figure:
    """The slots of every link of both choices, and those that each would take.

    Raises:
        ConfigError: as `described_choices` raises it.
        UnknownNameError: the rival was not asked.
    """
    found = _network(decided, rival, request)
    free = free_slots(decided.setting.world, found)
    choices = {decided.policy: (decided.choice, ACCENT), rival: (decided.choice_of(rival), _RIVAL)}
    rows = [len(_links(decided, choice, request)) + 1 for choice, _ in choices.values()]
    asked = "request {request}, {from} to {to}, {gbps:g} Gb/s".format(request=request, **asked_for(decided, request))
    figure = frame(f"{decided.policy} and {rival}: {asked}", decided.conditions, 1.7 + _ROW_IN * sum(rows))
    panels = figure.subplots(2, 1, height_ratios=rows, sharex=True)
    for axes, (name, (choice, _)) in zip(panels, choices.items(), strict=True):
        links = _links(decided, choice, request)
        _draw_slots(dress(axes), decided, links, free[links])
        for other, colour in choices.values():
            _mark(axes, decided, links, other, request, colour)
        axes.set_title(
            f"{name}: {described(decided, name, request)}", size=9.5, color=choices[name][1], loc="left", pad=8
        )
        axes.tick_params(axis="x", length=0)
    panels[-1].set_xlabel("slot")
    return figure


def choices_map(decided: Decided, rival: str, request: int) -> Figure:
    """The paths of both choices on the map.

    Raises:
        ConfigError: as `described_choices` raises it.
        UnknownNameError: the rival was not asked.
    """
    _network(decided, rival, request)
    topology = decided.setting.topology
    figure, axes = map_frame(f"Paths for request {request}", decided.conditions, topology)
    draw_topology(axes, topology, [FAINT] * len(topology.links))
    for name, colour, aside in ((rival, _RIVAL, 0.5), (decided.policy, ACCENT, -0.5)):
        path = int(decided.choice_of(name).path[request])
        label = f"{name}: {decided.setting.path_names(path)}"
        draw_path(axes, decided.setting, path, colour, aside, label)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, fontsize=9, labelcolor=INK, loc="upper center",
                bbox_to_anchor=(0.5, 0.0))  # fmt: skip
    return figure


def reasons_figure(decided: Decided, rivals: tuple[str, ...] = ()) -> Figure:
    """What the policy's choices have more of and less of than those of each rival, where they differ.

    Args:
        decided: decisions, and what rivals would have done in the same networks.
        rivals: who is shown; none: all of them.

    Raises:
        ConfigError: services share lightpaths.
        UnknownNameError: a rival was not asked.
    """
    shown = {rival: feature_differences(decided, rival) for rival in rivals or tuple(decided.rivals)}
    names = [name for name in FEATURES if any(name in rows.index for rows in shown.values())]
    figure = frame(f"What {decided.policy} pays and gets", decided.conditions, 1.0 + 0.25 * max(len(names), 2))
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, (rival, rows) in zip(panels, shown.items(), strict=True):
        at = [names.index(name) for name in rows.index]
        dress(axes).barh(at, rows["difference"], xerr=rows["ci95"].fillna(0.0), color=QUIET, ecolor=INK, height=0.62)
        axes.axvline(0, color=INK, linewidth=1)
        axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names], size=8)
        axes.grid(axis="x", color=FAINT)
        axes.set_title(f"{decided.policy} less {rival}", size=10, color=INK)
        axes.set_xlabel("difference (standard deviations)", size=9)
    panels[0].invert_yaxis()
    return figure


def _served(decided: Decided, rival: str) -> list[int]:
    """The examples that both would serve."""
    mine, theirs = decided.choice, decided.choice_of(rival)
    return [t for t in decided.examples_of(rival) if NOWHERE not in (mine.start[t], theirs.start[t])]


def _network(decided: Decided, rival: str, request: int) -> Words:
    """The network as a request found it, [L, W].

    Raises:
        ConfigError: it was not kept, or one of the two would block the request.
        UnknownNameError: the rival was not asked.
    """
    kept = _served(decided, rival)
    if request not in kept:
        some = ", ".join(map(str, kept[:5])) or "none"
        raise ConfigError(
            f"request {request} is no example of a decision that differs from {rival}'s and that both serve: there "
            f"are {len(kept)} ({some}{', ...' if len(kept) > 5 else ''})"
        )
    return decided.examples_of(rival)[request]


@lru_cache(maxsize=4096)  # a figure, a table and the search for an example ask for the same
def _rows(decided: Decided, rival: str, request: int) -> Floats:
    """Features of the policy's choice and of the rival's, [2, F]."""
    found, world = _network(decided, rival, request), decided.setting.world
    if world.rules is not None or world.transmission is not None:
        raise ConfigError(
            "features of decisions are of networks where each service has its own lightpath and its reach decides: "
            "no grooming, slicing, protection, failures or transmission"
        )
    lane = lane_state.view(lane_state.empty(world, 1, 1), 0)
    lane.occupied[:] = found
    asked = request_at(decided.requests, request)
    most = int(world.max_paths) * int(world.slots)
    rows = np.zeros(most * COUNT, np.float32)
    candidates.describe(world, lane, asked, _memory(decided), rows)
    table = rows.reshape(most, COUNT)
    ranks, starts = np.rint(table[:, RANK] * 10), np.rint(table[:, START] * world.slots)
    both = []
    for name in (decided.policy, rival):
        rank, start = decided.rank(name)[request], decided.choice_of(name).start[request]
        there = (ranks == rank) & (starts == start) & (table[:, candidates.WIDTH] > 0)
        both.append(table[np.flatnonzero(there)[0]])
    return np.array(both, np.float64)


@lru_cache(maxsize=2)
def _memory(decided: Decided) -> candidates.Memory:
    return candidates.prepare(decided.setting.world, every_start=True)


def _links(decided: Decided, choice: Choice, request: int) -> list[int]:
    world, path = decided.setting.world, int(choice.path[request])
    return [int(link) for link in world.path_links[world.link_first[path] : world.link_first[path + 1]]]


def _draw_slots(axes: Axes, decided: Decided, links: list[int], free: Bools) -> None:
    """One row a link, and below them which slots are free on all."""
    everywhere: Bools = np.all(free, axis=0)
    picture = np.where(np.vstack([free, everywhere])[..., None], np.array(to_rgb(_FREE)), np.array(to_rgb(_IN_USE)))
    picture[-1] = np.where(everywhere[:, None], np.array(to_rgb(_CLEAR)), np.array(to_rgb(QUIET)))
    axes.imshow(picture, aspect="auto", interpolation="nearest")
    for row in range(1, len(picture)):
        axes.axhline(row - 0.5, color="white", linewidth=2.5 if row == len(links) else 1.0)
    topology = decided.setting.topology
    arrow = "→" if topology.direction == "directed" else "–"
    names = [f"{topology.links[link].source}{arrow}{topology.links[link].target}" for link in links]
    told = [f"{name}   {longest_block(row)} in a row" for name, row in zip(names, free, strict=True)]
    axes.set_yticks(range(len(picture)), [*told, f"on all   {longest_block(everywhere)} in a row"], size=8)
    axes.tick_params(axis="y", length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _mark(axes: Axes, decided: Decided, links: list[int], choice: Choice, request: int, colour: str) -> None:
    """Frame the slots that a choice takes on those of the links that are on its path."""
    world, path = decided.setting.world, int(choice.path[request])
    start, width = int(choice.start[request]), int(world.path_width[path, decided.requests.bandwidth_class[request]])
    for row, link in enumerate(links):
        if link in _links(decided, choice, request):
            box = Rectangle((start - 0.5, row - 0.42), width, 0.84, facecolor=colour, edgecolor=colour, alpha=0.85)
            axes.add_patch(box)
