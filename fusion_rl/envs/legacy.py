"""The environment of old: FUSION's observation sets over the one simulator.

Sets obs_3 to obs_8 show how long the request is going to stay, which no heuristic and no other observation knows:
say so where an agent that saw it is compared. `fusion_rl.domains.optical.observations.legacy` has the sets.
"""

from gymnasium import spaces

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.base import BatchSimulator
from fusion_rl.domains.optical.observations.legacy import PARTS
from fusion_rl.envs.unified import UnifiedSimEnv
from fusion_rl.errors import SimulationError

# Shown where a configuration asks for an observation that is none of the sets: it contains all the others, so a
# model of any set can be run on it.
DEFAULT_SET = "obs_8"


class GeneralSimEnv(UnifiedSimEnv):
    """The network as FUSION's agents see it; decisions, rewards, masks and episodes are those of `UnifiedSimEnv`.

    Args:
        simulator: with one lane, which shows one of the sets.

    Attributes:
        observation_set: which one.

    Raises:
        SimulationError: it shows something else, or has more lanes.
    """

    def __init__(self, simulator: BatchSimulator) -> None:
        super().__init__(simulator)
        space = simulator.observation_space
        shown = set(space.spaces) if isinstance(space, spaces.Dict) else set()
        sets = [name for name, parts in PARTS.items() if set(parts) == shown]
        if not sets:
            raise SimulationError(f"GeneralSimEnv shows one of {', '.join(PARTS)}; this simulator shows {space}")
        self.observation_set = sets[0]


def with_observation_set(config: ExperimentConfig) -> ExperimentConfig:
    """A configuration as the legacy environment reads it: its own observation set, or `DEFAULT_SET` if it has none."""
    if config.algorithm.observation in PARTS:
        return config
    algorithm = config.algorithm.model_copy(update={"observation": DEFAULT_SET})
    return config.model_copy(update={"algorithm": algorithm})
