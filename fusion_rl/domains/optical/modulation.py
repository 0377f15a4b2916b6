"""Modulation formats: which ones a route may use, and path length -> spectral efficiency -> slots of a request."""

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


def formats_of(network: NetworkConfig) -> list[Format | None]:
    """What each route is listed as: once where the reach decides (None), else once for each format, best first.

    Where actions say whether to groom, each format is there twice: riding on running lightpaths first, and not.
    """
    if network.format_choice == "by-reach" or network.reach_table is None:
        return [None]
    formats = sorted(network.reach_table, key=lambda form: -form.bits_per_s_per_hz)
    copies = 2 if network.grooming is not None and network.grooming.preference == "by-action" else 1
    return [form for form in formats for _ in range(copies)]


def of_candidates(network: NetworkConfig, formats: Sequence[Format | None], length_km: Floats) -> tuple[Floats, Floats]:
    """Spectral efficiency and required SNR of each candidate.

    Args:
        network: the settings.
        formats: what each route is listed as; see `formats_of`.
        length_km: of the candidates, [P]: each route once for each format.

    Returns:
        bits/s/Hz, 0 where the format does not reach, and dB, -inf where none is required; both [P].
    """
    if formats == [None]:
        efficiency = best_efficiency(network.reach_table, length_km)
        return efficiency, _snr_of_best(network.reach_table or (), efficiency, length_km)
    rows = [form for form in formats if form is not None]
    times = length_km.size // len(rows)
    efficiency = np.tile([form.bits_per_s_per_hz for form in rows], times)
    if network.format_choice == "by-action":
        reach_km = np.tile([np.inf if form.reach_km is None else form.reach_km for form in rows], times)
        efficiency = np.where(length_km <= reach_km, efficiency, 0.0)
    required_db = [-np.inf if form.required_snr_db is None else form.required_snr_db for form in rows]
    return efficiency, np.tile(required_db, times)


def _snr_of_best(reach_table: Sequence[Format], efficiency: Floats, length_km: Floats) -> Floats:
    """SNR that the best format that reaches requires on each path, dB, [P]; -inf where there is none."""
    required_db = np.full(efficiency.shape, np.inf)
    for form in reach_table:
        reaches = (form.bits_per_s_per_hz == efficiency) & (length_km <= (form.reach_km or np.inf))
        snr_db = -np.inf if form.required_snr_db is None else form.required_snr_db
        required_db = np.where(reaches, np.minimum(required_db, snr_db), required_db)
    return np.where(np.isposinf(required_db), -np.inf, required_db)


def slots_needed(network: NetworkConfig, efficiency: Floats, classes: BandwidthClasses) -> Ints:
    """Slots that each class takes on each path, guard slots included, [P, C]; 0 where no format reaches.

    A class of a given bit rate takes ceil(Gb/s / (slot width x efficiency)) slots; a class of a given width
    takes that width on every path.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        by_rate = np.ceil(classes.gbps[None, :] / (network.slot_width_ghz * efficiency[:, None]) - 1e-9)
    width = np.where(classes.slots[None, :] > 0, classes.slots[None, :], by_rate) + network.guard_slots
    return np.where(efficiency[:, None] > 0, width, 0).astype(np.int32)
