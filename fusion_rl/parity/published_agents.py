"""What others published of a setting, to stand beside a comparison: blocking of agents, and loads at 0.1 %.

The data files say where the figures are from and how sure they are. None of them was measured on a comparison's
requests, and each names its conditions.
"""

from importlib import resources
from typing import Literal

from pydantic import TypeAdapter

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.parity import published_loads
from fusion_rl.parity.same_setting import is_same
from fusion_rl.training.comparison import Reference

CONDITIONS = "its paper's figure, no interval, start not stated"
LOAD_CONDITIONS = "K=50, from an empty network, +- 1 to 2 E"
LOAD_SOURCE = "M. Doherty, A. Beghelli and L. Toni, Graph Transformers and Stabilized Reinforcement Learning (2026)"


class Block(Settings):
    """Figures of one agent for one setting; the fields are explained at the top of the data file."""

    agent: str
    source: str
    setting: str
    topology: str | None = None
    rows: tuple[tuple[float, float], ...]


def read() -> tuple[Block, ...]:
    """Every block, in the order of the file."""
    file = resources.files("fusion_rl.parity") / "data" / "published_agents.yaml"
    with resources.as_file(file) as path:
        return TypeAdapter(tuple[Block, ...]).validate_python(yaml_text.read(path))


def of(config: ExperimentConfig, scenario: int = 0) -> tuple[Reference, ...]:
    """What others published for the network and traffic of a configuration; nothing where they did not."""
    agents = [
        Reference(block.agent, "agent", load, blocking, None, CONDITIONS, block.source)
        for block in read()
        if is_same(config, scenario, block.setting, block.topology)
        for load, blocking in block.rows
    ]
    loads = [
        Reference(name, _kind(name), load, published_loads.SHARE, None, LOAD_CONDITIONS, LOAD_SOURCE)
        for name, load in published_loads.of(config, scenario).items()
    ]
    return (*agents, *loads)


def _kind(name: str) -> Literal["agent", "heuristic", "estimate"]:
    if name == "transformer":
        return "agent"
    return "heuristic" if name == "heuristic" else "estimate"
