"""Transmission: the Gaussian-noise model of a network's links, as read-only tables that kernels look up.

The model is the closed-form incoherent GN model of P. Poggiolini et al., "The GN-model of fiber non-linear
propagation and its applications", J. Lightwave Technol. 32(4), 2014, in the multi-channel form of its derivation,
arXiv:1209.0394, eqs. 120-123. Signals have rectangular spectra of one power spectral density G. One span adds

    G_NLI / G = (16/27) gamma^2 L_eff^2 G^2 [psi_self + 2 sum of psi_other over the other channels]
    psi_self  = asinh(c B B/2) / (2 pi |beta2| L_a)
    psi_other = (asinh(c B (d + B'/2)) - asinh(c B (d - B'/2))) / (4 pi |beta2| L_a),   c = pi^2 |beta2| L_a

to the inverse SNR of a channel of bandwidth B, where another channel of bandwidth B' lies at distance d, alpha is
the loss in 1/length, L_a = 1/alpha and L_eff = (1 - exp(-alpha L))/alpha. Doubled as above, every term is a
difference of asinh(c B x) over the edges x of a channel as seen from the centre of the one that suffers: its own
edges (x = B/2) included. Edges lie on slots and centres on half slots, so one table of asinh by bandwidth and by
distance in half slots holds all terms there can be.

The amplifier that makes up for a span's loss A adds G_ASE = F h nu (A - 1). Noise of spans and links is added up.
"""

from typing import NamedTuple

import numpy as np
from scipy.constants import Planck, speed_of_light

from fusion_rl.arrays import Floats, frozen
from fusion_rl.config.transmission import TransmissionConfig
from fusion_rl.errors import ConfigError, TopologyError


class Transmission(NamedTuple):
    """What the QoT kernels read. All noise is relative to the signal: an inverse SNR, linear."""

    guard_slots: int  # slots on the high side of a lightpath that carry no signal
    check_running: bool  # whether a new lightpath may not push a running one below its required SNR
    ase: Floats  # [L] amplifier noise that a link adds to any channel
    nonlinear: Floats  # [L] nonlinear noise that a link adds for one unit of `edge_terms`
    edge_terms: Floats  # [1 + widest signal, 1 + 2 S] asinh by signal width (slots), edge distance (half slots)
    most_noise: Floats  # [P] noise at which a running lightpath just has its required SNR
    most_noise_new: Floats  # [P] the same with the margin, for a lightpath that is lit


def prepare(
    config: TransmissionConfig,
    *,
    slots: int,
    slot_width_ghz: float,
    guard_slots: int,
    link_length_km: Floats,
    required_snr_db: Floats,
    max_width: int | None = None,
) -> Transmission:
    """The tables of a network.

    Args:
        config: fibre, amplifiers and launch power.
        slots: of every link, S.
        slot_width_ghz: of a slot.
        guard_slots: slots on the high side of every lightpath, counted in its width, that carry no signal.
        link_length_km: [L], all above 0.
        required_snr_db: SNR within the signal's bandwidth that each candidate path needs, [P].
        max_width: slots of the widest lightpath there can be, guard slots included; None: all slots of a link.
            The table grows with it, 8 bytes for each width and half slot, and kernels may not be asked for more.

    Raises:
        TopologyError: a link has no length.
        ConfigError: a path has no required SNR.
    """
    _check(link_length_km, required_snr_db)
    link_length_km = np.asarray(link_length_km, np.float64)
    required_snr_db = np.asarray(required_snr_db, np.float64)
    slot_hz = slot_width_ghz * 1e9
    spread = (
        np.pi**2 * abs(_beta2_s2_per_m(config)) / _loss_per_m(config) * slot_hz**2 / 2
    )  # asinh(spread x slots x half slots)
    widest = max(1, (slots if max_width is None else min(max_width, slots)) - guard_slots)
    return Transmission(
        guard_slots=guard_slots,
        check_running=config.check_running,
        ase=frozen(_ase(config, link_length_km, slot_hz)),
        nonlinear=frozen(_nonlinear(config, link_length_km, slot_hz)),
        edge_terms=frozen(np.arcsinh(spread * np.outer(np.arange(widest + 1.0), np.arange(2.0 * slots + 1.0)))),
        most_noise=frozen(10.0 ** (-required_snr_db / 10.0)),
        most_noise_new=frozen(10.0 ** (-(required_snr_db + config.margin_db) / 10.0)),
    )


def _check(link_length_km: Floats, required_snr_db: Floats) -> None:
    for link, length_km in enumerate(link_length_km):
        if not 0 < length_km < np.inf:
            raise TopologyError(f"link {link} has length {length_km:g} km: transmission needs links above 0 km")
    for path, snr_db in enumerate(required_snr_db):
        if not np.isfinite(snr_db):
            raise ConfigError(f"candidate path {path} has a required SNR of {snr_db:g} dB: it must be a finite number")


def _spans(config: TransmissionConfig, link_length_km: Floats) -> tuple[Floats, Floats]:
    """The number of spans of each link and the length of one, km, both [L]."""
    # a link of 240 km is three spans of 80 km, whatever the last bit of 240 / 80
    spans = np.maximum(np.ceil(link_length_km / config.span_km - 1e-9), 1.0)
    return spans, link_length_km / spans


def _density_w_per_hz(config: TransmissionConfig, slot_hz: float) -> float:
    """Power spectral density of every signal at the start of a span."""
    return float(10.0 ** (config.launch_power_dbm_per_slot / 10.0) * 1e-3 / slot_hz)


def _loss_per_m(config: TransmissionConfig) -> float:
    """alpha, the rate at which power falls along a fibre."""
    return float(config.attenuation_db_per_km * np.log(10.0) / 10.0 / 1e3)


def _beta2_s2_per_m(config: TransmissionConfig) -> float:
    """Group-velocity dispersion, -D c / (2 pi nu^2)."""
    dispersion_s_per_m2 = config.dispersion_ps_per_nm_km * 1e-6
    return float(-dispersion_s_per_m2 * speed_of_light / (2 * np.pi * (config.centre_frequency_thz * 1e12) ** 2))


def _ase(config: TransmissionConfig, link_length_km: Floats, slot_hz: float) -> Floats:
    """Amplifier noise that each link adds to the inverse SNR, [L]."""
    spans, span_km = _spans(config, link_length_km)
    gain = 10.0 ** (config.attenuation_db_per_km * span_km / 10.0)
    noise_figure = 10.0 ** (config.noise_figure_db / 10.0)
    density_w_per_hz = noise_figure * Planck * config.centre_frequency_thz * 1e12 * (gain - 1.0)
    return np.asarray(spans * density_w_per_hz / _density_w_per_hz(config, slot_hz))


def _nonlinear(config: TransmissionConfig, link_length_km: Floats, slot_hz: float) -> Floats:
    """Nonlinear noise that each link adds to the inverse SNR for one unit of asinh, [L]."""
    spans, span_km = _spans(config, link_length_km)
    loss_per_m = _loss_per_m(config)
    effective_m = -np.expm1(-loss_per_m * span_km * 1e3) / loss_per_m
    gamma_per_w_m = config.nonlinear_coefficient_per_w_km * 1e-3
    strength = 16 / 27 * (gamma_per_w_m * effective_m * _density_w_per_hz(config, slot_hz)) ** 2
    return np.asarray(spans * strength * loss_per_m / (2 * np.pi * abs(_beta2_s2_per_m(config))))
