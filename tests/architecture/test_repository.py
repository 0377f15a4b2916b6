"""What a clone must hold, and must not."""

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[2]


def project() -> dict[str, object]:
    loaded: dict[str, object] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return loaded


def pins() -> dict[str, Version]:
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line]
    return {normal(name): Version(version) for name, version in (line.split("==") for line in lines)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    declared = project()
    texts = [*declared["dependencies"], *chain(*declared["optional-dependencies"].values())]  # type: ignore[misc, attr-defined]
    for requirement in map(Requirement, texts):
        if requirement.name == declared["name"]:  # its other extras, which are listed by themselves
            assert requirement.extras <= set(declared["optional-dependencies"])  # type: ignore[arg-type]
            continue
        assert normal(requirement.name) in pins(), f"{requirement.name} is not in constraints.txt"
        assert pins()[normal(requirement.name)] in requirement.specifier, requirement


def test_pins_fit_any_machine() -> None:
    # a local version such as 2.13.0+cpu exists on one index only
    assert all(version.local is None for version in pins().values())
    assert "fusion-rl" not in pins()


def test_no_module_is_longer_than_can_be_read_in_a_sitting() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in (REPOSITORY / "fusion_rl").rglob("*.py")}
    assert lengths
    assert {str(path): length for path, length in lengths.items() if length > 400} == {}


def test_make_without_a_target_explains_the_targets() -> None:
    done = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    for target in ("demo", "test", "slow", "bench", "ui", "lab", "pair", "clean"):
        assert re.search(rf"^  {target} ", done.stdout, re.MULTILINE), target
