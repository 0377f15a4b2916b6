"""Confidence intervals: 95 %, two-sided."""

import numpy as np

from fusion_rl.arrays import Floats


def t_half_width(values: Floats) -> float:
    """Half-width of the 95 % t interval of a mean of independent values; nan for fewer than two."""
    from scipy.stats import t

    if values.size < 2:
        return float("nan")
    return float(t.ppf(0.975, values.size - 1) * values.std(ddof=1) / np.sqrt(values.size))
