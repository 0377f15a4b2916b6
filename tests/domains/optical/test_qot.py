"""Quality of transmission against the formula written out, published figures, and what physics demands."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fusion_rl.arrays import AnyArray, Floats, Ints
from fusion_rl.config.transmission import TransmissionConfig
from fusion_rl.domains.optical import transmission
from fusion_rl.domains.optical.pipelines import qot
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import LIGHTPATH
from fusion_rl.domains.optical.transmission import Transmission
from fusion_rl.errors import ConfigError, TopologyError
from tests.domains.optical.worlds import many_examples, slow_fibre, small_settings
from tests.oracles import slow_qot
from tests.oracles.slow_qot import Channel

GOLDEN = Path(__file__).parents[2] / "golden"
SLOTS, SLOT_GHZ, GUARD_SLOTS = 100, 12.5, 1


def tables(config: TransmissionConfig | None = None, *, links_km: tuple[float, ...] = (80.0,)) -> Transmission:
    """Links of 100 slots with a guard slot, and one path that needs 10 dB."""
    return transmission.prepare(
        config or TransmissionConfig(),
        slots=SLOTS,
        slot_width_ghz=SLOT_GHZ,
        guard_slots=GUARD_SLOTS,
        link_length_km=np.array(links_km),
        required_snr_db=np.array([10.0]),
    )


def table_of(lightpaths: Sequence[tuple[int, int]]) -> AnyArray:
    """Records of lightpaths (start, width)."""
    table = np.zeros(len(lightpaths), LIGHTPATH)
    for row, (start, width) in zip(table, lightpaths, strict=True):
        row["start"], row["width"] = start, width
    return table


def noise(made: Transmission, channel: tuple[int, int], *others: tuple[int, int], link: int = 0) -> float:
    """Noise that a link adds to a channel (start, width) among others."""
    row = np.full(made.edge_terms.shape[1] // 2, qot.NOBODY, np.int32)
    for number, (start, width) in enumerate(others):
        row[start : start + width] = number
    table = table_of(others)
    return float(qot.link_noise(made, link, row, table, *channel, qot.NOBODY, qot.NOWHERE, 0))


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


# ---- against the formula, on networks in use ----


@dataclass
class Lit:
    """A network with lightpaths: what the kernels read, and what each lightpath is."""

    setting: Setting
    config: TransmissionConfig
    path: list[int]
    start: Ints
    width: Ints
    owner: Ints

    def links(self, path: int) -> list[int]:
        first, last = self.setting.world.link_first[path : path + 2]
        return [int(link) for link in self.setting.world.path_links[first:last]]

    def signal(self, start: int, width: int) -> Channel:
        """The band that carries signal, in Hz above the first slot."""
        slot_hz = self.setting.network.slot_width_ghz * 1e9
        return start * slot_hz, (start + width - self.setting.network.guard_slots) * slot_hz

    def slow_noise(self, path: int, channel: Channel, others: dict[int, list[Channel]]) -> float:
        """Noise on a path by the formula, `others` being the channels on each link."""
        fibre = slow_fibre(self.config, self.setting.network.slot_width_ghz)
        length_m = [link.length_km * 1e3 for link in self.setting.topology.links]
        return sum(
            slow_qot.link_inverse_snr(fibre, length_m[link], channel, others.get(link, [])) for link in self.links(path)
        )

    def channels(self, *, without: int | None = None) -> dict[int, list[Channel]]:
        """The signals on each link."""
        found: dict[int, list[Channel]] = {}
        for number, path in enumerate(self.path):
            for link in self.links(path) if number != without else []:
                channel = self.signal(int(self.start[number]), int(self.width[number]))
                found.setdefault(link, []).append(channel)
        return found


@st.composite
def configs(draw: st.DrawFn) -> TransmissionConfig:
    number = st.floats
    return TransmissionConfig(
        span_km=draw(st.sampled_from([40, 75, 80, 100, 3000 / 7, 1000])),
        attenuation_db_per_km=draw(number(0.1, 0.4)),
        dispersion_ps_per_nm_km=draw(number(0.5, 30)),
        nonlinear_coefficient_per_w_km=draw(number(0.5, 3)),
        noise_figure_db=draw(number(3, 8)),
        launch_power_dbm_per_slot=draw(number(-15, 5)),
        centre_frequency_thz=draw(number(185, 230)),
    )


@st.composite
def lit_networks(draw: st.DrawFn) -> Lit:
    """Up to 12 lightpaths that do not overlap, put where they happen to fit."""
    setting = draw(small_settings(most_nodes=5, most_slots=70))
    slots = setting.network.slots
    lit = Lit(
        setting=setting,
        config=draw(configs()),
        path=[],
        start=np.zeros(12, np.int32),
        width=np.zeros(12, np.int32),
        owner=np.full((len(setting.topology.links), slots), qot.NOBODY, np.int32),
    )
    for _ in range(draw(st.integers(0, 12))):
        path, start, width = draw(channels_of(setting))
        if (lit.owner[lit.links(path), start : start + width] == qot.NOBODY).all():
            number = len(lit.path)
            lit.owner[lit.links(path), start : start + width] = number
            lit.start[number], lit.width[number] = start, width
            lit.path.append(path)
    return lit


@st.composite
def channels_of(draw: st.DrawFn, setting: Setting) -> tuple[int, int, int]:
    """A path, a start and a width, guard slots included, that are within the band."""
    slots, guard = setting.network.slots, setting.network.guard_slots
    width = draw(st.integers(guard + 1, max(guard + 1, min(slots, guard + 12))))
    path = draw(st.integers(0, setting.world.path_hops.size - 1))
    return path, draw(st.integers(0, slots - width)), width


@many_examples
@given(lit_networks(), st.data())
def test_noise_is_that_of_the_formula_on_any_network_in_use(lit: Lit, data: st.DataObject) -> None:
    world, network = lit.setting.world, lit.setting.network
    made = transmission.prepare(
        lit.config,
        slots=network.slots,
        slot_width_ghz=network.slot_width_ghz,
        guard_slots=network.guard_slots,
        link_length_km=world.link_length_km,
        required_snr_db=np.zeros(world.path_hops.size),
    )
    table = table_of(list(zip(lit.start, lit.width, strict=True)))
    in_use = (made, world, lit.owner, table)
    for number, path in enumerate(lit.path):
        start, width = int(lit.start[number]), int(lit.width[number])
        slow = lit.slow_noise(path, lit.signal(start, width), lit.channels(without=number))
        assert qot.inverse_snr(*in_use, path, start, width, number) == pytest.approx(slow, rel=1e-9)

    path, start, width = data.draw(channels_of(lit.setting))
    if not (lit.owner[lit.links(path), start : start + width] == qot.NOBODY).all():
        return
    new = lit.signal(start, width)
    slow = lit.slow_noise(path, new, lit.channels())
    assert qot.inverse_snr(*in_use, path, start, width, qot.NOBODY) == pytest.approx(slow, rel=1e-9)
    for number, running in enumerate(lit.path):
        others = lit.channels(without=number)
        for link in lit.links(path):
            others.setdefault(link, []).append(new)
        own = lit.signal(int(lit.start[number]), int(lit.width[number]))
        beside = qot.inverse_snr(*in_use, running, int(lit.start[number]), int(lit.width[number]), number)
        beside += qot.noise_added(made, world, table, running, number, path, start, width)
        assert beside == pytest.approx(lit.slow_noise(running, own, others), rel=1e-9)


@many_examples
@given(st.integers(0, 40), st.integers(2, 8), st.integers(50, 90), st.integers(2, 8))
def test_a_further_channel_counts_as_if_it_were_lit(start: int, width: int, new_start: int, new_width: int) -> None:
    made = tables()
    empty = np.full(SLOTS, qot.NOBODY, np.int32)
    asked = qot.link_noise(made, 0, empty, table_of([]), start, width, qot.NOBODY, new_start, new_width)
    assert asked == noise(made, (start, width), (new_start, new_width))


@pytest.mark.parametrize("others", [[], [(4.0, 7.0)], [(3.0, 6.0), (7.0, 12.0)]])
def test_the_closed_form_is_near_the_integral_that_it_approximates(others: list[tuple[float, float]]) -> None:
    fibre = slow_fibre(TransmissionConfig(), SLOT_GHZ)
    slot_hz = SLOT_GHZ * 1e9
    channel, neighbours = (0.0, 3 * slot_hz), [(low * slot_hz, high * slot_hz) for low, high in others]
    closed = slow_qot.span_nonlinear_noise(fibre, 80e3, channel, neighbours)
    integral = slow_qot.span_nonlinear_noise_by_integration(fibre, 80e3, channel, neighbours)
    error_db = decibels(closed / integral)
    print(f"closed form - integral: {error_db:+.3f} dB with {len(others)} neighbours")
    assert 0 < error_db < 0.3  # its approximations err on the side of more noise


# ---- against published figures ----


def gnpy_span() -> tuple[Transmission, Floats]:
    """The span of gnpy's own test with its 96 channels, and the noise published for them, W after the span."""
    published = np.loadtxt(GOLDEN / "gnpy_fibre_span_nli.csv", delimiter=",", comments="#")
    made = transmission.prepare(
        TransmissionConfig(
            span_km=80.0,
            attenuation_db_per_km=0.2,
            dispersion_ps_per_nm_km=16.7,
            nonlinear_coefficient_per_w_km=1.27,
            launch_power_dbm_per_slot=-0.5 - decibels(16),  # 0 dBm into a connector of 0.5 dB, 16 slots of 2 GHz
            centre_frequency_thz=299_792_458 / 1550e-9 / 1e12,
        ),
        slots=96 * 25,
        slot_width_ghz=2.0,
        guard_slots=9,  # 32 GHz of signal each 50 GHz
        link_length_km=np.array([80.0]),
        required_snr_db=np.array([0.0]),
        max_width=25,
    )
    return made, published[:, 1]


