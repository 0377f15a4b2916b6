"""The house's rules that a tool can check."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
HEAVY = ("torch", "mlflow", "numba", "pandas", "matplotlib", "stable_baselines3", "scipy", "networkx")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_imports_point_downward_and_libraries_stay_in_their_layer() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "fusion_rl",
        "fusion_rl.config",
        "fusion_rl.config.load",
        "fusion_rl.cli.main",
        "fusion_rl.tracking.base",
    ],
)
def test_heavy_libraries_are_not_loaded_by_importing(module: str) -> None:
    code = f"import sys, json, {module}; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    assert json.loads(run_python(code)) == []


def test_the_rule_on_mlflow_would_notice_an_import_elsewhere(tmp_path: Path) -> None:
    package = tmp_path / "fusion_rl"
    (package / "tracking").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "tracking" / "__init__.py").touch()
    (package / "tracking" / "store.py").write_text("import mlflow\n")
    settings = (REPOSITORY / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(settings)
    lint = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--contract", "mlflow"]

    def returncode() -> int:
        return subprocess.run(lint, cwd=tmp_path, capture_output=True, check=False).returncode

    assert returncode() == 0
    (package / "analysis.py").write_text("def load():\n    import mlflow\n")
    assert returncode() == 1
