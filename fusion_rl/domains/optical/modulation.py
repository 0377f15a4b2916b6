"""Modulation formats by reach: path length -> spectral efficiency -> slots that a request takes."""

from collections.abc import Sequence

import numpy as np

from fusion_rl.arrays import Floats, Ints
from fusion_rl.config.network import Format, NetworkConfig
from fusion_rl.domains.optical.traffic import BandwidthClasses

PLAIN_EFFICIENCY = 1.0  # bits/s/Hz where the network has no formats: a bandwidth is then a width in slots


def best_efficiency(reach_table: Sequence[Format] | None, length_km: Floats) -> Floats:
    """Spectral efficiency of the best format that reaches over each path.

    Args:
        reach_table: the formats; None where the network does plain routing and spectrum assignment.
        length_km: path lengths, [P].

    Returns:
        bits/s/Hz, [P]; 0 where no format reaches.
    """
    if reach_table is None:
        return np.full(length_km.shape, PLAIN_EFFICIENCY)
    best = np.zeros(length_km.shape)
    for form in reach_table:
        reaches = length_km <= (np.inf if form.reach_km is None else form.reach_km)
        best = np.where(reaches, np.maximum(best, form.bits_per_s_per_hz), best)
    return best


def slots_needed(network: NetworkConfig, efficiency: Floats, classes: BandwidthClasses) -> Ints:
    """Slots that each class takes on each path, guard slots included, [P, C]; 0 where no format reaches.

    A class of a given bit rate takes ceil(Gb/s / (slot width x efficiency)) slots; a class of a given width
    takes that width on every path.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rate = np.ceil(classes.gbps[None, :] / (network.slot_width_ghz * efficiency[:, None]) - 1e-9)
    width = np.where(classes.slots[None, :] > 0, classes.slots[None, :], by_rate) + network.guard_slots
    return np.where(efficiency[:, None] > 0, width, 0).astype(np.int32)
