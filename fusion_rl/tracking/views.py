"""A view of an experiment's runs in MLflow's pages: beside each run what it blocks and what tells it from the others.

MLflow's own table begins with names and times alone, and its charts with whatever metric comes first. It keeps views
that people save as tags of the experiment, in a form of its own that this follows (MLflow 3.17, "Views" on the page of
runs). Where a later version does not know it, the view is missing from that menu, and nothing else.
"""

import json
import time
from collections.abc import Sequence

from fusion_rl.tracking.base import BLOCKING

NAME = "Blocking"
KEY = "blocking"  # what its address ends with: ?viewStateShareKey=blocking
_TAG = f"mlflow.sharedViewState.{KEY}"
_SECTION = "fusion_rl-blocking"
_FIRST = ((f"metrics.`{BLOCKING}`", 130), (f"metrics.`{BLOCKING}_ci95`", 165))
_LAST = (("tags.`algorithm`", 105), ("tags.`load`", 65), ("tags.`topology`", 90))
_PIXELS_A_LETTER, _PIXELS_AROUND = 6, 35


def view_of(settings: Sequence[str]) -> dict[str, str]:
    """The tags of an experiment that give it its view: the least blocking first, as a table and as charts.

    Args:
        settings: parameters that tell the runs apart: columns, and axes of the parallel coordinates.
    """
    middle = [(f"params.`{name}`", _PIXELS_AROUND + _PIXELS_A_LETTER * len(name)) for name in settings]
    columns = [*_FIRST, *middle, *_LAST]
    names = [name for name, _ in columns]
    bars = {"type": "BAR", "metricKey": BLOCKING, "runsCountToCompare": 20}
    lines = {"type": "PARALLEL", "selectedParams": list(settings), "selectedMetrics": [BLOCKING], "showAllRuns": True}
    state = {
        "orderByKey": names[0],
        "orderByAsc": True,
        "selectedColumns": names,
        "columnOrder": names,
        "columnWidths": dict(columns),
        "isAccordionReordered": True,
        "compareRunSections": [{"uuid": _SECTION, "name": NAME, "display": True, "isReordered": True}],
        "compareRunCharts": [
            {"uuid": f"{_SECTION}-{chart['type']}", "metricSectionId": _SECTION, "isGenerated": False, **chart}
            for chart in (bars, lines)
        ],
    }
    now_ms = int(1000 * time.time())
    view = {"name": NAME, "createdAt": now_ms, "updatedAt": now_ms, "state": json.dumps(state)}
    return {_TAG: json.dumps(view)}
