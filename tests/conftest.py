"""What holds for every test: one thread each, no screen, and no tracking store but its own."""

import os

# before anything imports torch, numba or matplotlib: xdist runs tests side by side
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # as `fusion-rl ui` starts it

import pytest
from hypothesis import HealthCheck, settings

# the first example may compile a kernel, which is no sign of a slow test
settings.register_profile("fusion_rl", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("fusion_rl")


@pytest.fixture(autouse=True)
def _own_tracking_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's MLflow settings decide nothing here."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
