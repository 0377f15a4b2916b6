"""A model in an environment that shows something else than the one it was trained on.

What the model expects is worked out from what is shown, part by part. Nothing is made up and nothing is looked up
behind the observation: a model that expects the holding time of requests cannot run where it is not shown.
"""

import gymnasium
import numpy as np

from fusion_rl.arrays import AnyArray, Bools
from fusion_rl.config.reward import RewardConfig
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.observations.facts import fact_of
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.envs.unified import Observed, UnifiedSimEnv
from fusion_rl.errors import PolicyError, SimulationError


class ObservationAdapter(gymnasium.ObservationWrapper[Observed, int, Observed]):
    """An environment as a model that was trained on another observation expects it.

    Args:
        env: an optical environment, unified or legacy.
        shows: name of the observation that it shows.
        trained_on: name of the observation that the model expects.

    Raises:
        PolicyError: what is shown does not tell all that the model expects; lists what is missing.
        SimulationError: the environment shows something else than it is said to.
        UnknownNameError: there is no such observation.

    Example:
        >>> env = create_sim_env(config, use_unified=True)  # shows config.algorithm.observation, "unified"
        >>> env = ObservationAdapter(env, shows="unified", trained_on="obs_2")
        >>> observation, _ = env.reset()
        >>> action, _ = model.predict(observation, action_masks=env.action_masks())
    """

    def __init__(self, env: UnifiedSimEnv, *, shows: str, trained_on: str) -> None:
        super().__init__(env)
        simulator = env.simulator
        if not isinstance(simulator, OpticalSimulator):
            raise SimulationError(f"the adapter reads optical networks, not {type(simulator).__name__}")
        if _like(simulator, shows).observation_space != env.observation_space:
            raise SimulationError(f"this environment does not show '{shows}': it shows {env.observation_space}")
        self._env = env
        self._simulator = simulator
        self._world = simulator.setting.world
        self._as_dict = OBSERVATIONS[trained_on].as_dict
        self._shown = {part: fact_of(self._world, shows, part) for part in OBSERVATIONS[shows].layout(self._world)}
        self._wanted = {
            part: fact_of(self._world, trained_on, part) for part in OBSERVATIONS[trained_on].layout(self._world)
        }
        told = {fact.name for fact in self._shown.values()}
        missing = [f"{part} ({fact.name})" for part, fact in self._wanted.items() if fact.name not in told]
        if missing:
            raise PolicyError(
                f"a model trained on '{trained_on}' cannot run where '{shows}' is shown; missing: {', '.join(missing)}"
            )
        self.observation_space = _like(simulator, trained_on).observation_space

    def observation(self, observation: Observed) -> Observed:
        """What is shown, one observation or a batch of them, as the model expects it."""
        shown = observation if isinstance(observation, dict) else self._simulator.as_parts(observation)
        facts = {fact.name: fact.read(self._world, shown[part]) for part, fact in self._shown.items()}
        wanted: dict[str, AnyArray] = {
            part: fact.write(self._world, facts[fact.name]).astype(np.float32) for part, fact in self._wanted.items()
        }
        return wanted if self._as_dict else np.concatenate(list(wanted.values()), axis=-1)

    def action_masks(self) -> Bools:
        """Actions that can be served, [A]; one is left where none can."""
        return self._env.action_masks()


def _like(simulator: OpticalSimulator, observation: str) -> OpticalSimulator:
    """One idle lane of the same network that shows the named observation."""
    return OpticalSimulator(
        simulator.setting,
        num_lanes=1,
        observation=observation,
        action="path",
        reward=RewardConfig(),
        seed=0,
        warmup_requests=0,
        episode_requests=0,
    )
