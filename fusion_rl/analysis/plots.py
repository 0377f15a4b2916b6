"""The figures of a run, for notebooks: the same that training stores with it."""

from fusion_rl.training.charts import blocking_against_load, comparison_chart, draw
from fusion_rl.training.plots import blocking_figure, describe, learning_curve_figure, utilisation_map

__all__ = [
    "blocking_against_load",
    "blocking_figure",
    "comparison_chart",
    "describe",
    "draw",
    "learning_curve_figure",
    "utilisation_map",
]
