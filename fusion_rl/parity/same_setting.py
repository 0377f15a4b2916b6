"""Whether a figure that was published for a setting holds for the network and traffic of a configuration."""

from functools import lru_cache

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load

_OF_PATHS = ("k_paths", "path_order", "paths_file")
_OF_TRAFFIC = ("name", "load_erlang", "warmup_requests", "requests_per_episode", "seed")


def is_same(config: ExperimentConfig, scenario: int, setting: str, topology: str | None = None) -> bool:
    """Whether a scenario of a configuration is that of an experiment preset.

    Candidate paths, load, warm-up, length of episodes and seed may differ: they are not part of a setting.

    Args:
        config: network and scenarios.
        scenario: its position.
        setting: the preset.
        topology: where the figure is of another one than the preset's.
    """
    preset, ours = _preset(setting), config.scenarios[scenario]
    changes = {name: getattr(config.network, name) for name in _OF_PATHS}
    if topology is not None:
        changes["topology"] = topology
    network = preset.network.model_copy(update=changes)
    traffic = preset.scenarios[0].model_copy(update={name: getattr(ours, name) for name in _OF_TRAFFIC})
    return network == config.network and traffic == ours


@lru_cache
def _preset(setting: str) -> ExperimentConfig:
    return load(setting).config
