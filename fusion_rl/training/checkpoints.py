"""Checkpoints: bundles that hold a training whole and run no code when they are read; SB3 zips for other tools."""

import hashlib
import json
import os
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import dump
from fusion_rl.errors import CheckpointError
from fusion_rl.tracking.sb3_classes import load_zip
from fusion_rl.training import bundle

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

_CONFIG_MEMBER = "resolved_config.yaml"
_ZIP_CONFIG = "fusion_rl/resolved_config.yaml"  # Stable-Baselines3 reads the members it knows and passes over others
_ZIP_FACTS = "fusion_rl/checkpoint.json"


class Kind(StrEnum):
    """Why a checkpoint was written, and how long it stays."""

    LATEST = "latest"  # every so many steps; the newest few stay
    REGULAR = "regular"  # every so many steps; all stay
    BEST = "best"  # the best evaluation so far; replaced by a better one
    FINAL = "final"  # the end of learning
    EMERGENCY = "emergency"  # stopped by a signal or an error


_REPLACED = (Kind.BEST, Kind.FINAL)  # there is one of them, under its bare name


@dataclass(frozen=True)
class Checkpoint:
    """A trained agent and the configuration that it was trained with."""

    agent: "BaseAlgorithm"
    config: ExperimentConfig
    path: Path


class Folder:
    """The checkpoints of one run.

    Args:
        path: made when the first is written.
        keep_latest: how many of the kind `latest` stay.
    """

    def __init__(self, path: Path, keep_latest: int = 2) -> None:
        self.path = path
        self._keep_latest = keep_latest

    def save(
        self,
        kind: Kind,
        agent: "BaseAlgorithm",
        config: ExperimentConfig,
        state: Mapping[str, Any],
        facts: Mapping[str, Any] | None = None,
        *,
        is_exact: bool = True,
    ) -> Path:
        """Write a checkpoint, complete or not at all, and remove the `latest` ones beyond those that stay.

        Args:
            kind: what for.
            agent: what learns.
            config: what it was made from.
            state: of the training, as `resume.capture` gives it.
            facts: what must be alike where it is resumed, and what else should be said of it.
            is_exact: taken between updates, so that a training that goes on from it is the same training.
        """
        step = agent.num_timesteps
        name = kind.value if kind in _REPLACED else f"{kind.value}-{step:09d}"
        said = {
            "kind": kind.value,
            "step": step,
            "exact": is_exact,
            "written": datetime.now(UTC).isoformat(timespec="seconds"),
            "algorithm": config.algorithm.name,
            "weights_sha256": weights_sha256(agent),
            **(facts or {}),
        }
        spaces = {"observation": _describe(agent.observation_space), "action": _describe(agent.action_space)}
        path = bundle.write(
            self.path / f"{name}{bundle.SUFFIX}",
            {"spaces": spaces, **state},
            said,
            {_CONFIG_MEMBER: dump(config)},
            compress="replay_buffer",
        )
        if kind is Kind.LATEST:
            for old in sorted(self.path.glob(f"{Kind.LATEST}-*{bundle.SUFFIX}"))[: -self._keep_latest]:
                old.unlink(missing_ok=True)
        return path

    def newest(self) -> tuple[Path, dict[str, Any], dict[str, Any]] | None:
        """The checkpoint that is furthest on and can be resumed: (path, state, facts); None where there is none.

        One that is damaged is passed over with a warning, for the one before.
        """
        found = []
        for path in self.path.glob(f"*{bundle.SUFFIX}"):
            try:
                facts = bundle.read_facts(path)
                if facts["exact"]:
                    found.append((int(facts["step"]), path.stat().st_mtime_ns, path))
            except CheckpointError as error:
                warnings.warn(f"{error}; it is passed over", stacklevel=2)
        for _, _, path in sorted(found, reverse=True):
            try:
                state, facts = bundle.read(path)
                return path, state, facts
            except CheckpointError as error:
                warnings.warn(f"{error}; the one before is used", stacklevel=2)
        return None


