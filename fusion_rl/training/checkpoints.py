"""Checkpoints: a Stable-Baselines3 zip that also says what it was trained for."""

import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import dump
from fusion_rl.errors import CheckpointError
from fusion_rl.tracking.sb3_classes import sb3_class

if TYPE_CHECKING:
    from stable_baselines3.common.base_class import BaseAlgorithm

# Stable-Baselines3 reads the members it knows and passes over others.
_CONFIG_MEMBER = "fusion_rl/resolved_config.yaml"
_FACTS_MEMBER = "fusion_rl/checkpoint.json"


@dataclass(frozen=True)
class Checkpoint:
    """A trained agent and the configuration that it was trained with."""

    agent: "BaseAlgorithm"
    config: ExperimentConfig
    path: Path


def save(agent: "BaseAlgorithm", config: ExperimentConfig, path: Path) -> Path:
    """Write an agent to a zip, which is complete or not there at all; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(suffix=".zip", prefix=f".{path.stem}-", dir=path.parent)
    os.close(handle)
    try:
        agent.save(temporary)
        facts = {"timesteps": agent.num_timesteps, "weights_sha256": weights_sha256(agent)}
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(_CONFIG_MEMBER, dump(config))
            archive.writestr(_FACTS_MEMBER, json.dumps(facts))
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read(path: Path, device: str = "cpu") -> Checkpoint:
    """Read a checkpoint that `save` wrote. Loading unpickles: read only files that you trust.

    Raises:
        CheckpointError: there is no such file, it is damaged, or another program wrote it.
    """
    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist")
    try:
        with zipfile.ZipFile(path) as archive:
            # Not `load`, which looks for the files that the training network was read from: they are not needed.
            config = ExperimentConfig.model_validate(yaml.safe_load(archive.read(_CONFIG_MEMBER)))
            expected = json.loads(archive.read(_FACTS_MEMBER))["weights_sha256"]
    except KeyError as error:
        raise CheckpointError(f"checkpoint {path} was not written by fusion_rl: it has no {error}") from error
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    try:
        agent = sb3_class(config.algorithm.name).load(path, device=device)
    except Exception as error:  # whatever unpickling a damaged file may raise
        raise CheckpointError(f"checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    if weights_sha256(agent) != expected:
        raise CheckpointError(f"checkpoint {path} is damaged: its weights are not those that were saved")
    return Checkpoint(agent, config, path)


def weights_sha256(agent: "BaseAlgorithm") -> str:
    """SHA-256 over the policy's tensors: the bytes of each, in the order of their names."""
    sha = hashlib.sha256()
    for _, tensor in sorted(agent.policy.state_dict().items()):
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()
