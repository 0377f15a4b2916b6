"""The documentation: its pages hold together, and the Python on them runs as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "pages"


def python_on(page: Path) -> str:
    """All Python blocks of a page, one after the other, as a reader would type them."""
    return "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE))


WITH_PYTHON = sorted(str(page.relative_to(PAGES)) for page in PAGES.rglob("*.md") if python_on(page))


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_python_on_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(python_on(PAGES / page), page, "exec"), {"__name__": "page"})


def test_the_documentation_builds_without_a_broken_link(tmp_path: Path) -> None:
    site = ["-d", str(tmp_path / "site")]
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", *site]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    settings = (tmp_path / "site" / "reference" / "settings.html").read_text(encoding="utf-8")
    assert "network.k_paths" in settings
    assert "scenarios.*.load_erlang" in settings
