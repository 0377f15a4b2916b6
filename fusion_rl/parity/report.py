"""The parity report: every check's lines, their sum, and the report as a run in the store."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

from fusion_rl.catalog import Catalog
from fusion_rl.parity import analytic, exact, published
from fusion_rl.parity.line import Line, Size, Verdict
from fusion_rl.tracking.base import RunLog

MLFLOW_EXPERIMENT = "parity"
TABLE_FILE = "parity.json"

Check = Callable[[Size], Iterator[Line]]
CHECKS: Catalog[Check] = Catalog("parity check")
CHECKS.register("decisions", exact.lines_of_routes)
CHECKS.register("streams", exact.lines_of_streams)
CHECKS.register("published", published.lines)
CHECKS.register("analytic", analytic.lines)


def lines(size: Size, only: Sequence[str] = ()) -> Iterator[Line]:
    """The report line by line, each as soon as it is known.

    Args:
        size: how much is simulated.
        only: names in CHECKS; none: all of them.

    Raises:
        UnknownNameError: there is no check of that name.
    """
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


def open_run(tracking_dir: str, size: Size, only: Sequence[str] = ()) -> RunLog:
    """Begin the run of a report in the store; used as a context, it ends with the status that is true.

    Raises:
        TrackingError: the store cannot be opened or written.
    """
    from fusion_rl.tracking.mlflow_store import open_store
    from fusion_rl.tracking.provenance import provenance_tags

    parameters = {**asdict(size), "checks": ",".join(only or CHECKS.names())}
    return open_store(tracking_dir).start(
        MLFLOW_EXPERIMENT, "parity-report", parameters, provenance_tags(seeds={"evaluation": size.seed})
    )


def log(report: Sequence[Line], run: RunLog) -> None:
    """Write a report into a run: how many lines came to what, the figures of line i at step i, and the table."""
    run.log_metrics(dict(counts(report)))
    for number, line in enumerate(report):
        values = {"expected": line.expected, "found": line.found, "tolerance": line.tolerance}
        run.log_metrics({f"line/{name}": value for name, value in values.items()}, step=number)
    columns = {name: [asdict(line)[name] for line in report] for name in asdict(report[0])} if report else {}
    run.log_table(columns, TABLE_FILE)
