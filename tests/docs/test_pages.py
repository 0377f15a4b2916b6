"""The documentation: its pages hold together, and the Python on them runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"


def python_on(page: Path) -> str:
    """All Python blocks of a page, one after the other, as a reader would type them."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


def test_the_python_on_the_pages_runs(tmp_path: Path) -> None:
    """In a process of its own, since readers register what is theirs; one for all, since importing takes long."""
    pages = {page.stem: python_on(page) for page in sorted(PAGES.rglob("*.md")) if python_on(page)}
    assert {"index", "topology", "reward", "observation", "heuristic", "algorithm"} <= pages.keys()
    for name, text in pages.items():
        (tmp_path / f"page_{name}.py").write_text(text)
    imports = "\n".join(f"import page_{name}" for name in pages)
    ran = subprocess.run([sys.executable, "-c", imports], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_documentation_builds_without_a_broken_link(tmp_path: Path) -> None:
    site = ["-d", str(tmp_path / "site")]
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", *site]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    settings = (tmp_path / "site" / "reference" / "settings.html").read_text(encoding="utf-8")
    assert "network.k_paths" in settings
    assert "scenarios.*.load_erlang" in settings
