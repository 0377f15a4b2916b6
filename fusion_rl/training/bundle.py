"""Bundles: a tree of plain data in one file that loads without executing anything.

A zip of ``weights.safetensors`` (torch tensors), ``arrays.npz`` (numpy arrays, no pickles), ``state.json`` (the rest,
with the places of the former), further texts, and ``manifest.json`` with the SHA-256 of each. The file appears under
its name when it is complete and on the disk, or not at all.
"""

import contextlib
import hashlib
import io
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from fusion_rl.arrays import AnyArray
from fusion_rl.errors import CheckpointError

FORMAT = "fusion_rl checkpoint"
VERSION = 1
SUFFIX = ".bundle"

_WEIGHTS, _ARRAYS, _STATE, _MANIFEST = "weights.safetensors", "arrays.npz", "state.json", "manifest.json"
_CHUNK = 1 << 20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, ValueError, TypeError, KeyError, EOFError)


def write(
    path: Path,
    tree: Mapping[str, Any],
    facts: Mapping[str, Any],
    texts: Mapping[str, str] | None = None,
    compress: str | None = None,
) -> Path:
    """Write a bundle.

    Args:
        path: what it will be called.
        tree: dicts, lists and tuples over tensors, arrays, numbers, text and None.
        facts: JSON types; read without the rest by `read_facts`.
        texts: further members.
        compress: the branch of the tree whose arrays are worth compressing.

    Raises:
        CheckpointError: the folder cannot be written, or the tree holds something else.
    """
    tensors: dict[str, Any] = {}
    arrays: dict[str, AnyArray] = {}
    state = _encode(tree, "", tensors, arrays)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                _write_members(file, tensors, arrays, {**(texts or {}), _STATE: json.dumps(state)}, facts, compress)
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            Path(unfinished).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be written: {error}") from error
    return path


