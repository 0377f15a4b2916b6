"""Sanity checks before a training: does it see, decide, earn and learn anything at all?

They look at the very parts that the training is made of, on lanes and an agent of their own: the training that
follows is the same, bit for bit, with and without them. A failed check stops the run and says what is the likely
cause; a warning is for what a training survives and learns nothing from.
"""

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import Domain
from fusion_rl.errors import TrainingError
from fusion_rl.tracking.base import RunLog
from fusion_rl.training import resume
from fusion_rl.training.sanity_checks import CHECKS, Check, Subject, Verdict

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        check: what should be so.
        detail: what was seen.
        cause: the likely reason where it is not so; empty where it is.
    """

    check: str
    verdict: Verdict
    detail: str
    cause: str = ""


def check(config: ExperimentConfig, domain: Domain, setting: Any, agent: "BaseAlgorithm") -> list[Finding]:
    """Look at every part of a training that is about to begin.

    Args:
        config: the experiment.
        domain: whose lanes they are.
        setting: what the domain prepared from the configuration.
        agent: what will be trained; it is looked at and left alone.
    """
    subject = Subject(config, domain, setting, agent)
    kept = resume.capture_random()
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            return [_carry_out(name, one, subject) for name, one in CHECKS.items()]
    finally:
        resume.restore_random(kept)


def _carry_out(name: str, one: Check, subject: Subject) -> Finding:
    try:
        return Finding(name, *one(subject))
    except Exception as error:  # a part that breaks down is what the checks are there to find
        detail = " ".join(f"it broke down: {type(error).__name__}: {error}".split())
        return Finding(name, Verdict.FAILED, detail, "the error names the part: observation, reward, codec or agent")


def checked(
    config: ExperimentConfig, domain: Domain, setting: Any, agent: "BaseAlgorithm", run: RunLog
) -> list[Finding]:
    """`check`, with the result in the run log; nothing where execution.sanity_checks is off."""
    if not config.execution.sanity_checks:
        run.set_tags({"sanity_checks": "skipped"})
        return []
    findings = check(config, domain, setting, agent)
    run.log_table({key: [str(asdict(one)[key]) for one in findings] for key in asdict(findings[0])}, "sanity.json")
    said = _those(findings, Verdict.FAILED) or _those(findings, Verdict.WARNING)
    run.set_tags({"sanity_checks": "; ".join(f"{one.verdict}: {one.check}" for one in said) or "passed"})
    return findings


def require_sane(findings: Sequence[Finding]) -> None:
    """Refuse to train where a check failed.

    Raises:
        TrainingError: one did; it says which, and the likely cause of each.
    """
    failed = _those(findings, Verdict.FAILED)
    if failed:
        told = "; ".join(f"{one.check}: {one.detail}. Likely cause: {one.cause}" for one in failed)
        raise TrainingError(
            f"{len(failed)} of {len(findings)} sanity checks failed: {told}"
            " (--no-sanity-checks, or execution.sanity_checks=false, trains all the same)"
        )


def _those(findings: Sequence[Finding], verdict: Verdict) -> list[Finding]:
    return [one for one in findings if one.verdict is verdict]


def doubts(findings: Sequence[Finding]) -> list[Finding]:
    """Those that are not as they should be."""
    return [one for one in findings if one.verdict is not Verdict.PASSED]


def table(findings: Sequence[Finding]) -> Table:
    """The findings to read."""
    colours = {Verdict.PASSED: "green", Verdict.WARNING: "yellow", Verdict.FAILED: "red"}
    shown = Table("sanity check", "", "seen", title="Before training", title_justify="left")
    for one in findings:
        detail = f"{one.detail}. {one.cause}" if one.cause else one.detail
        shown.add_row(one.check, f"[{colours[one.verdict]}]{one.verdict}[/]", escape(detail))
    return shown
