"""The closed-form Gaussian-noise model written out in SI units: what the tables and kernels are compared with.

P. Poggiolini et al., "The GN-model of fiber non-linear propagation and its applications", J. Lightwave Technol.
32(4), 2014; channel by channel as in arXiv:1209.0394, eqs. 120-123. It shares no code with the package.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

PLANCK_J_S = 6.62607015e-34  # exact since 2019
SPEED_OF_LIGHT_M_PER_S = 299_792_458.0

Channel = tuple[float, float]  # lowest and highest frequency of the signal, Hz


@dataclass(frozen=True)
class SlowFibre:
    """Equal spans, each followed by an amplifier that makes up for its loss; one power spectral density."""

    longest_span_m: float
    loss_db_per_m: float
    dispersion_s_per_m2: float
    gamma_per_w_m: float
    noise_figure_db: float
    frequency_hz: float
    density_w_per_hz: float

    @property
    def field_loss_per_m(self) -> float:
        """alpha of the paper, the loss of the field: the power falls as exp(-2 alpha z)."""
        return self.loss_db_per_m / (20 * math.log10(math.e))

    @property
    def beta2_s2_per_m(self) -> float:
        wavelength_m = SPEED_OF_LIGHT_M_PER_S / self.frequency_hz
        return -self.dispersion_s_per_m2 * wavelength_m**2 / (2 * math.pi * SPEED_OF_LIGHT_M_PER_S)


def span_nonlinear_noise(fibre: SlowFibre, span_m: float, channel: Channel, others: list[Channel]) -> float:
    """Power spectral density of the noise that one span makes at the channel's centre, W/Hz."""
    alpha = fibre.field_loss_per_m
    effective_m = (1 - math.exp(-2 * alpha * span_m)) / (2 * alpha)
    asymptotic_m = 1 / (2 * alpha)
    beta2 = abs(fibre.beta2_s2_per_m)
    centre, bandwidth = sum(channel) / 2, channel[1] - channel[0]
    total = math.asinh(math.pi**2 / 2 * beta2 * asymptotic_m * bandwidth**2) / (2 * math.pi * beta2 * asymptotic_m)
    for other in others:
        distance, other_bandwidth = sum(other) / 2 - centre, other[1] - other[0]
        high = math.pi**2 * beta2 * asymptotic_m * (distance + other_bandwidth / 2) * bandwidth
        low = math.pi**2 * beta2 * asymptotic_m * (distance - other_bandwidth / 2) * bandwidth
        total += 2 * (math.asinh(high) - math.asinh(low)) / (4 * math.pi * beta2 * asymptotic_m)
    return 16 / 27 * fibre.gamma_per_w_m**2 * effective_m**2 * fibre.density_w_per_hz**3 * total


def span_amplifier_noise(fibre: SlowFibre, span_m: float) -> float:
    """Power spectral density of the noise of the amplifier behind one span, W/Hz."""
    gain = 10 ** (fibre.loss_db_per_m * span_m / 10)
    return 10 ** (fibre.noise_figure_db / 10) * PLANCK_J_S * fibre.frequency_hz * (gain - 1)


def link_inverse_snr(fibre: SlowFibre, length_m: float, channel: Channel, others: list[Channel]) -> float:
    """Noise over signal that one link adds to a channel, with the other channels of that link."""
    spans = math.ceil(length_m / fibre.longest_span_m)
    noise = 0.0
    for _ in range(spans):
        noise += span_nonlinear_noise(fibre, length_m / spans, channel, others)
        noise += span_amplifier_noise(fibre, length_m / spans)
    return noise / fibre.density_w_per_hz


def span_nonlinear_noise_by_integration(
    fibre: SlowFibre, span_m: float, channel: Channel, others: list[Channel], steps: int = 1200
) -> float:
    """The same as `span_nonlinear_noise` from the GN-model's double integral, without its closed form's approximations.

    Self- and cross-channel terms only: f2 lies in the channel itself, f1 and f1 + f2 - f in one and the same channel.
    """
    alpha, centre = fibre.field_loss_per_m, sum(channel) / 2
    f2 = midpoints(channel, steps) - centre
    total = 0.0
    for one in [channel, *others]:
        f1 = midpoints(one, steps) - centre
        mixed = f1[:, None] + f2[None, :]
        inside = (mixed > one[0] - centre) & (mixed < one[1] - centre)
        phase_per_m = 4 * np.pi**2 * fibre.beta2_s2_per_m * f1[:, None] * f2[None, :]
        mixing_m = (1 - np.exp((-2 * alpha + 1j * phase_per_m) * span_m)) / (2 * alpha - 1j * phase_per_m)
        area = (one[1] - one[0]) * (channel[1] - channel[0]) / steps**2
        weight = 1 if one is channel else 2
        total += weight * float((np.abs(mixing_m) ** 2 * inside).sum()) * area
    return 16 / 27 * fibre.gamma_per_w_m**2 * fibre.density_w_per_hz**3 * total


def midpoints(channel: Channel, steps: int) -> npt.NDArray[np.float64]:
    """Frequencies in the middle of equal steps over a channel, Hz."""
    return channel[0] + (np.arange(steps) + 0.5) * (channel[1] - channel[0]) / steps
