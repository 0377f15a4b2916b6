"""The shared server of docs/shared-server: started, used with a login, and stopped."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
import yaml

from fusion_rl.errors import TrackingError
from fusion_rl.tracking.mlflow_store import open_store
from tests.services.servers import free_port

FILES = Path(__file__).resolve().parents[2] / "docs" / "shared-server"
SCRIPT = FILES / "server.sh"


def secrets_of(folder: Path) -> dict[str, str]:
    lines = (folder / "secrets.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    for _ in range(2):
        subprocess.run([SCRIPT, "secrets", tmp_path], check=True)
        made = secrets_of(tmp_path)
        assert stat.S_IMODE((tmp_path / "secrets.env").stat().st_mode) == 0o600
    assert made == secrets_of(tmp_path)
    passwords = [value for name, value in made.items() if name != "MLFLOW_AUTH_ADMIN_USERNAME"]
    assert len(set(passwords)) == 3
    assert all(len(password) >= 32 for password in passwords)
    subprocess.run([SCRIPT, "secrets", tmp_path / "other"], check=True)
    assert set(secrets_of(tmp_path / "other").values()).isdisjoint(passwords)


def test_compose_and_script_set_up_the_same_server_and_hold_no_password() -> None:
    compose, script = (FILES / "compose.yaml").read_text(), SCRIPT.read_text()
    services = yaml.safe_load(compose)["services"]
    assert all(service["env_file"] == "secrets.env" for service in services.values())
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])
    for text in (compose, script):
        assert not re.search(r"password\s*[:=]\s*[\w'\"]", text, re.IGNORECASE), "a password in a file"
        for same in ("default_permission = EDIT", "--app-name basic-auth", "--artifacts-destination", "optuna"):
            assert same in text, same


@pytest.fixture
def server() -> Iterator[tuple[Path, str, dict[str, str]]]:
    """A running server: its folder, its address, and the settings that it was started with."""
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("flask_wtf", reason="MLflow's logins need Flask-WTF")
    # not pytest's own folder: PostgreSQL's user, which is not root, has to reach it
    folder = Path(tempfile.mkdtemp(prefix="fusion-rl-server-"))
    ports = {"PORT": str(free_port()), "POSTGRES_PORT": str(free_port())}
    interpreter = Path(sys.executable).parent
    environment = {**os.environ, **ports, "PATH": f"{interpreter}{os.pathsep}{os.environ['PATH']}"}
    try:
        started = subprocess.run(
            [SCRIPT, "start", folder], env=environment, capture_output=True, text=True, check=False
        )
        log = folder / "mlflow.log"
        assert started.returncode == 0, started.stderr + (log.read_text()[-2000:] if log.exists() else "")
        assert secrets_of(folder)["MLFLOW_AUTH_ADMIN_PASSWORD"] not in started.stdout
        yield folder, f"http://127.0.0.1:{ports['PORT']}", environment
    finally:
        subprocess.run([SCRIPT, "stop", folder], env=environment, check=True, capture_output=True)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_run_is_logged_over_http_with_a_login_and_read_again(
    server: tuple[Path, str, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, address, environment = server
    made = secrets_of(folder)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "admin")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a guess")
    with pytest.raises(TrackingError, match="cannot be opened"):
        open_store(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", made["MLFLOW_AUTH_ADMIN_PASSWORD"])
    store = open_store(tmp_path)
    with store.start("shared", "over http", {"network.slots": 100}) as run:
        run.log_metrics({"service_blocking": 0.025}, step=10)
        run.log_text("kept", "note.txt")
    found = store.find_run("over http")
    assert (found.metrics["service_blocking"], found.parameters["network.slots"]) == (0.025, "100")
    assert store.artifact_path(found.run_id, "note.txt").read_text() == "kept"
    assert [path.read_text() for path in (folder / "artifacts").rglob("note.txt")] == ["kept"]

    status = subprocess.run([SCRIPT, "status", folder], env=environment, check=True, capture_output=True)
    assert status.stdout == b"running\n"
    port = environment["POSTGRES_PORT"]
    storage = f"postgresql+psycopg://fusion_rl:{made['POSTGRES_PASSWORD']}@127.0.0.1:{port}/optuna"
    study = optuna.create_study(storage=storage, study_name="shared")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=1)
    assert len(optuna.load_study(storage=storage, study_name="shared").trials) == 1
