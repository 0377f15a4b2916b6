"""A line of the parity report: what was compared with what, how far they may be apart, and the verdict."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a comparison came to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_COMPARABLE = "not comparable"  # both figures are right, of things that are knowingly not the same


@dataclass(frozen=True)
class Size:
    """How much is simulated for a report.

    Attributes:
        requests: for each published figure, over all lanes.
        analytic_requests: for each formula.
        decisions: compared one by one for each heuristic.
        every_load: compare with every published load, not with one of each group.
        settings: experiment presets whose published figures are compared; none: all.
        seed: of our own traffic.
    """

    requests: int = 1_000_000
    analytic_requests: int = 400_000
    decisions: int = 20_000
    every_load: bool = True
    settings: tuple[str, ...] = ()
    seed: int = 1


FULL = Size()
QUICK = Size(requests=100_000, analytic_requests=100_000, decisions=2_000, every_load=False)


@dataclass(frozen=True)
class Line:
    """One comparison.

    Attributes:
        group: the check that it belongs to.
        compared: what was compared with what.
        conditions: everything that the figures depend on.
        expected: what the other side says.
        expected_half_width: how sure it is of that; 0 where it is exact.
        found: what we say.
        found_half_width: how sure we are of that; 0 where it is exact.
        tolerance: how far they may be apart.
        tolerance_rests_on: where that comes from.
        verdict: what it came to.
        reason: why the figures cannot be compared, or what is known of their disagreement; empty where they agree.
    """

    group: str
    compared: str
    conditions: str
    expected: float
    expected_half_width: float
    found: float
    found_half_width: float
    tolerance: float
    tolerance_rests_on: str
    verdict: Verdict
    reason: str = ""


def within(
    *,
    group: str,
    compared: str,
    conditions: str,
    expected: float,
    found: float,
    tolerance: float,
    tolerance_rests_on: str,
    expected_half_width: float = 0.0,
    found_half_width: float = 0.0,
    not_comparable: str = "",
    remark: str = "",
) -> Line:
    """The line of two figures that pass where they are no further apart than the tolerance.

    A figure or tolerance that is not a number fails. See `Line` for the arguments; `not_comparable` is the reason
    why the figures are shown and not judged, `remark` what is to be said if they fail.
    """
    close = abs(found - expected) <= tolerance and math.isfinite(tolerance)
    verdict = Verdict.PASSED if close else Verdict.FAILED
    return Line(
        group=group,
        compared=compared,
        conditions=conditions,
        expected=expected,
        expected_half_width=expected_half_width,
        found=found,
        found_half_width=found_half_width,
        tolerance=tolerance,
        tolerance_rests_on=tolerance_rests_on,
        verdict=Verdict.NOT_COMPARABLE if not_comparable else verdict,
        reason=not_comparable or ("" if close else remark),
    )


def exactly(*, group: str, compared: str, conditions: str, expected: float, found: float) -> Line:
    """The line of two figures that must be equal to the last digit."""
    return within(
        group=group,
        compared=compared,
        conditions=conditions,
        expected=expected,
        found=found,
        tolerance=0.0,
        tolerance_rests_on="exact",
    )
