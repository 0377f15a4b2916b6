"""Our noise beside that of gnpy, an independent simulator of optical links, for the same fibre and channels.

gnpy is no dependency of ours: `pip install gnpy` to run these. They were made with gnpy 3.0.1.
"""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion_rl.arrays import Floats
from fusion_rl.config.transmission import TransmissionConfig
from fusion_rl.domains.optical import transmission
from fusion_rl.domains.optical.pipelines import qot

gnpy = pytest.importorskip("gnpy")

pytestmark = pytest.mark.slow

CENTRE_HZ, CHANNELS, SPACING_SLOTS, SLOT_GHZ = 193.41e12, 40, 4, 12.5
SPAN_KM, SPANS = 100.0, 10
EDFA = "std_fixed_gain"  # 5.5 dB noise figure; 20 dB of gain make up for 100 km


@pytest.fixture
def nli_method() -> Iterator[Any]:
    """Choose how gnpy works out nonlinear noise; its choice is global, so it is put back."""
    from gnpy.core.parameters import SimParams

    def choose(method: str, channel: int) -> None:
        SimParams.set_params(
            {
                "nli_params": {"method": method, "computed_channels": [channel + 1], "dispersion_tolerance": 1},
                "raman_params": {"flag": False},
            }
        )

    yield choose
    SimParams.set_params({"nli_params": {}, "raman_params": {}})


def line(spans: int) -> list[Any]:
    """Fibre, amplifier, fibre, amplifier ... as gnpy builds them from its own equipment library."""
    from gnpy.core.elements import Fiber
    from gnpy.tools.json_io import load_equipment, network_from_json

    equipment = load_equipment(Path(gnpy.__file__).parent / "example-data" / "eqpt_config.json")
    fibre = {"length": SPAN_KM, "length_units": "km", "loss_coef": 0.2, "att_in": 0, "con_in": 0, "con_out": 0}
    elements = []
    for span in range(spans):
        elements += [
            {"uid": f"{span} fibre", "type": "Fiber", "type_variety": "SSMF", "params": fibre},
            {
                "uid": f"{span} amplifier",
                "type": "Edfa",
                "type_variety": EDFA,
                "operational": {"gain_target": 20, "tilt_target": 0, "out_voa": 0},
            },
        ]
    names = [element["uid"] for element in elements]
    connections = [{"from_node": one, "to_node": other} for one, other in pairwise(names)]
    network = network_from_json({"elements": elements, "connections": connections}, equipment)
    made = {element.uid: element for element in network.nodes()}
    for element in made.values():
        if isinstance(element, Fiber):
            element.ref_pch_in_dbm = 0.0
    return [made[name] for name in names]


def channels(count: int) -> Any:
    """1 mW in each channel of three slots, every four slots."""
    from gnpy.core.info import create_arbitrary_spectral_information

    spacing_hz = SPACING_SLOTS * SLOT_GHZ * 1e9
    return create_arbitrary_spectral_information(
        CENTRE_HZ + spacing_hz * (np.arange(count) - count // 2),
        pch=1e-3,
        baud_rate=(SPACING_SLOTS - 1) * SLOT_GHZ * 1e9,
        slot_width=spacing_hz,
        roll_off=0.001,
        tx_osnr=100.0,
        tx_power=1e-3,
    )


def our_snr_db(count: int, spans: int) -> tuple[Floats, Floats]:
    """SNR of each channel, from nonlinear noise alone and from all noise."""
    made = transmission.prepare(
        TransmissionConfig(
            span_km=SPAN_KM,
            attenuation_db_per_km=0.2,
            dispersion_ps_per_nm_km=16.7,
            nonlinear_coefficient_per_w_km=2 * np.pi * 2.6e-20 / (1550e-9 * 83e-12) * 1e3,  # as gnpy has it from 83 um2
            noise_figure_db=5.5,
            launch_power_dbm_per_slot=-10 * np.log10(SPACING_SLOTS - 1),
            centre_frequency_thz=CENTRE_HZ / 1e12,
        ),
        slots=count * SPACING_SLOTS,
        slot_width_ghz=SLOT_GHZ,
        guard_slots=1,
        link_length_km=np.array([SPAN_KM * spans]),
        required_snr_db=np.array([0.0]),
    )
    start = np.arange(0, count * SPACING_SLOTS, SPACING_SLOTS, dtype=np.int32)
    width = np.full(count, SPACING_SLOTS, np.int32)
    row = np.repeat(np.arange(count, dtype=np.int32), SPACING_SLOTS)
    noise = np.array(
        [
            qot.link_noise(made, 0, row, start, width, int(start[one]), SPACING_SLOTS, one, qot.NOWHERE, 0)
            for one in range(count)
        ]
    )
    return -10 * np.log10(noise - made.ase[0]), -10 * np.log10(noise)


def test_nonlinear_noise_of_a_span_is_that_of_gnpy() -> None:
    fibre = line(1)[0]
    spectrum = fibre(channels(CHANNELS))
    # gnpy takes the noise that a span makes out of the signal, and lets the nonlinear coefficient vary over the
    # band; we do neither. Noise goes with the square of the coefficient
    gnpy_db = -10 * np.log10(spectrum.nli / spectrum.pch)
    varies_db = 20 * np.log10(fibre.gamma(spectrum.frequency) / fibre.gamma())
    error_db = our_snr_db(CHANNELS, 1)[0] - gnpy_db
    print(
        f"at most {np.abs(error_db).max():.3f} dB, {np.abs(error_db - varies_db).max():.1e} dB for an equal coefficient"
    )
    assert np.abs(error_db).max() < 0.2
    assert np.abs(error_db - varies_db).max() < 1e-3


def test_snr_of_a_link_agrees_with_gnpy_span_by_span() -> None:
    spectrum, elements = channels(CHANNELS), line(SPANS)
    for span in range(SPANS):
        spectrum = elements[2 * span + 1](elements[2 * span](spectrum))
        error_db = our_snr_db(CHANNELS, span + 1)[1] - spectrum.gsnr_db
        middle_db, largest_db = error_db[CHANNELS // 2], np.abs(error_db).max()
        print(f"{span + 1} spans: {middle_db:+.3f} dB in the middle of the band, at most {largest_db:.3f} dB")
        # besides the above, gnpy lets all noise make nonlinear noise in the spans that follow, and counts amplifier
        # noise as F A rather than F (A - 1), 0.04 dB at 20 dB of gain
        assert 0 < middle_db < 0.1
        assert largest_db < 0.2


@pytest.mark.parametrize("count", [3, 9, 15])
def test_the_closed_form_is_near_the_integral_of_gnpy(nli_method: Any, count: int) -> None:
    middle = count // 2
    nli_method("ggn_spectrally_separated", middle)
    integral_db = line(1)[0](channels(count)).snr_nli_db[middle]
    error_db = our_snr_db(count, 1)[0][middle] - integral_db
    print(f"{count} channels: {error_db:+.3f} dB")
    assert -0.4 < error_db < 0  # the closed form counts a little more noise
