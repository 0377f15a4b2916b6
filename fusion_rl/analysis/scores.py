"""What a score has learned, as a table and as a picture."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fusion_rl.training.learned_scores import LearnedScore
from fusion_rl.training.plots import ACCENT, FAINT, INK, QUIET, dress, frame

_MOST_ROWS = 48  # parameters that a picture can show; of more, those that moved most


def parameters_frame(learned: LearnedScore) -> pd.DataFrame:
    """Every parameter of a score: its group, where learning began, what it became, and how far it moved."""
    groups = {name: group for group, names in learned.groups.items() for name in names}
    rows = pd.DataFrame({"group": groups, "began": learned.first, "learned": learned.learned})
    return rows.assign(moved=rows["learned"] - rows["began"]).rename_axis("parameter")


def parameters_figure(learned: LearnedScore, conditions: Mapping[str, object]) -> Figure:
    """A bar for each parameter from where learning began to what it became; of many, those that moved most.

    Args:
        learned: the score.
        conditions: of the traffic that it learned on.
    """
    rows = parameters_frame(learned)
    most = rows["moved"].abs().nlargest(_MOST_ROWS).index
    shown = rows[rows.index.isin(most)]
    left, right = shown.iloc[: -(-len(shown) // 2)], shown.iloc[-(-len(shown) // 2) :]
    title = f"What the score {learned.score} has learned"
    figure = frame(title if len(shown) == len(rows) else f"{title}: what moved most", conditions, 1.0 + 0.2 * len(left))
    values = shown[["began", "learned"]].to_numpy()
    margin = 0.05 * (np.ptp(values) or 1.0)
    for axes, part in zip(figure.subplots(1, 2), (left, right), strict=True):
        at = range(len(part))
        dress(axes).barh(at, part["moved"], left=part["began"], height=0.6, color=ACCENT, label="learned")
        axes.scatter(part["began"], at, s=16, facecolor="white", edgecolor=INK, zorder=3, label="where it began")
        axes.axvline(0, color=QUIET, linewidth=1, zorder=0)
        axes.set_yticks(at, part.index, size=8)
        axes.set(xlim=(values.min() - margin, values.max() + margin), ylim=(len(left) - 0.4, -0.6), xlabel="value")
        axes.grid(axis="x", color=FAINT)
    figure.axes[-1].legend(frameon=False, labelcolor=INK, fontsize=8, loc="lower right")
    return figure
