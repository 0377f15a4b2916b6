import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

from fusion_rl.tracking.provenance import LIBRARIES, code_tags, provenance_tags


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    done = subprocess.run(["git", "-C", folder, *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository that tracks a package, and ignores what is installed beside it."""
    for package in ("package", "site-packages/package"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text("x = 1\n")
    (tmp_path / ".gitignore").write_text("site-packages\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_tags_name_libraries_machine_seeds_and_inputs() -> None:
    tags = provenance_tags(seeds={"training": 1, "evaluation": 10_000}, hashes={"topology_sha256": "ab12"})
    assert {f"library.{name}": version(name) for name in LIBRARIES}.items() <= tags.items()
    assert tags["python"] == platform.python_version()
    assert tags["cpu_count"] == str(os.cpu_count())
    assert tags["code.version"] == version("fusion_rl")
    assert (tags["seed.training"], tags["seed.evaluation"]) == ("1", "10000")
    assert tags["topology_sha256"] == "ab12"
    assert all(isinstance(value, str) and value for value in tags.values())


def test_a_checkout_is_named_by_its_commit_and_by_whether_it_changed(checkout: Path) -> None:
    package = checkout / "package"
    clean = code_tags(package)
    assert clean["code.git_commit"] == git(checkout, "rev-parse", "HEAD")
    assert clean["code.git_dirty"] == "false"
    (package / "__init__.py").write_text("x = 2\n")
    assert code_tags(package)["code.git_dirty"] == "true"


def test_a_new_file_in_the_package_makes_it_dirty(checkout: Path) -> None:
    (checkout / "package" / "new.py").touch()
    assert code_tags(checkout / "package")["code.git_dirty"] == "true"


def test_a_package_installed_inside_another_repository_is_not_of_its_commit(checkout: Path) -> None:
    assert set(code_tags(checkout / "site-packages" / "package")) == {"code.version"}


def test_outside_a_checkout_there_is_no_commit(tmp_path: Path) -> None:
    assert set(code_tags(tmp_path)) == {"code.version"}
