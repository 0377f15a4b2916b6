import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from fusion_rl.tracking.mlflow_store import open_store, ui_command

STARTS_WITHIN_S = 90


@pytest.mark.slow
def test_the_ui_command_serves_the_runs_and_their_files(tmp_path: Path) -> None:
    with open_store(tmp_path / "mlruns").start("shown", "one") as run:
        run.log_metric("service_blocking", 0.025)
        run.log_text("hello", "note.txt")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "elsewhere").mkdir()
    server = subprocess.Popen(
        ui_command(tmp_path / "mlruns", port),
        cwd=tmp_path / "elsewhere",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_for(f"{address}/health")
        shown = json.loads(fetch(f"{address}/api/2.0/mlflow/runs/get?run_id={run.run_id}"))["run"]
        assert shown["data"]["metrics"][0]["value"] == 0.025
        assert fetch(f"{address}/get-artifact?path=note.txt&run_uuid={run.run_id}") == "hello"
        assert list((tmp_path / "elsewhere").iterdir()) == []
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=30) as answer:
        text: str = answer.read().decode()
    return text


def wait_for(address: str) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            fetch(address)
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
