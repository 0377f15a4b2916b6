"""The algorithm concern: which agent learns, and its hyperparameters under Stable-Baselines3's own names.

Model defaults are Stable-Baselines3's (2.9); a preset is where values tuned for our environments go.
"""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from fusion_rl.config.base import Settings
from fusion_rl.errors import nearest_hint

PositiveInt = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class AlgorithmCommon(Settings):
    """What every agent has, whatever it learns with. These survive a change of algorithm."""

    name: str = Field(description="which algorithm")
    observation: str = Field(default="deeprmsa", min_length=1, description="what the agent sees, as registered")
    action: str = Field(default="path", min_length=1, description="what the agent decides, as registered")
    policy: Literal["MlpPolicy", "MultiInputPolicy"] | None = Field(
        default=None, description="policy class; null: the usual one for the observation"
    )
    net_arch: tuple[PositiveInt, ...] = Field(default=(128, 128), description="units of the hidden layers")
    activation: Literal["tanh", "relu", "elu"] = Field(default="tanh", description="activation of the hidden layers")

    @classmethod
    def explain_unknown_key(cls, key: str) -> str:
        """Says which algorithm it is that does not have the setting: another one may."""
        name = cls.model_fields["name"].default
        return f"'{key}' is not a setting of {name}: {nearest_hint(key, cls.model_fields)}"

    def hyperparameters(self) -> dict[str, Any]:
        """The arguments that the algorithm's Stable-Baselines3 class is made with, and nothing else."""
        others = {*AlgorithmCommon.model_fields, *self.policy_arguments()}
        return {key: getattr(self, key) for key in type(self).model_fields if key not in others}

    def policy_arguments(self) -> dict[str, Any]:
        """Settings that belong to the policy network of this algorithm alone."""
        return {}


class _ActorCritic(AlgorithmCommon):
    """Hyperparameters of the on-policy agents."""

    learning_rate: float = Field(default=3e-4, gt=0, description="step size of the optimiser")
    gamma: Fraction = Field(default=0.99, description="discount of the next request's return")
    gae_lambda: Fraction = Field(default=0.95, description="bias (0) against variance (1) of the advantage")
    ent_coef: float = Field(default=0.0, ge=0, description="weight of the entropy bonus")
    vf_coef: float = Field(default=0.5, ge=0, description="weight of the value loss")
    max_grad_norm: float = Field(default=0.5, gt=0, description="gradients are clipped to this norm")


class PPOFamily(_ActorCritic):
    """Hyperparameters of proximal policy optimisation."""

    n_steps: int = Field(default=2048, ge=1, description="steps of each lane between updates")
    batch_size: int = Field(default=64, ge=2, description="minibatch; must divide n_steps x lanes")
    n_epochs: int = Field(default=10, ge=1, description="passes over the collected steps in an update")
    clip_range: float = Field(default=0.2, gt=0, description="furthest that the policy's ratio counts from 1")
    clip_range_vf: float | None = Field(default=None, gt=0, description="the same for the value; null: no clipping")
    normalize_advantage: bool = Field(default=True, description="standardise advantages in a minibatch")
    target_kl: float | None = Field(default=None, gt=0, description="stop an update at this divergence; null: never")


class PPOConfig(PPOFamily):
    """Proximal policy optimisation, without action masks."""

    name: Literal["ppo"] = "ppo"


class MaskablePPOConfig(PPOFamily):
    """Proximal policy optimisation that is shown which actions are feasible."""

    name: Literal["maskable-ppo"] = "maskable-ppo"


class A2CConfig(_ActorCritic):
    """Advantage actor-critic."""

    name: Literal["a2c"] = "a2c"
    learning_rate: float = Field(default=7e-4, gt=0, description="step size of the optimiser")
    gae_lambda: Fraction = Field(default=1.0, description="bias (0) against variance (1) of the advantage")
    n_steps: int = Field(default=5, ge=1, description="steps of each lane between updates")
    rms_prop_eps: float = Field(default=1e-5, gt=0, description="epsilon of RMSProp")
    use_rms_prop: bool = Field(default=True, description="RMSProp; false: Adam")
    normalize_advantage: bool = Field(default=False, description="standardise advantages in an update")


class DQNFamily(AlgorithmCommon):
    """Hyperparameters of deep Q-learning with a replay buffer."""

    learning_rate: float = Field(default=1e-4, gt=0, description="step size of the optimiser")
    buffer_size: int = Field(default=1_000_000, ge=1, description="transitions kept, over all lanes")
    learning_starts: int = Field(default=100, ge=0, description="steps before the first update")
    batch_size: int = Field(default=32, ge=1, description="transitions of an update")
    tau: float = Field(default=1.0, gt=0, le=1, description="share of the new weights in a target update")
    gamma: Fraction = Field(default=0.99, description="discount of the next request's return")
    train_freq: int = Field(default=4, ge=1, description="steps of each lane between updates")
    gradient_steps: int = Field(default=1, ge=-1, description="updates each time; -1: as many as steps were made")
    n_steps: int = Field(default=1, ge=1, description="steps of the return that is bootstrapped")
    target_update_interval: int = Field(default=10_000, ge=1, description="steps between target updates")
    exploration_fraction: float = Field(
        default=0.1, gt=0, le=1, description="share of training that exploration falls over"
    )
    exploration_initial_eps: Fraction = Field(default=1.0, description="share of random actions at the start")
    exploration_final_eps: Fraction = Field(default=0.05, description="share of random actions in the end")
    max_grad_norm: float | None = Field(default=10.0, gt=0, description="gradients are clipped to this norm; null: not")


class DQNConfig(DQNFamily):
    """Deep Q-learning."""

    name: Literal["dqn"] = "dqn"


class QRDQNConfig(DQNFamily):
    """Deep Q-learning of the return's quantiles."""

    name: Literal["qr-dqn"] = "qr-dqn"
    learning_rate: float = Field(default=5e-5, gt=0, description="step size of the optimiser")
    exploration_fraction: float = Field(
        default=0.005, gt=0, le=1, description="share of training that exploration falls over"
    )
    exploration_final_eps: Fraction = Field(default=0.01, description="share of random actions in the end")
    max_grad_norm: float | None = Field(default=None, gt=0, description="gradients are clipped to this norm; null: not")
    n_quantiles: int = Field(default=200, ge=2, description="quantiles of the return; an update costs their square")

    def policy_arguments(self) -> dict[str, Any]:
        """The number of quantiles is the network's."""
        return {"n_quantiles": self.n_quantiles}


AlgorithmConfig: TypeAlias = MaskablePPOConfig | PPOConfig | A2CConfig | DQNConfig | QRDQNConfig

# name -> settings: a new algorithm is a model above, its name in AlgorithmConfig and a row here
ALGORITHM_MODELS: dict[str, type[AlgorithmConfig]] = {
    "maskable-ppo": MaskablePPOConfig,
    "ppo": PPOConfig,
    "a2c": A2CConfig,
    "dqn": DQNConfig,
    "qr-dqn": QRDQNConfig,
}
