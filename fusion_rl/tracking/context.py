"""Tags that a process hands down to whatever it starts, by MLflow's own environment variable for them.

A notebook's runs are so shown under the batch that executes the notebook, without the notebook knowing of it.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow.environment_variables import MLFLOW_RUN_CONTEXT

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.base import ABOVE_TAG


def inherited_tags() -> dict[str, str]:
    """The tags that whoever started this process wants its runs to have.

    Raises:
        TrackingError: the variable holds something else than a JSON object.
    """
    text = os.environ.get(MLFLOW_RUN_CONTEXT.name)
    if not text:
        return {}
    try:
        return {str(name): str(value) for name, value in dict(json.loads(text)).items()}
    except (ValueError, TypeError) as error:
        raise TrackingError(f"{MLFLOW_RUN_CONTEXT.name} must be a JSON object of tags: {text[:60]!r}") from error


@contextmanager
def handing_down(tags: Mapping[str, str], parent_run_id: str) -> Iterator[None]:
    """Let the runs of processes that are started inside have these tags, and stand under a run."""
    before = os.environ.get(MLFLOW_RUN_CONTEXT.name)
    os.environ[MLFLOW_RUN_CONTEXT.name] = json.dumps({**tags, ABOVE_TAG: parent_run_id})
    try:
        yield
    finally:
        del os.environ[MLFLOW_RUN_CONTEXT.name]
        if before is not None:
            os.environ[MLFLOW_RUN_CONTEXT.name] = before
