"""The parity report: every check's lines, their sum, and the report as a run in the store."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from fusion_rl.catalog import Catalog
from fusion_rl.parity import analytic, exact, published
from fusion_rl.parity.line import Line, Size, Verdict
from fusion_rl.tracking.base import RunLog

MLFLOW_EXPERIMENT = "parity"
TABLE_FILE = "parity.json"
FIGURE_FILE = "plots/published.png"

Check = Callable[[Size], Iterator[Line]]
CHECKS: Catalog[Check] = Catalog("parity check")
CHECKS.register("decisions", exact.lines_of_routes)
CHECKS.register("streams", exact.lines_of_streams)
CHECKS.register("published", published.lines)
CHECKS.register("analytic", analytic.lines)


@dataclass(frozen=True)
class Report:
    """A report that was made.

    Attributes:
        lines: one a comparison.
        run_id: the run that it was logged as, if it was.
    """

    lines: tuple[Line, ...]
    run_id: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many lines came to each verdict, and how many there are."""
        return counts(self.lines)

    @property
    def passed(self) -> bool:
        """Whether something was compared, and nothing failed."""
        return passed(self.lines)


def run(
    size: Size,
    only: Sequence[str] = (),
    tracking_dir: str | Path | None = None,
    on_line: Callable[[Line], None] | None = None,
) -> Report:
    """Make a report, and log it as a run.

    Args:
        size: how much is simulated.
        only: names in CHECKS; none: all of them.
        tracking_dir: folder of the store; None: nothing is logged.
        on_line: told each line as soon as it is known.

    Raises:
        UnknownNameError: there is no check of that name, or nothing is published for a setting; nothing is written.
        TrackingError: the store cannot be opened or written.
    """
    coming, made = lines(size, only), []
    with ExitStack() as stack:
        log_of_run = None if tracking_dir is None else stack.enter_context(open_run(tracking_dir, size, only))
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", message="k_paths=")  # small networks have fewer paths, and are meant
        for line in coming:
            made.append(line)
            if on_line is not None:
                on_line(line)
        if log_of_run is not None:
            log(made, log_of_run)
    return Report(tuple(made), None if log_of_run is None else log_of_run.run_id)


def lines(size: Size, only: Sequence[str] = ()) -> Iterator[Line]:
    """The report line by line, each as soon as it is known.

    Args:
        size: how much is simulated.
        only: names in CHECKS; none: all of them.

    Raises:
        UnknownNameError: there is no check of that name, or nothing is published for a setting.
    """
    published.chosen(published.read(), size)  # a wrong setting is refused now, not after the other checks
    checks = [CHECKS[name] for name in only or CHECKS.names()]
    return (line for check in checks for line in check(size))


def counts(report: Sequence[Line]) -> dict[str, int]:
    """How many lines came to each verdict, and how many there are."""
    of_verdict = {verdict.replace(" ", "_"): sum(line.verdict == verdict for line in report) for verdict in Verdict}
    return {"lines": len(report), **of_verdict}


def passed(report: Sequence[Line]) -> bool:
    """Whether something was compared, and nothing failed."""
    verdicts = {line.verdict for line in report}
    return Verdict.PASSED in verdicts and Verdict.FAILED not in verdicts


def open_run(tracking_dir: str | Path, size: Size, only: Sequence[str] = ()) -> RunLog:
    """Begin the run of a report in the store; used as a context, it ends with the status that is true.

    Raises:
        TrackingError: the store cannot be opened or written.
    """
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.tracking.provenance import provenance_tags

    parameters = {**asdict(size), "settings": ",".join(size.settings), "checks": ",".join(only or CHECKS.names())}
    return open_store(tracking_dir).start(
        MLFLOW_EXPERIMENT, "parity-report", parameters, provenance_tags(seeds={"evaluation": size.seed})
    )


def log(report: Sequence[Line], run: RunLog) -> None:
    """Write a report into a run: how many lines came to what, the figures of line i at step i, table and plot."""
    run.log_metrics(dict(counts(report)))
    for number, line in enumerate(report):
        values = {"expected": line.expected, "found": line.found, "tolerance": line.tolerance}
        run.log_metrics({f"line/{name}": value for name, value in values.items()}, step=number)
    columns = {name: [asdict(line)[name] for line in report] for name in asdict(report[0])} if report else {}
    run.log_table(columns, TABLE_FILE)
    if any(line.group == published.GROUP for line in report):
        from fusion_rl.parity.figures import published_figure

        run.log_figure(published_figure(report), FIGURE_FILE)
