"""How requests share and use lightpaths: grooming, slicing, protection. All off unless given."""

from typing import Literal

from pydantic import Field

from fusion_rl.config.base import Settings

FormatChoice = Literal["by-reach", "by-snr", "by-action"]
Protection = Literal["none", "1+1"]
Restoration = Literal["none", "candidate-paths"]


class GroomingConfig(Settings):
    """A request may ride on lightpaths between its ends that have bandwidth to spare, before new ones are lit."""

    max_parts: int = Field(
        default=1,
        ge=1,
        le=8,
        description="lightpaths that may share one request, a new one included; 1: it rides whole or not at all",
    )
    preference: Literal["groom-first", "by-action"] = Field(
        default="groom-first",
        description="by-action: each action (codec path-modulation) says whether to ride first or to light a new "
        "lightpath for all of it; what can ride whole rides where there is no room for that",
    )


class SlicingConfig(Settings):
    """A request that fits nowhere whole may be split over several new lightpaths, all of it or nothing."""

    max_segments: int = Field(default=2, ge=2, le=8, description="lightpaths that a request is split over, at most")
    split: Literal["equal", "greedy"] = Field(
        default="equal",
        description="equal: parts of one size, as few as fit; greedy: each part as large as the largest free block",
    )