def test_nonlinear_noise_is_that_published_for_a_single_span() -> None:
    made, published_w = gnpy_span()
    channels = [(25 * number, 25) for number in range(96)]
    after_span_w = 1e-3 * 10 ** (-(0.5 + 16.0 + 0.5) / 10)
    error_db = [
        decibels(
            (noise(made, channel, *(other for other in channels if other != channel)) - made.ase[0])
            * after_span_w
            / expected_w
        )
        for channel, expected_w in zip(channels, published_w, strict=True)
    ]
    print(f"largest error: {max(error_db, key=abs):+.2e} dB")
    assert max(np.abs(error_db)) < 1e-6


# ---- what physics demands ----


def test_every_further_span_adds_the_same_noise() -> None:
    made = tables(links_km=(80.0, 160.0, 240.0, 800.0))
    one = noise(made, (0, 4), (10, 4))
    for link, spans in enumerate([1, 2, 3, 10]):
        assert noise(made, (0, 4), (10, 4), link=link) == pytest.approx(spans * one, rel=1e-12)


@many_examples
@given(st.integers(1, 5), st.floats(0.05, 0.95), st.floats(0.05, 0.95))
def test_a_longer_link_of_as_many_spans_is_noisier(spans: int, one: float, other: float) -> None:
    short, long = sorted((80.0 * (spans - 1 + one), 80.0 * (spans - 1 + other)))
    made = tables(links_km=(short, long))
    assert noise(made, (0, 4), link=0) <= noise(made, (0, 4), link=1)
    assert (short == long) or noise(made, (0, 4), link=0) < noise(made, (0, 4), link=1)


