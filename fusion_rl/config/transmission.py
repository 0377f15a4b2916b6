"""Transmission settings: fibre, amplifiers and launch power, from which the SNR of a lightpath follows."""

from pydantic import Field

from fusion_rl.config.base import Settings


class TransmissionConfig(Settings):
    """Links of equal fibre spans, each followed by one amplifier that restores the launch power.

    The defaults are those of gnpy 3 (Telecom Infra Project, example-data/eqpt_config.json and the networks beside
    it): fibre SSMF with 16.7 ps/nm/km and 83 um2, which is 1.27 /W/km at 1550 nm for n2 = 2.6e-20 m2/W; 0.2 dB/km
    and spans of 80 km; amplifier std_fixed_gain with 5.5 dB; 0 dBm in a channel of 32 GHz, which is -4.1 dBm in
    a slot of 12.5 GHz.
    """

    span_km: float = Field(
        default=80.0, gt=0, le=1000, description="longest span, km; a link is cut into the fewest equal spans"
    )
    attenuation_db_per_km: float = Field(default=0.2, gt=0, le=2, description="fibre loss, dB/km")
    dispersion_ps_per_nm_km: float = Field(
        default=16.7, gt=0, le=1000, description="chromatic dispersion at the centre frequency, ps/(nm km), magnitude"
    )
    nonlinear_coefficient_per_w_km: float = Field(
        default=1.27, gt=0, le=1000, description="Kerr nonlinear coefficient of the fibre, 1/(W km)"
    )
    noise_figure_db: float = Field(default=5.5, gt=0, le=50, description="noise figure of every amplifier, dB")
    launch_power_dbm_per_slot: float = Field(
        default=-4.1,
        ge=-60,
        le=30,
        description="power launched into every span in each slot that carries signal, dBm; guard slots carry none",
    )
    centre_frequency_thz: float = Field(
        default=193.41, gt=0, le=1000, description="frequency at which dispersion and amplifier noise are taken, THz"
    )
    check_running: bool = Field(
        default=True,
        description="refuse a lightpath that would push a running one below its required SNR; each of the two of a "
        "protected request may use half of what is left to it",
    )
    margin_db: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="SNR of a new lightpath above what its format requires, left for neighbours to come, dB",
    )