def read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tree and the facts of a bundle, every byte of it checked.

    Raises:
        CheckpointError: there is none, it is damaged, or it is of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    with _explained(path), zipfile.ZipFile(path) as bundle:
        manifest = _manifest(path, bundle)
        for name, expected in manifest["sha256"].items():
            if _sha256(bundle, name) != expected:
                raise CheckpointError(f"checkpoint {path} is damaged: {name} is not what was written")
        try:
            tensors = load(bundle.read(_WEIGHTS))
        except SafetensorError as error:
            raise CheckpointError(f"checkpoint {path} is damaged: {error}") from error
        with bundle.open(_ARRAYS) as member, np.load(member, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return _decode(json.loads(bundle.read(_STATE)), tensors, arrays), manifest["facts"]


def read_facts(path: Path) -> dict[str, Any]:
    """The facts of a bundle alone, without checking the rest."""
    with _explained(path), zipfile.ZipFile(path) as bundle:
        facts: dict[str, Any] = _manifest(path, bundle)["facts"]
        return facts


def read_text(path: Path, name: str) -> str:
    """One of a bundle's further texts."""
    with _explained(path), zipfile.ZipFile(path) as bundle:
        return bundle.read(name).decode()


def is_bundle(path: Path) -> bool:
    """Whether a file is a bundle, whatever it is called."""
    try:
        with zipfile.ZipFile(path) as bundle:
            return _MANIFEST in bundle.namelist()
    except _UNREADABLE:
        return path.suffix == SUFFIX


def _write_members(
    file: IO[bytes],
    tensors: dict[str, Any],
    arrays: dict[str, AnyArray],
    texts: Mapping[str, str],
    facts: Mapping[str, Any],
    compress: str | None,
) -> None:
    from safetensors.torch import save

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
        sums = {}
        with bundle.open(_ARRAYS, "w", force_zip64=True) as member:
            hashing = _Hashing(member)
            _write_arrays(hashing, arrays, compress)
            sums[_ARRAYS] = hashing.sha.hexdigest()
        for name, content in {_WEIGHTS: save(tensors), **{n: text.encode() for n, text in texts.items()}}.items():
            bundle.writestr(name, content)
            sums[name] = hashlib.sha256(content).hexdigest()
        manifest = {"format": FORMAT, "version": VERSION, "facts": dict(facts), "sha256": sums}
        bundle.writestr(_MANIFEST, json.dumps(manifest, indent=1))


def _write_arrays(file: Any, arrays: dict[str, AnyArray], compress: str | None) -> None:
    """An npz as numpy writes it, in which one branch alone is compressed."""
    with zipfile.ZipFile(file, "w", compresslevel=1) as npz:  # the quickest level: a replay buffer is large
        for name, array in arrays.items():
            is_worth_it = compress is not None and name.startswith(f"{compress}/")
            npz.compression = zipfile.ZIP_DEFLATED if is_worth_it else zipfile.ZIP_STORED
            with npz.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


class _Hashing(io.RawIOBase):
    """A file that is only written to, and what was written hashed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._to = file
        self.sha = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.sha.update(content)
        return self._to.write(content)


def _encode(value: Any, place: str, tensors: dict[str, Any], arrays: dict[str, AnyArray]) -> Any:
    """A value as JSON types; tensors and arrays go to their own files under their place in the tree."""
    import torch

    def inner(entry: Any, name: object) -> Any:
        return _encode(entry, f"{place}/{name}" if place else str(name), tensors, arrays)

    match value:
        case None | bool() | int() | float() | str() if not isinstance(value, np.generic):
            return value
        case torch.Tensor():
            tensors[place] = value.detach().cpu().clone().contiguous()  # a copy: tensors may share their memory
            return {"tensor": place}
        case np.ndarray() | np.generic():
            arrays[place] = np.asarray(value)
            return {"array" if isinstance(value, np.ndarray) else "number": place}
        case Mapping():
            # pairs, because JSON would turn a key that is a number into text
            return {"dict": [[key, inner(entry, key)] for key, entry in value.items()]}
        case list() | tuple():
            kind = "list" if isinstance(value, list) else "tuple"
            return {kind: [inner(entry, i) for i, entry in enumerate(value)]}
        case _:
            raise CheckpointError(f"a checkpoint cannot hold {place}, which is a {type(value).__name__}")


def _decode(value: Any, tensors: Mapping[str, Any], arrays: Mapping[str, AnyArray]) -> Any:
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    match kind:
        case "tensor":
            return tensors[content]
        case "array":
            return arrays[content]
        case "number":
            return arrays[content][()]
        case "dict":
            return {key: _decode(entry, tensors, arrays) for key, entry in content}
        case "list":
            return [_decode(entry, tensors, arrays) for entry in content]
        case "tuple":
            return tuple(_decode(entry, tensors, arrays) for entry in content)
    raise ValueError(f"unknown kind of entry {kind!r}")


def _manifest(path: Path, bundle: zipfile.ZipFile) -> dict[str, Any]:
    if _MANIFEST not in bundle.namelist():
        raise CheckpointError(f"checkpoint {path} was not written by fusion_rl: it has no {_MANIFEST}")
    manifest: dict[str, Any] = json.loads(bundle.read(_MANIFEST))
    if manifest.get("format") != FORMAT or manifest.get("version") != VERSION:
        raise CheckpointError(
            f"checkpoint {path} is a {manifest.get('format')!r} of version {manifest.get('version')}; "
            f"this fusion_rl reads version {VERSION} of {FORMAT!r}"
        )
    return manifest


def _sha256(bundle: zipfile.ZipFile, name: str) -> str:
    sha = hashlib.sha256()
    with bundle.open(name) as member:
        while chunk := member.read(_CHUNK):
            sha.update(chunk)
    return sha.hexdigest()


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, where the system can do that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise CheckpointError(f"checkpoint {path} does not exist") from error
    except _UNREADABLE as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
