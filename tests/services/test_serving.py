"""From a checkpoint to an answer over HTTP: trainings in a chain, a champion, and the model behind a port."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.config.scenarios import ScenariosConfig
from fusion_rl.domains.optical import domain
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.checkpoints import read
from fusion_rl.training.promote import promote
from fusion_rl.training.run import checkpoint_folder, train
from tests.services.servers import free_port, wait_for

MODEL = "tiny-agent"
SIZES = {
    "execution.timesteps": 4_000, "execution.lanes": 8, "execution.eval_every": 2_000, "execution.eval_requests": 800,
    "execution.final_requests": 800, "execution.final_lanes": 8, "execution.progress": False,
    "execution.model_name": MODEL, "algorithm.net_arch": [16], "algorithm.n_steps": 32, "algorithm.batch_size": 128,
    "algorithm.n_epochs": 4, "algorithm.learning_rate": 3e-3,
}  # fmt: skip


def config_at(load_erlang: float, folder: Path) -> ExperimentConfig:
    """An experiment on the tiny world."""
    given = load("deeprmsa-nsfnet", overrides={**SIZES, "execution.tracking_dir": str(folder)}).config
    scenario = tiny.SCENARIO.model_copy(update={"name": f"load{load_erlang:g}", "load_erlang": load_erlang})
    return given.model_copy(update={"name": "tiny", "network": tiny.NETWORK, "scenarios": ScenariosConfig((scenario,))})


def ask(address: str, request: dict[str, Any]) -> list[int]:
    """The actions that a served model answers with."""
    body = json.dumps(request).encode()
    asked = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        actions: list[int] = json.loads(answer.read())["predictions"]
    return actions


@pytest.mark.slow
def test_the_best_checkpoint_goes_on_through_scenarios_becomes_champion_and_is_served(tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    last = train(config_at(6.0, folder))
    for load_erlang in (7.0, 8.0):  # each goes on from the best of the one before
        best = checkpoint_folder(folder, last.run_id) / "best.bundle"
        last = train(config_at(load_erlang, folder), resume_from=str(best))
    assert last.model == f"models:/{MODEL}/3"

    won = promote(MODEL, against="random", tracking_dir=str(folder), requests=4_000, lanes=8)
    assert won.promoted, won.told
    store = open_store(folder)
    assert store.registered_model(MODEL).aliases == {"champion": 3}

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{MODEL}@champion"),
            *("--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)),
        ],
        env={**os.environ, "MLFLOW_TRACKING_URI": store.uri},
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        wait_for(f"{address}/ping", server)
        model = store.artifact_path(last.run_id, "policy")
        example = json.loads((model / "serving_input_example.json").read_text())
        agent = read(last.checkpoint).agent
        simulator = domain.make_simulator(config_at(8.0, folder), domain.prepare(config_at(8.0, folder)), 8, 3)
        simulator.reset(range(8))
        assert len(ask(address, example)) == 1
        for _ in range(20):
            observations, masks = simulator.observations(), simulator.masks()
            expected, _ = agent.predict(observations, action_masks=masks, deterministic=True)
            asked = {"inputs": np.asarray(observations).tolist(), "params": {"action_masks": masks.ravel().tolist()}}
            answered = ask(address, asked)
            assert answered == expected.tolist()
            simulator.step(np.asarray(answered, np.int64))
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)
