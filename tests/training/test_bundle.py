import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fusion_rl.errors import CheckpointError
from fusion_rl.training import bundle

numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
some_arrays = st.one_of(
    arrays.arrays(np.float64, arrays.array_shapes(min_dims=0, min_side=0)),
    arrays.arrays(np.uint64, arrays.array_shapes()),
    arrays.arrays(np.bool_, arrays.array_shapes()),
)
trees = st.dictionaries(
    st.text("abc_", min_size=1, max_size=4),
    st.recursive(
        st.one_of(numbers, some_arrays, some_arrays.map(torch.from_numpy), st.floats(width=32).map(np.float32)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3),
            st.lists(inner, max_size=3).map(tuple),
            st.dictionaries(st.one_of(st.integers(0, 5), st.text("xyz", min_size=1, max_size=3)), inner, max_size=3),
        ),
        max_leaves=6,
    ),
    max_size=4,
)


def assert_equal(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    match one:
        case dict():
            assert list(one) == list(other)
            for key, entry in one.items():
                assert_equal(entry, other[key])
        case list() | tuple():
            assert len(one) == len(other)
            for mine, its in zip(one, other, strict=True):
                assert_equal(mine, its)
        case torch.Tensor():
            assert one.dtype == other.dtype
            assert torch.equal(one.nan_to_num(), other.nan_to_num())
        case np.ndarray():
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
        case _:
            assert one == other or one != one


@given(tree=trees, compress=st.sampled_from([None, "a"]))
def test_what_is_read_is_what_was_written(
    tree: dict[str, Any], compress: str | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = bundle.write(tmp_path_factory.mktemp("b") / "one.bundle", tree, {"step": 3}, {"note": "ä"}, compress)
    read, facts = bundle.read(path)
    assert_equal(read, tree)
    assert facts == bundle.read_facts(path) == {"step": 3}
    assert bundle.read_text(path, "note") == "ä"


def test_every_damaged_byte_is_found(tmp_path: Path) -> None:
    tree = {"weights": torch.arange(50.0), "lanes": np.arange(40), "step": 7}
    content = bundle.write(tmp_path / "whole.bundle", tree, {"step": 7}).read_bytes()
    damaged = tmp_path / "damaged.bundle"
    for place in range(0, len(content), 7):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :])
        try:
            read, facts = bundle.read(damaged)
        except CheckpointError:
            continue
        assert_equal(read, tree)  # a byte that carries nothing, as the date of a member
        assert facts == {"step": 7}


def test_half_a_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    path = bundle.write(tmp_path / "one.bundle", {"lanes": np.zeros(1000)}, {})
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(CheckpointError, match=r"one.bundle cannot be read: BadZipFile"):
        bundle.read(path)
    with pytest.raises(CheckpointError, match="does not exist"):
        bundle.read(tmp_path / "none.bundle")


class Explosive:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("reading a checkpoint ran its writer's code",)


def test_reading_runs_no_code(tmp_path: Path) -> None:
    """An array of pickled objects put in place of one of numbers, with checksums that agree, is refused."""
    path = bundle.write(tmp_path / "one.bundle", {"lanes": np.zeros(3)}, {})
    with zipfile.ZipFile(path) as before:
        members = {name: before.read(name) for name in before.namelist()}
    npz = io.BytesIO()
    np.savez(npz, lanes=np.array([Explosive()], dtype=object))
    members["arrays.npz"] = npz.getvalue()
    manifest = json.loads(members.pop("manifest.json"))
    manifest["sha256"].pop("arrays.npz")
    with zipfile.ZipFile(path, "w") as after:
        for name, content in {**members, "manifest.json": json.dumps(manifest).encode()}.items():
            after.writestr(name, content)
    with pytest.raises(CheckpointError, match="allow_pickle=False"):
        bundle.read(path)


def test_what_is_no_plain_data_is_refused_with_its_place_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot hold a/b/0, which is a Explosive"):
        bundle.write(tmp_path / "one.bundle", {"a": {"b": [Explosive()]}}, {})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bundle.write(tmp_path / "one.bundle", {"step": 1}, {})

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(CheckpointError, match="no space left"):
        bundle.write(path, {"step": 2}, {})
    assert [file.name for file in tmp_path.iterdir()] == ["one.bundle"]
    assert bundle.read(path)[0] == {"step": 1}


def test_a_zip_that_is_something_else_or_of_another_version_is_said(tmp_path: Path) -> None:
    path = tmp_path / "other.bundle"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data", pickle.dumps({}))
    with pytest.raises(CheckpointError, match="was not written by fusion_rl"):
        bundle.read(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("manifest.json", json.dumps({"format": bundle.FORMAT, "version": 99}))
    with pytest.raises(CheckpointError, match="version 99; this fusion_rl reads version 1"):
        bundle.read(path)