@many_examples
@given(st.integers(0, 20), st.integers(2, 10), st.integers(2, 10))
def test_a_neighbour_hurts_the_more_the_closer_and_the_wider_it_is(start: int, width: int, other: int) -> None:
    made = tables()
    channel = (start, width)
    alone = noise(made, channel)
    by_distance = [noise(made, channel, (above, other)) for above in range(start + width, SLOTS - other + 1)]
    assert (np.diff(by_distance) < 0).all()
    assert min(by_distance) > alone
    by_width = [noise(made, channel, (60, wider)) for wider in range(2, 40)]
    assert (np.diff(by_width) > 0).all()


@many_examples
@given(st.lists(st.integers(0, 24), min_size=2, unique=True))
def test_noise_grows_with_each_further_neighbour(places: list[int]) -> None:
    made = tables()
    blocks = [(4 * place, 4) for place in places]
    grown = [noise(made, blocks[0], *blocks[1 : count + 1]) for count in range(len(blocks))]
    assert (np.diff(grown) > 0).all()


@many_examples
@given(st.integers(2, 8), st.integers(0, 45), st.integers(2, 8))
def test_the_band_looks_the_same_from_both_ends(width: int, apart: int, other: int) -> None:
    made = tables()
    start = 10 + width + apart
    above = noise(made, (10, width), (start, other))
    # mirrored: signals change sides, their guard slots stay on the high side
    mirrored = SLOTS - (start + other - GUARD_SLOTS), SLOTS - (10 + width - GUARD_SLOTS)
    assert noise(made, (mirrored[1], width), (mirrored[0], other)) == pytest.approx(above, rel=1e-12)


