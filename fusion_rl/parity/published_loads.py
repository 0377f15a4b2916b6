"""Loads at which others report 0.1 % service blocking; the data file says where from and how sure they are."""

from importlib import resources

from pydantic import TypeAdapter

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.parity.same_setting import is_same

SHARE = 0.001
REMARK = "read off a figure, +- 1 to 2 E: K=50, runs of 13,000 requests from an empty network"


class Block(Settings):
    """The figures of one setting; the fields are explained at the top of the data file."""

    setting: str
    topology: str | None = None
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
    blocks = (block for block in read() if is_same(config, scenario, block.setting, block.topology))
    return next((dict(block.rows) for block in blocks), {})
