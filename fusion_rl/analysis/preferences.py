"""Which paths and slots a policy prefers, against others that were asked in the same networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion_rl.analysis.decisions import Decided
from fusion_rl.arrays import Floats, Ints64
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.training.charts import COLOURS
from fusion_rl.training.plots import ACCENT, BUSY, FAINT, INK, dress, frame

_BLOCKED = "blocked"
_MOST_RANKS = 12  # candidate paths that get a place of their own; those beyond share the last
_STEPS = ("≤-3", "-2", "-1", "0", "+1", "+2", "≥+3"), (-2, -1, 0, 1, 2, 3)
# column of `departures` -> names of its bars, and the least value of all but the first
_DEPARTURES = {
    "rank": _STEPS,
    "hops": _STEPS,
    "start": (("≤-20", "≤-5", "<0", "0", ">0", "≥5", "≥20"), (-19, -4, 0, 1, 5, 20)),
}
_DEPARTED = (
    ("rank of the path", "on another path"),
    ("hops of the path", "on another path"),
    ("first slot", "another path or slot"),
)
_MOST_WRITTEN = 13  # rows up to which each share of a matrix is written into it


def rank_shares(decided: Decided, policies: Sequence[str] = ()) -> pd.DataFrame:
    """Share of the requests that each policy puts on the candidate path of each rank; the last row is `blocked`.

    Args:
        decided: decisions, and what rivals would have done in the same networks.
        policies: who is shown; none: all of them.

    Raises:
        UnknownNameError: one of them was not asked.
    """
    names = list(policies) or [decided.policy, *decided.rivals]
    labels = _labels(decided)
    shares = {name: np.bincount(_places(decided, name), minlength=len(labels)) / _count(decided) for name in names}
    return pd.DataFrame(shares, index=pd.Index(labels, name="rank"))


def start_counts(decided: Decided, policy: str) -> Ints64:
    """How many lightpaths a policy begins at each slot, [S].

    Raises:
        UnknownNameError: it was not asked.
    """
    start = decided.choice_of(policy).start
    return np.bincount(start[start != NOWHERE], minlength=decided.setting.world.slots)


def choice_matrix(decided: Decided, rival: str) -> pd.DataFrame:
    """Share of the requests for which a rival would take one path (row) where the policy takes another (column).

    Rows and columns are ranks of candidate paths; the last is `blocked`. The diagonal is where both agree on the path.

    Raises:
        UnknownNameError: the rival was not asked.
    """
    labels = _labels(decided)
    matrix = np.zeros((len(labels), len(labels)))
    np.add.at(matrix, (_places(decided, rival), _places(decided, decided.policy)), 1 / _count(decided))
    columns = pd.Index(labels, name=decided.policy)
    return pd.DataFrame(matrix, index=pd.Index(labels, name=rival), columns=columns)


def preference_figure(decided: Decided) -> Figure:
    """Left, the share of requests on the path of each rank; right, where in the spectrum lightpaths begin."""
    shares = rank_shares(decided)
    title = f"Paths and slots of {decided.policy}, and of the others in its network"
    figure = frame(title, decided.conditions, 3.6)
    ranks, starts = figure.subplots(1, 2)
    width = 0.8 / shares.shape[1]
    for number, (name, colour) in enumerate(zip(shares, [ACCENT, *COLOURS], strict=False)):
        aside = (number - (shares.shape[1] - 1) / 2) * width
        dress(ranks).bar(np.arange(len(shares)) + aside, shares[name], width, color=colour, label=name)
        counts = start_counts(decided, name)
        dress(starts).step(np.arange(counts.size), np.cumsum(counts) / max(counts.sum(), 1), where="post", color=colour,
                           linewidth=2.2 if number == 0 else 1.4, label=name)  # fmt: skip
    last = f"\n{_BLOCKED}" if len(shares) > _MOST_RANKS else _BLOCKED  # beside many ranks there is no room for it
    ranks.set_xticks(range(len(shares)), [*shares.index[:-1], last], size=8)
    ranks.set(xlabel="rank of the candidate path", ylabel="share of the requests")
    ranks.grid(axis="y", color=FAINT)
    ranks.legend(frameon=False, labelcolor=INK, fontsize=9)
    starts.set(xlabel="first slot", ylabel="share of lightpaths that begin up to it", ylim=(0, 1.02))
    starts.grid(axis="y", color=FAINT)
    return figure


def choice_figure(decided: Decided, rival: str) -> Figure:
    """The choice matrix of a policy and a rival as a picture, with the shares written in.

    Raises:
        UnknownNameError: the rival was not asked.
    """
    matrix = choice_matrix(decided, rival)
    figure = frame(f"Where {decided.policy} leaves the path of {rival}", decided.conditions, 4.6)
    axes = dress(figure.add_subplot())
    shares = matrix.to_numpy()
    apart = shares * ~np.eye(len(shares), dtype=np.bool_)
    axes.imshow(np.where(apart > 0, apart, np.nan), cmap=BUSY, vmin=0, vmax=apart.max() or 1.0, aspect="auto")
    if len(shares) <= _MOST_WRITTEN:
        for (row, column), share in np.ndenumerate(shares):
            if share > 0:
                dark = row != column and share > 0.5 * apart.max()
                weight = "bold" if row == column else "normal"
                colour = "white" if dark else INK
                axes.annotate(
                    f"{share:.1%}", (column, row), ha="center", va="center", size=8, color=colour, weight=weight
                )
    axes.set_xticks(range(len(shares)), matrix.columns, size=8)
    axes.set_yticks(range(len(shares)), matrix.index, size=8)
    axes.set(xlabel=f"rank that {decided.policy} takes", ylabel=f"rank that {rival} would take")
    return figure


def departures(decided: Decided, rival: str) -> pd.DataFrame:
    """The policy's rank, hops and start less those of a rival, for each request that both serve otherwise.

    `other_path` is whether the paths differ, and not the starts alone.

    Raises:
        UnknownNameError: the rival was not asked.
    """
    mine, theirs = decided.choice, decided.choice_of(rival)
    at = np.flatnonzero(decided.differs(rival) & (mine.start != NOWHERE) & (theirs.start != NOWHERE))
    hops = decided.setting.world.path_hops
    told = {
        "rank": (decided.rank(decided.policy) - decided.rank(rival))[at],
        "hops": hops[mine.path[at]].astype(int) - hops[theirs.path[at]],
        "start": mine.start[at].astype(int) - theirs.start[at],
        "other_path": mine.path[at] != theirs.path[at],
    }
    return pd.DataFrame(told, index=pd.Index(at, name="request"))


def departures_figure(decided: Decided) -> Figure:
    """How far the policy's paths and slots lie from those of each rival, where they differ; shares of all requests."""
    figure = frame(f"Where {decided.policy} departs from the others", decided.conditions, 3.2)
    panels = figure.subplots(1, 3)
    width = 0.8 / max(len(decided.rivals), 1)
    for number, rival in enumerate(decided.rivals):
        apart = departures(decided, rival)
        aside = (number - (len(decided.rivals) - 1) / 2) * width
        for axes, (column, (labels, bounds)) in zip(panels, _DEPARTURES.items(), strict=True):
            values = apart[column] if column == "start" else apart.loc[apart["other_path"], column]
            counts = np.bincount(np.digitize(values, bounds), minlength=len(labels))
            places = np.arange(len(labels)) + aside
            dress(axes).bar(places, counts / _count(decided), width, color=COLOURS[number % len(COLOURS)], label=rival)
            axes.set_xticks(range(len(labels)), labels, size=7.5)
    for axes, (what, where) in zip(panels, _DEPARTED, strict=True):
        axes.set_title(where, size=9, color=INK)
        axes.set_xlabel(f"{what}, less theirs", size=9)
        axes.grid(axis="y", color=FAINT)
    panels[0].set_ylabel("share of the requests")
    panels[0].legend(frameon=False, labelcolor=INK, fontsize=9, title="held against", title_fontsize=9)
    return figure


def _count(decided: Decided) -> int:
    return int(decided.made.verdict.size)


def _ranks(decided: Decided) -> int:
    return int(min(decided.setting.world.max_paths, _MOST_RANKS))


def _labels(decided: Decided) -> list[str]:
    ranks, paths = _ranks(decided), decided.setting.world.max_paths
    last = [f"{ranks - 1}+"] if paths > ranks else [str(ranks - 1)]
    return [*map(str, range(ranks - 1)), *last, _BLOCKED]


def _places(decided: Decided, policy: str) -> Any:
    """The row of each request in a table of ranks, [T]."""
    ranks, rank = _ranks(decided), decided.rank(policy)
    places: Floats = np.where(rank == NOWHERE, ranks, np.minimum(rank, ranks - 1))
    return places
