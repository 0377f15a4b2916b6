"""Loads at which others report 0.1 % service blocking; the data file says where from and how sure they are."""

from importlib import resources

from pydantic import TypeAdapter

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load

SHARE = 0.001
REMARK = "read off a figure, +- 1 to 2 E: K=50, runs of 13,000 requests from an empty network"


class Block(Settings):
    """The figures of one setting; the fields are explained at the top of the data file."""

    setting: str
    rows: tuple[tuple[str, float], ...]


def read() -> tuple[Block, ...]:
    """Every block, in the order of the file."""
    file = resources.files("fusion_rl.parity") / "data" / "published_loads.yaml"
    with resources.as_file(file) as path:
        return TypeAdapter(tuple[Block, ...]).validate_python(yaml_text.read(path))


def of(config: ExperimentConfig, scenario: int = 0) -> dict[str, float]:
    """Method -> load, for the network and traffic of a configuration; empty where nothing was published.

    Candidate paths, load, warm-up and seed may differ from the preset's: they are not part of the setting.
    """
    return next((dict(block.rows) for block in read() if _same(load(block.setting).config, config, scenario)), {})


def _same(preset: ExperimentConfig, config: ExperimentConfig, scenario: int) -> bool:
    of_paths = ("k_paths", "path_order", "paths_file")
    network = preset.network.model_copy(update={name: getattr(config.network, name) for name in of_paths})
    ours = config.scenarios[scenario]
    free = ("name", "load_erlang", "warmup_requests", "requests_per_episode", "seed")
    traffic = preset.scenarios[0].model_copy(update={name: getattr(ours, name) for name in free})
    return network == config.network and traffic == ours
