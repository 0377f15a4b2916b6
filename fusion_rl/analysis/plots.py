"""The figures of a run, for notebooks: the same that training stores with it."""

from fusion_rl.training.plots import blocking_figure, describe, learning_curve_figure, utilisation_map

__all__ = ["blocking_figure", "describe", "learning_curve_figure", "utilisation_map"]