def read(path: Path, device: str = "cpu", *, trust: bool = False) -> Checkpoint:
    """Read a checkpoint as a policy.

    Args:
        path: a bundle, or the zip of Stable-Baselines3's that lies beside it.
        device: where the agent will be.
        trust: read a zip, too. Reading one runs whatever code its writer put there.

    Raises:
        CheckpointError: there is no such file, it is damaged, another program wrote it, or it needs trust.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist")
    if bundle.is_bundle(path):
        return _read_bundle(path, device)
    if not trust:
        raise CheckpointError(
            f"checkpoint {path} is a pickle, and reading it runs whatever code it holds: use the .bundle beside it, "
            "or --trust where you trust its writer"
        )
    return _read_zip(path, device)


def export_zip(agent: "BaseAlgorithm", config: ExperimentConfig, path: Path) -> Path:
    """Write an agent as a zip of Stable-Baselines3's, for other tools; complete or not there at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".zip", prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        agent.save(temporary)
        facts = {"timesteps": agent.num_timesteps, "weights_sha256": weights_sha256(agent)}
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_ZIP_CONFIG, dump(config))
            archive.writestr(_ZIP_FACTS, json.dumps(facts))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def weights_sha256(agent: "BaseAlgorithm") -> str:
    """SHA-256 over the policy's tensors: the bytes of each, in the order of their names."""
    sha = hashlib.sha256()
    for _, tensor in sorted(agent.policy.state_dict().items()):
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


def _read_bundle(path: Path, device: str) -> Checkpoint:
    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.training.resume import capture_random, restore_agent, restore_random
    from fusion_rl.training.spaces_only import SpacesOnly

    state, facts = bundle.read(path)
    # Not `load`, which looks for the files that the training network was read from: they are not needed.
    config = ExperimentConfig.model_validate(yaml.safe_load(bundle.read_text(path, _CONFIG_MEMBER)))
    settings = config.algorithm
    if "buffer_size" in type(settings).model_fields:
        settings = settings.model_copy(update={"buffer_size": 1})  # a policy needs no room for what it met
    drawn = capture_random()  # making an agent seeds the generators that everybody shares
    try:
        spaces = (_rebuild(state["spaces"]["observation"]), _rebuild(state["spaces"]["action"]))
        reads_links = getattr(settings, "features", "mlp") != "mlp"  # its network is made from the topology's links
        env = _lanes(config) if reads_links else SpacesOnly(config.execution.lanes, *spaces)
        agent = make_agent(settings, env, seed=config.execution.seed, device=device)
        restore_agent(agent, state)
    except (ValueError, KeyError, RuntimeError, TypeError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    finally:
        restore_random(drawn)
    _require_weights(path, agent, facts["weights_sha256"])
    return Checkpoint(agent, config, path)


def _lanes(config: ExperimentConfig) -> "VecEnv":
    """The lanes that an agent learned on."""
    from fusion_rl.envs.make import domain_of
    from fusion_rl.envs.vector import OpticalVecEnv

    domain, execution = domain_of(config), config.execution
    return OpticalVecEnv(domain.make_simulator(config, domain.prepare(config), execution.lanes, execution.seed))


def _read_zip(path: Path, device: str) -> Checkpoint:
    try:
        with zipfile.ZipFile(path) as archive:
            config = ExperimentConfig.model_validate(yaml.safe_load(archive.read(_ZIP_CONFIG)))
            expected = json.loads(archive.read(_ZIP_FACTS))["weights_sha256"]
    except KeyError as error:
        raise CheckpointError(f"checkpoint {path} was not written by fusion_rl: it has no {error}") from error
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    try:
        agent = load_zip(config.algorithm.name, path, device)
    except Exception as error:  # whatever unpickling a damaged file may raise
        raise CheckpointError(f"checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    _require_weights(path, agent, expected)
    return Checkpoint(agent, config, path)


def _require_weights(path: Path, agent: "BaseAlgorithm", expected: str) -> None:
    if weights_sha256(agent) != expected:
        raise CheckpointError(f"checkpoint {path} is damaged: its weights are not those that were saved")


def _describe(space: Any) -> dict[str, Any]:
    """A space as plain data."""
    from gymnasium import spaces

    match space:
        case spaces.Dict():
            return {"kind": "dict", "parts": {name: _describe(part) for name, part in space.spaces.items()}}
        case spaces.Discrete():
            return {"kind": "discrete", "n": int(space.n), "start": int(space.start)}
        case spaces.Box():
            return {"kind": "box", "low": space.low, "high": space.high}
    raise CheckpointError(f"a checkpoint cannot hold a space of the kind {type(space).__name__}")


def _rebuild(said: Mapping[str, Any]) -> Any:
    """The space that `_describe` described."""
    from gymnasium import spaces

    match said["kind"]:
        case "dict":
            return spaces.Dict({name: _rebuild(part) for name, part in said["parts"].items()})
        case "discrete":
            return spaces.Discrete(said["n"], start=said["start"])
        case "box":
            return spaces.Box(said["low"], said["high"], dtype=said["low"].dtype.type)
    raise ValueError(f"unknown space {said['kind']!r}")
