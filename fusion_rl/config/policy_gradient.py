"""Settings of the agents that learn a policy by its gradient. Defaults are Stable-Baselines3's (2.9)."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from fusion_rl.config.agent import Fraction, NetworkAgent, PositiveInt
from fusion_rl.config.base import Settings
from fusion_rl.config.schedule import Rate, Weight
from fusion_rl.config.search import Range, among, span


class WarmStart(Settings):
    """What a policy network learns from before it learns by itself."""

    policy: str = Field(min_length=1, description="teacher: a heuristic, a checkpoint or an address in the run store")
    requests: PositiveInt = Field(default=100_000, description="requests that the teacher decides, over all lanes")
    epochs: PositiveInt = Field(default=3, description="passes over each block of them")
    batch_size: PositiveInt = Field(default=512, description="minibatch")
    learning_rate: float = Field(default=1e-3, gt=0, description="step size of an optimiser of its own")


class Rollouts(NetworkAgent):
    """Hyperparameters of the agents that learn from what their present policy did."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "learning_rate": span(1e-5, 3e-3, log=True),
        "n_steps": among(16, 32, 64, 128),
        "gamma": span(0.8, 1.0),
        "gae_lambda": span(0.8, 1.0),
    }

    learning_rate: Rate = Field(default=3e-4, description="step size of the optimiser, or its schedule")
    n_steps: int = Field(default=2048, ge=1, description="steps of each lane between updates")
    gamma: Fraction = Field(default=0.99, description="discount of the next request's return")
    gae_lambda: Fraction = Field(default=0.95, description="bias (0) against variance (1) of the advantage")
    warm_start: WarmStart | None = Field(default=None, description="first learn to decide as another policy; null: no")

    def applied_later(self) -> tuple[str, ...]:
        """It comes before the algorithm's own learning."""
        return ("warm_start",)


class _ActorCritic(Rollouts):
    """Hyperparameters of the agents whose policy and value share a loss."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "ent_coef": span(0.0, 0.03),
        "vf_coef": span(0.1, 1.0),
        "max_grad_norm": span(0.3, 5.0, log=True),
    }

    ent_coef: Weight = Field(default=0.0, description="weight of the entropy bonus, or its schedule")
    vf_coef: float = Field(default=0.5, ge=0, description="weight of the value loss")
    max_grad_norm: float = Field(default=0.5, gt=0, description="gradients are clipped to this norm")


class PPOFamily(_ActorCritic):
    """Hyperparameters of proximal policy optimisation."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "batch_size": among(128, 256, 512, 1024),
        "n_epochs": span(1, 10),
        "clip_range": span(0.1, 0.4),
    }

    batch_size: int = Field(default=64, ge=2, description="minibatch; must divide n_steps x lanes")
    n_epochs: int = Field(default=10, ge=1, description="passes over the collected steps in an update")
    clip_range: Rate = Field(default=0.2, description="furthest that the policy's ratio counts from 1, or its schedule")
    clip_range_vf: float | None = Field(default=None, gt=0, description="the same for the value; null: no clipping")
    normalize_advantage: bool = Field(default=True, description="standardise advantages in a minibatch")
    target_kl: float | None = Field(default=None, gt=0, description="stop an update at this divergence; null: never")


class PPOConfig(PPOFamily):
    """Proximal policy optimisation, without action masks."""

    name: Literal["ppo"] = "ppo"


class MaskablePPOConfig(PPOFamily):
    """Proximal policy optimisation that is shown which actions are feasible."""

    name: Literal["maskable-ppo"] = "maskable-ppo"


class RecurrentPPOConfig(PPOFamily):
    """Proximal policy optimisation with an LSTM that remembers earlier requests, without action masks."""

    SEARCH: ClassVar[dict[str, Range]] = {"lstm_hidden_size": among(64, 128, 256)}

    name: Literal["recurrent-ppo"] = "recurrent-ppo"
    features: Literal["mlp"] = Field(default="mlp", description="the LSTM reads the whole observation")
    warm_start: None = Field(default=None, description="there is none for an LSTM")
    n_steps: int = Field(default=128, ge=1, description="steps of each lane between updates")
    batch_size: int = Field(default=128, ge=2, description="minibatch; must divide n_steps x lanes")
    lstm_hidden_size: PositiveInt = Field(default=256, description="units of each LSTM layer")
    n_lstm_layers: PositiveInt = Field(default=1, description="LSTM layers")
    enable_critic_lstm: bool = Field(default=True, description="give the value an LSTM of its own; false: none")

    def policy_arguments(self) -> dict[str, Any]:
        """The LSTM is the network's."""
        names = ("lstm_hidden_size", "n_lstm_layers", "enable_critic_lstm")
        return {name: getattr(self, name) for name in names}


class A2CConfig(_ActorCritic):
    """Advantage actor-critic."""

    SEARCH: ClassVar[dict[str, Range]] = {"n_steps": among(5, 8, 16, 32)}

    name: Literal["a2c"] = "a2c"
    learning_rate: Rate = Field(default=7e-4, description="step size of the optimiser, or its schedule")
    n_steps: int = Field(default=5, ge=1, description="steps of each lane between updates")
    gae_lambda: Fraction = Field(default=1.0, description="bias (0) against variance (1) of the advantage")
    rms_prop_eps: float = Field(default=1e-5, gt=0, description="epsilon of RMSProp")
    use_rms_prop: bool = Field(default=True, description="RMSProp; false: Adam")
    normalize_advantage: bool = Field(default=False, description="standardise advantages in an update")


class TRPOConfig(Rollouts):
    """Trust-region policy optimisation, without action masks: the longest step that keeps the policy near."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "batch_size": among(128, 256, 512, 1024),
        "target_kl": span(0.003, 0.03, log=True),
        "cg_damping": span(0.01, 0.3, log=True),
        "n_critic_updates": span(5, 20),
    }

    name: Literal["trpo"] = "trpo"
    learning_rate: Rate = Field(default=1e-3, description="step size of the value's optimiser, or its schedule")
    batch_size: int = Field(default=128, ge=2, description="minibatch of the value; must divide n_steps x lanes")
    target_kl: float = Field(default=0.01, gt=0, description="furthest that an update moves the policy")
    cg_max_steps: int = Field(default=15, ge=1, description="steps of the conjugate gradient")
    cg_damping: float = Field(default=0.1, ge=0, description="added to the Fisher matrix's diagonal")
    line_search_shrinking_factor: float = Field(default=0.8, gt=0, lt=1, description="each try is this much shorter")
    line_search_max_iter: int = Field(default=10, ge=1, description="tries before the policy stays as it is")
    n_critic_updates: int = Field(default=10, ge=1, description="passes of the value over the collected steps")
    normalize_advantage: bool = Field(default=True, description="standardise advantages in an update")
