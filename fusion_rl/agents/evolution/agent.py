"""Evolution: the parameters of a score of candidate decisions, found by CMA-ES.

All members of a generation serve the same requests from the same networks in use, so that they differ by what they
decide and not by luck; each generation meets new ones. What counts of a member is its rank by the share of requests
that it blocks, as a multiple of the generation's mean, averaged over scenarios. The agent is the mean of the
distribution, not its best sample. To the rest of the package it is an algorithm of Stable-Baselines3.

Source: N. Hansen, The CMA Evolution Strategy: A Tutorial, arXiv 1604.00772; the library is cmaes.
"""

import sys
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import torch
from cmaes import CMA
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy

from fusion_rl.agents.masking import best_allowed
from fusion_rl.arrays import AnyArray, Bools, Floats, Ints64
from fusion_rl.config.network import NetworkConfig
from fusion_rl.config.scenarios import ScenarioConfig
from fusion_rl.domains.optical import trials
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.scores import SCORES, heuristic_of
from fusion_rl.domains.optical.setting import Setting, prepare


class ScorePolicy(BasePolicy):
    """The parameters of a score, as one tensor.

    Args:
        observation_space, action_space: of the environment.
        values: where they begin.
    """

    def __init__(self, observation_space: Any, action_space: Any, values: Floats) -> None:
        super().__init__(observation_space, action_space)
        self.register_buffer("parameters_of_score", torch.from_numpy(values.copy()))

    @property
    def values(self) -> Floats:
        """The parameters as numpy sees them; writing them writes the policy."""
        values: Floats = self.get_buffer("parameters_of_score").numpy()
        return values

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As torch's; a policy that was made without a network takes the number of parameters over."""
        self.register_buffer("parameters_of_score", state_dict["parameters_of_score"].detach().clone().cpu())
        return super().load_state_dict(state_dict, strict, assign)

    def _predict(self, observation: Any, deterministic: bool = True) -> torch.Tensor:
        raise NotImplementedError("a score decides on a network, which the algorithm knows: use Evolution.predict")