def test_there_is_a_best_launch_power_where_amplifiers_make_twice_the_nonlinear_noise() -> None:
    channel, others = (48, 4), [(4 * place, 4) for place in range(25) if place != 12]

    def at(power_dbm: float) -> tuple[float, float]:
        made = tables(TransmissionConfig(launch_power_dbm_per_slot=power_dbm), links_km=(800.0,))
        total = noise(made, channel, *others)
        return total, float(made.ase[0])

    powers_dbm = np.arange(-20.0, 10.0, 0.01)
    totals = np.array([at(power_dbm)[0] for power_dbm in powers_dbm[::50]])
    lowest = int(totals.argmin())
    assert (np.diff(totals[: lowest + 1]) < 0).all()
    assert (np.diff(totals[lowest:]) > 0).all()
    total, ase = at(-4.1)
    best_dbm = -4.1 + decibels((ase / (2 * (total - ase))) ** (1 / 3))
    assert abs(best_dbm - powers_dbm[::50][lowest]) < 0.5
    total, ase = at(best_dbm)
    assert ase == pytest.approx(2 * (total - ase), rel=1e-9)
    assert total < min(at(best_dbm - 0.1)[0], at(best_dbm + 0.1)[0])


# ---- the tables ----


def test_a_table_for_narrow_lightpaths_holds_the_same_figures() -> None:
    config = TransmissionConfig()
    wide = tables(config)
    narrow = transmission.prepare(
        config,
        slots=SLOTS,
        slot_width_ghz=SLOT_GHZ,
        guard_slots=GUARD_SLOTS,
        link_length_km=np.array([80.0]),
        required_snr_db=np.array([10.0]),
        max_width=8,
    )
    assert narrow.edge_terms.shape == (8, 2 * SLOTS + 1)
    assert wide.edge_terms.shape == (SLOTS, 2 * SLOTS + 1)
    assert (narrow.edge_terms == wide.edge_terms[:8]).all()


def test_a_path_bears_as_much_noise_as_its_required_snr_and_the_margin_leave() -> None:
    made = tables(TransmissionConfig(margin_db=3.0))
    assert made.most_noise.tolist() == pytest.approx([0.1])
    assert made.most_noise_new.tolist() == pytest.approx([10**-1.3]), "the margin is for those to come"


def test_tables_cannot_be_written() -> None:
    for array in (tables().ase, tables().nonlinear, tables().edge_terms, tables().most_noise):
        assert not array.flags.writeable


@pytest.mark.parametrize("length_km", [0.0, -1.0, np.nan, np.inf])
def test_a_link_without_length_is_refused(length_km: float) -> None:
    with pytest.raises(TopologyError, match=r"link 1 has length .* above 0 km"):
        tables(links_km=(80.0, length_km))


def test_a_path_without_a_required_snr_is_refused() -> None:
    with pytest.raises(ConfigError, match="path 1 has a required SNR of nan dB"):
        transmission.prepare(
            TransmissionConfig(),
            slots=SLOTS,
            slot_width_ghz=SLOT_GHZ,
            guard_slots=GUARD_SLOTS,
            link_length_km=np.array([80.0]),
            required_snr_db=np.array([10.0, np.nan]),
        )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("span_km", 0),
        ("span_km", -80),
        ("attenuation_db_per_km", 0),
        ("dispersion_ps_per_nm_km", 0),
        ("nonlinear_coefficient_per_w_km", 0),
        ("noise_figure_db", 0),
        ("launch_power_dbm_per_slot", 100),
        ("centre_frequency_thz", 0),
        ("margin_db", -1),
    ],
)
def test_settings_that_are_no_fibre_are_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=name):
        TransmissionConfig.model_validate({name: value})
