"""The network concern: fibres, spectrum, modulation formats and candidate paths."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from fusion_rl.config.base import Settings
from fusion_rl.config.lightpaths import FormatChoice, GroomingConfig, Protection, Restoration, SlicingConfig
from fusion_rl.config.transmission import TransmissionConfig

Links = Literal["directed", "shared"]
PathOrder = Literal["km", "hops", "hops-per-se"]


class Format(Settings):
    """A modulation format: what it carries, and how far or at which signal-to-noise ratio."""

    name: str | None = Field(default=None, description="name for people, as QPSK")
    bits_per_s_per_hz: float = Field(gt=0, description="spectral efficiency, bits/s/Hz")
    reach_km: float | None = Field(default=None, gt=0, description="longest path, km; null: any length")
    required_snr_db: float | None = Field(
        default=None, description="least signal-to-noise ratio, dB; needed where `transmission` is given"
    )


class NetworkConfig(Settings):
    """An optical network before any traffic: what a World is built from."""

    domain: Literal["optical"] = Field(default="optical", description="which simulator this network belongs to")
    topology: str = Field(
        min_length=1, description="topology name, or a file: CSV edge list, GraphML, node-link JSON, SNDlib XML"
    )
    links: Links = Field(
        "directed",
        description="directed: each direction of an edge has its own spectrum; shared: both use one",
    )
    slots: int = Field(default=100, ge=1, le=4096, description="frequency slots of a link")
    slot_width_ghz: float = Field(default=12.5, gt=0, description="width of a slot, GHz")
    guard_slots: int = Field(default=0, ge=0, description="slots added on the high side of every allocation")
    reach_table: tuple[Format, ...] | None = Field(
        default=None, description="modulation formats; null: none, bandwidths are then widths in slots"
    )
    k_paths: int = Field(default=5, ge=1, description="candidate paths of a source-destination pair, at most")
    path_order: PathOrder = Field(
        "hops-per-se",
        description="order of the candidates: length, hops, or hops / spectral efficiency the length allows",
    )
    paths_file: str | None = Field(default=None, description="CSV of candidate paths to use in place of our own")
    transmission: TransmissionConfig | None = Field(
        default=None, description="physics of the links, for networks that check signal quality; null: reach says all"
    )
    format_choice: FormatChoice = Field(
        default="by-reach",
        description="by-reach: the most efficient format whose reach holds; by-snr: the most efficient one whose "
        "required SNR is met on the spectrum at hand; by-action: the decision names it",
    )
    grooming: GroomingConfig | None = Field(default=None, description="ride on running lightpaths; null: never")
    slicing: SlicingConfig | None = Field(default=None, description="split what fits nowhere whole; null: never")
    protection: Protection = Field(
        default="none", description="1+1: every request gets a second lightpath on a link-disjoint candidate path"
    )
    restoration: Restoration = Field(
        default="candidate-paths",
        description="what becomes of a lightpath whose link fails: moved to a candidate path with room, or dropped",
    )

    @field_validator("reach_table")
    @classmethod
    def _check_reach_table(cls, formats: tuple[Format, ...] | None) -> tuple[Format, ...] | None:
        if formats is None:
            return None
        if not formats:
            raise ValueError("is empty: give at least one format, or null for a network without formats")
        pairs = [(form.bits_per_s_per_hz, form.reach_km) for form in formats]
        for efficiency, reach_km in pairs:
            if pairs.count((efficiency, reach_km)) > 1:
                reach = "any length" if reach_km is None else f"{reach_km:g} km"
                raise ValueError(f"lists the format {efficiency:g} bits/s/Hz up to {reach} more than once")
        names = [form.name for form in formats if form.name is not None]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"lists the format name '{name}' more than once")
        return formats

    @model_validator(mode="after")
    def _check_sharing(self) -> Self:
        if self.protection != "none" and (self.slicing or self.grooming):
            other = "slicing" if self.slicing else "grooming"
            raise ValueError(
                f"protection ({self.protection}) and {other} are both given: a protected request has two whole "
                f"lightpaths of its own. Set protection to none or {other} to null"
            )
        if self.reach_table is None and self.format_choice != "by-reach":
            raise ValueError(f"format_choice ({self.format_choice}) needs formats: reach_table is null")
        if self.format_choice == "by-snr" and self.transmission is None:
            raise ValueError("format_choice (by-snr) needs the links' physics: give transmission")
        if self.transmission is not None:
            if self.reach_table is None:
                raise ValueError("transmission is given, so it needs formats with required_snr_db: reach_table is null")
            without = [form for form in self.reach_table if form.required_snr_db is None]
            if without:
                missing = ", ".join(f"{form.bits_per_s_per_hz:g} bits/s/Hz" for form in without)
                raise ValueError(f"transmission is given, so every format needs required_snr_db: missing for {missing}")
        by_action = self.grooming is not None and self.grooming.preference == "by-action"
        if by_action and self.format_choice != "by-action":
            raise ValueError("grooming.preference (by-action) needs format_choice: by-action, so that actions say both")
        return self
