"""From a question to an answer over HTTP, by the commands that a person types: study, batch, champion, served model."""

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
import yaml

from fusion_rl.domains.optical import domain
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.checkpoints import read
from fusion_rl.training.run import checkpoint_folder
from tests.services.servers import free_port, wait_for
from tests.tuning import worlds

REPOSITORY = Path(__file__).resolve().parents[2]
MODEL = "tiny-agent"
LOADS = (6.0, 7.0, 8.0)  # of the three scenarios, one after the other
STUDY: dict[str, Any] = {
    "question": "How fast shall it learn?",
    "experiment": worlds.EXPERIMENT,
    "overrides": {"algorithm.net_arch": [16], "algorithm.n_steps": 32, "algorithm.batch_size": 128},
    "search": {"algorithm.learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}},
    "try_defaults": False,
    "budget": {"trials": 2, "timesteps": 2_048},
}
BATCH: dict[str, Any] = {
    "execution.timesteps": 4_096, "execution.lanes": 8, "execution.eval_every": 2_048, "execution.eval_requests": 800,
    "execution.register_model": True, "execution.model_name": MODEL, "execution.progress": False,
}  # fmt: skip


def scenario_at(load_erlang: float) -> dict[str, Any]:
    return {**tiny.SCENARIO.model_dump(mode="json"), "name": f"load{load_erlang:g}", "load_erlang": load_erlang}


def plan() -> dict[str, Any]:
    """Three trainings: the first goes on from the study's best trial, each other one from the best of that before."""
    steps: dict[str, Any] = {}
    for load_erlang in LOADS:
        origin = {"after": list(steps)[-1]} if steps else {"resume_from": "study:speed"}
        scenarios = f"load{load_erlang:g}.yaml"
        steps[f"at{load_erlang:g}"] = {**origin, "settings": {"scenarios": scenarios, **BATCH}}
    return {"name": "heavier-and-heavier", "steps": steps}


def fusion_rl(folder: Path, *words: str) -> Any:
    """What a command says in JSON, run where a person would run it."""
    done = subprocess.run(
        [sys.executable, "-m", "fusion_rl.cli.main", *words, "--json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"fusion-rl {' '.join(words)}: {done.stderr[-2000:]}"
    return json.loads(done.stdout)


def ask(address: str, request: dict[str, Any]) -> list[int]:
    """The actions that a served model answers with."""
    body = json.dumps(request).encode()
    asked = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=60) as answer:
        actions: list[int] = json.loads(answer.read())["predictions"]
    return actions


@pytest.mark.slow
def test_a_studys_best_goes_on_through_three_scenarios_becomes_champion_and_answers_over_http(tmp_path: Path) -> None:
    (tmp_path / "studies" / "speed").mkdir(parents=True)
    (tmp_path / "studies" / "speed" / "study.yaml").write_text(yaml.safe_dump(STUDY))
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(plan()))
    for load_erlang in LOADS:
        (tmp_path / f"load{load_erlang:g}.yaml").write_text(yaml.safe_dump(scenario_at(load_erlang)))

    assert fusion_rl(tmp_path, "study", "run", "speed")["states"]["complete"] == 2
    [best] = fusion_rl(tmp_path, "study", "best", "speed")["best"]
    jobs = {job["job"]: job for job in fusion_rl(tmp_path, "batch", "run", "plan.yaml")["jobs"]}
    assert [job["state"] for job in jobs.values()] == ["done"] * 3
    won = fusion_rl(tmp_path, "models", "promote", MODEL, "--against", "random", "--requests", "4000", "--lanes", "8")
    assert (won["promoted"], won["version"]) == (True, 3), won["told"]

    last = jobs["at8"]["run_id"]
    ancestors = [one["run_id"] for one in fusion_rl(tmp_path, "lineage", last)["runs"]]
    assert sorted(ancestors) == sorted([best["trial"]["best_run"], *(job["run_id"] for job in jobs.values())])

    port = free_port()
    address = f"http://127.0.0.1:{port}"
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", f"models:/{MODEL}@champion"),
            *("--env-manager", "local", "--port", str(port)),
        ],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "MLFLOW_TRACKING_URI": "sqlite:///mlruns/mlflow.db"},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_for(f"{address}/ping", server)
        check_answers(address, tmp_path / "mlruns", last)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def check_answers(address: str, store: Path, run_id: str) -> None:
    """The served model takes its example, and decides what the run's agent decides, request by request."""
    example = json.loads((open_store(store).artifact_path(run_id, "policy") / "serving_input_example.json").read_text())
    assert len(ask(address, example)) == 1
    kept = read(checkpoint_folder(store, run_id) / "final.bundle")
    simulator = domain.make_simulator(kept.config, domain.prepare(kept.config), num_lanes=8, seed=3)
    simulator.reset(range(8))
    for _ in range(20):
        observations, masks = simulator.observations(), simulator.masks()
        expected, _ = kept.agent.predict(observations, action_masks=masks, deterministic=True)
        asked = {"inputs": np.asarray(observations).tolist(), "params": {"action_masks": masks.ravel().tolist()}}
        answered = ask(address, asked)
        assert answered == expected.tolist()
        simulator.step(np.asarray(answered, np.int64))