class Evolution(BaseAlgorithm):
    """Learns the parameters of a score.

    Args:
        policy: "ScorePolicy".
        env: the lanes. They are not stepped while it learns: rollouts on as many lanes are.
        score: of `fusion_rl.domains.optical.scores`.
        population, step_size, requests, warmup_requests: see `EvolutionConfig`.
        seed: of the samples and of the traffic.
        device: the parameters are on the CPU, whatever is asked for.
        verbose: 0: says nothing.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"ScorePolicy": ScorePolicy}
    policy: ScorePolicy

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: Any,
        *,
        score: str = "slot-capacity",
        population: int = 24,
        step_size: float = 0.2,
        requests: int = 20_000,
        warmup_requests: int = 2_000,
        seed: int | None = None,
        device: str = "cpu",
        verbose: int = 0,
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(policy, env, 0.0, seed=seed, device="cpu", verbose=verbose, support_multi_env=True)
        self.score = score
        self.population = population
        self.step_size = step_size
        self.requests = requests
        self.warmup_requests = warmup_requests
        self.names: list[str] = []  # of the parameters
        self.requests_by_scenario: dict[str, int] = {}
        self.network: dict[str, Any] | None = None  # what the setting is made from
        self.scenarios: list[dict[str, Any]] = []
        if env is not None and env.has_attr("simulator"):
            self._know(env.get_attr("simulator")[0].setting)
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        first = SCORES[self.score].parameters(self.setting.world) if self.network is not None else {}
        self.names = self.names or list(first)
        values = np.array([first.get(name, 0.0) for name in self.names])
        self.policy = ScorePolicy(self.observation_space, self.action_space, values)
        self._optimiser: CMA | None = None

    def _know(self, setting: Setting) -> None:
        self.network = setting.network.model_dump(mode="json")
        self.scenarios = [scenario.model_dump(mode="json") for scenario in setting.scenarios]
        self.__dict__["setting"] = setting

    @cached_property
    def setting(self) -> Setting:
        """The network and the scenarios that it learns on."""
        network = NetworkConfig.model_validate(self.network)
        return prepare(network, [ScenarioConfig.model_validate(scenario) for scenario in self.scenarios])

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "setting", "_optimiser", "_options"]

    def state_dict(self) -> dict[str, Any]:
        """What learning goes on from, beside the parameters."""
        return {
            "names": list(self.names),
            "network": self.network,
            "scenarios": self.scenarios,
            "requests_by_scenario": dict(self.requests_by_scenario),
            "optimiser": None if self._optimiser is None else _state_of(self._optimiser),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.names = list(state["names"])
        self.requests_by_scenario = dict(state["requests_by_scenario"])
        if self.network is None:
            self.network, self.scenarios = state["network"], list(state["scenarios"])
        if state["optimiser"] is not None:
            self._optimiser = self._begin()
            vars(self._optimiser).update(state["optimiser"])

    def heuristic(self, values: Floats | None = None, scenario: int = 0, setting: Setting | None = None) -> Heuristic:
        """The score with these parameters, or with its own, as rollouts run it."""
        given = dict(zip(self.names, (self.policy.values if values is None else values).tolist(), strict=True))
        scenarios = (setting or self.setting).scenarios
        return heuristic_of(SCORES[self.score], given, scenarios[scenario].mean_holding_time)

    def in_rollouts(self, setting: Setting, scenario: int) -> Heuristic:
        """The agent as rollouts run it, on any network."""
        return self.heuristic(None, scenario, setting)

    def learn(
        self,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int | None = 1,
        tb_log_name: str = "evolution",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Self:
        """Train; as Stable-Baselines3's `learn`. Steps are requests that members served; a generation is whole."""
        total_timesteps, callback = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        callback.on_training_start(locals(), globals())
        dones: Bools = np.zeros(self.n_envs, np.bool_)
        infos: list[dict[str, Any]] = [{} for _ in range(self.n_envs)]
        while self.num_timesteps < total_timesteps:
            callback.on_rollout_start()
            self._generation()
            callback.update_locals({"dones": dones, "infos": infos})
            if not callback.on_step():
                break
            self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
            callback.on_rollout_end()
            if log_interval is not None and self._n_updates % log_interval == 0:
                self.dump_logs()
        callback.on_training_end()
        return self

    def _begin(self) -> CMA:
        return CMA(
            mean=np.array(self.policy.values), sigma=self.step_size, population_size=self.population, seed=self.seed
        )

    def _generation(self) -> None:
        """Try a generation, and move the distribution towards the better half of it."""
        if self._optimiser is None:
            self._optimiser = self._begin()
        optimiser, number = self._optimiser, self._n_updates
        # Samples depend on the seed and the generation alone, so a resumed training draws the same.
        optimiser.reseed_rng(int(np.random.SeedSequence([self.seed or 0, number]).generate_state(1)[0]))
        members = [optimiser.ask() for _ in range(optimiser.population_size)]
        each = -(-self.requests // self.n_envs)
        costs: Floats = np.zeros(len(members))
        shares = []
        for s, scenario in enumerate(self.setting.scenarios):
            counts = trials.blocked(
                self.setting,
                [self.heuristic(member, s) for member in members],
                warmer=self.heuristic(None, s),
                entropy=(self.seed or 0, 1 + number),
                scenario=s,
                lanes=self.n_envs,
                warmup_requests=self.warmup_requests,
                requests=each,
            )
            costs += counts / max(counts.mean(), 1.0)
            shares.append(counts / (each * self.n_envs))
            served = len(members) * each * self.n_envs
            self.requests_by_scenario[scenario.name] = self.requests_by_scenario.get(scenario.name, 0) + served
            self.num_timesteps += served
        optimiser.tell(list(zip(members, costs.tolist(), strict=True)))
        self.policy.values[:] = optimiser.mean
        self._n_updates += 1
        self._record_generation(np.mean(shares, axis=0), optimiser)

    def _record_generation(self, blocking: Floats, optimiser: CMA) -> None:
        self.logger.record("evolution/generation", self._n_updates)
        self.logger.record("evolution/step_size", float(optimiser._sigma))
        self.logger.record("evolution/member_blocking_mean", float(blocking.mean()))
        self.logger.record("evolution/member_blocking_min", float(blocking.min()))
        self.logger.record("evolution/member_blocking_max", float(blocking.max()))

    def dump_logs(self) -> None:
        """Write what has been learned so far into the log."""
        seconds = max((time.time_ns() - self.start_time) / 1e9, sys.float_info.epsilon)
        self.logger.record("time/fps", int((self.num_timesteps - self._num_timesteps_at_start) / seconds))
        self.logger.dump(step=self.num_timesteps)

    @cached_property
    def _options(self) -> dict[bytes, Any]:
        return {}

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        action_masks: Bools | None = None,
    ) -> tuple[Ints64, Any]:
        """Actions of a batch of observations, or of one.

        Args:
            observation: a dict of the parts of `spectrum` or `spectrum-known-holding`, with or without an axis B first.
            state, episode_start, deterministic: not used: a score decides for one action.
            action_masks: [B, A] or [A]; where the score has no action among them, the first of them is taken.
        """
        batched = np.ndim(observation["source"]) == 2
        shown: dict[str, AnyArray] = {name: np.atleast_2d(part) for name, part in observation.items()}
        by_slot = (len(shown["spectrum"]), -1, self.setting.world.slots)
        world, heuristic = self.setting.world, self.heuristic()
        key = self.policy.values.tobytes()
        if key not in self._options:  # tables are made once for the same parameters
            self._options.clear()
            self._options[key] = heuristic.prepare(world)
        pairs = {ends: pair for pair, ends in enumerate(zip(world.pair_source, world.pair_target, strict=True))}
        ends = zip(shown["source"].argmax(axis=1), shown["destination"].argmax(axis=1), strict=True)
        rank, start = trials.decide(
            self.setting,
            heuristic,
            self._options[key],
            np.array([pairs.get(both, 0) for both in ends]),
            shown["bandwidth_class"].argmax(axis=1),
            shown["spectrum"].reshape(by_slot) > 0,
            *((shown["holding_time"][:, 0], shown["time_left"].reshape(by_slot)) if "time_left" in shown else ()),
        )
        actions = np.where(start < 0, 0, rank * world.slots + start)
        if action_masks is not None:
            masks = np.reshape(action_masks, (actions.size, -1))
            chosen = np.zeros(masks.shape)
            chosen[np.arange(actions.size), actions] = 1.0
            actions = best_allowed(chosen, masks)
        return (actions if batched else actions[0]), state


def _state_of(optimiser: CMA) -> dict[str, Any]:
    """What the library keeps, as plain data, but for the generator, which each generation seeds anew.

    Not what it pickles: there the covariance loses the last bits of one of its halves.
    """
    kept = {name: value for name, value in vars(optimiser).items() if name != "_rng"}
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in kept.items()}
