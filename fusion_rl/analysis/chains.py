"""What chains of trainings learned on each of their scenarios, from the runs that the store has."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import SCENARIOS_TAG, STEPS_BEFORE_TAG, RunRecord
from fusion_rl.tracking.mlflow_store import Store, open_store
from fusion_rl.training.charts import Chart, Panel, Series, draw

_X_LABEL = "training steps of all runs of the chain so far"


def scenario_curves_figure(tracking_dir: str | Path, runs: Sequence[str], reference: str = "ksp-ff") -> Figure:
    """Blocking of agents while they learned, a panel for each scenario at its load, over the steps of the whole chain.

    Args:
        tracking_dir: folder of the run store.
        runs: ids or names of trainings, of one chain or of several that differ in their seed.
        reference: heuristic to hold them against, as the runs' final comparisons have it.

    Raises:
        TrackingError: a run cannot be found, or none of them was evaluated on the way.
    """
    store = open_store(tracking_dir, create=False)
    panels: dict[str, list[Series]] = {}
    for record in map(store.find_run, runs):
        for scenario, label in _scenarios(record):
            curve = _curve(store, record, scenario)
            if curve is None:
                continue
            shown = panels.setdefault(label, [])
            level = record.metrics.get(f"baseline/{reference}/{scenario}/service_blocking")
            if level is not None and not shown:
                ends = [min(curve.x), max(curve.x)]
                shown.append(Series(reference, ends, [level, level], is_level=True))
            shown.append(curve)
    if not panels:
        raise TrackingError("none of these runs was evaluated on the way: set execution.eval_every above 0")
    drawn = [Panel(f"blocked share, {label}", series) for label, series in panels.items()]
    return draw(Chart("scenario_curves", "Blocking while learning, scenario by scenario", _X_LABEL, drawn))


def _scenarios(record: RunRecord) -> Iterator[tuple[str, str]]:
    """(name, name with its load) of each scenario of a run."""
    for number, name in enumerate(record.tags.get(SCENARIOS_TAG, "").split(", ")):
        load = float(record.parameters.get(f"scenarios.{number}.load_erlang", "nan"))
        yield name, f"{name} at {load:g} E"


def _curve(store: Store, record: RunRecord, scenario: str) -> Series | None:
    """A run's evaluations on the way on one scenario; None where there were none."""
    prefix = f"evaluation/{scenario}/service_blocking"
    means, halves = (
        {
            point.step: point.value for point in reversed(store.metric_history(record.run_id, name))
        }  # the first of a step:
        for name in (prefix, f"{prefix}_ci95")  # the final comparison, on other traffic, comes after
    )
    if not means:
        return None
    before, steps = int(record.tags.get(STEPS_BEFORE_TAG, 0)), sorted(means)
    name = f"seed {record.parameters.get('execution.seed', '?')}"
    x = [before + step for step in steps]
    return Series(name, x, [means[step] for step in steps], [halves.get(step, 0.0) for step in steps])
