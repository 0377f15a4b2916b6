"""The notebook of agents that win trains one, compares it and looks into its decisions, with tiny parameters."""

from pathlib import Path

from fusion_rl.batch.notebooks import run_notebook
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training.comparison import COMPARISON_TAG
from tests.notebooks.test_looking import shown_in
from tests.notebooks.test_notebooks import FOLDER


def test_an_agent_is_evolved_compared_and_held_against_the_heuristics_slot_by_slot(tmp_path: Path) -> None:
    small = ["algorithm.population=4", "algorithm.requests=200", "algorithm.warmup_requests=100"]
    small += ["execution.final_requests=400", "scenarios.*.warmup_requests=100", "execution.sanity_checks=false"]
    tiny = {"k_paths": 5, "lanes": 2, "timesteps": 1600, "eval_every": 800, "eval_requests": 200, "settings": small}
    tiny |= {"load_erlang": 400.0, "loads_erlang": [210.0, 250.0], "requests": 800, "ablated": ["width/*", "hops"]}
    tiny |= {"ablation_requests": 400, "decisions": 150, "warmup_requests": 100, "tracking_dir": str(tmp_path / "runs")}
    executed = run_notebook(FOLDER / "09_agents_that_win.ipynb", tiny, tmp_path / "made.ipynb")
    shown = shown_in(executed.notebook)
    assert shown.count('"image/png"') == 12
    for part in ("DeepRMSA", "ratio_ci95", "route_loss", "rival_serves"):
        assert part in shown
    assert executed.run is not None
    store = open_store(tmp_path / "runs")
    assert store.find_run(executed.run.run_id).parameters["algorithm.name"] == "evolution"
    ablation, compared = [run for run in store.search_runs() if COMPARISON_TAG in run.tags]
    assert compared.tags[COMPARISON_TAG] == "mscl, evolution, ksp-ff"
    assert ablation.run_name == "ablation of evolution"
