"""Settings of the agents that learn what an action is worth: deep Q-learning, tables and bandits.

Defaults of the deep ones are Stable-Baselines3's (2.9).
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from fusion_rl.config.agent import AlgorithmCommon, Fraction, NetworkAgent
from fusion_rl.config.schedule import LinearLaw, Rate, Share
from fusion_rl.config.search import Range, among, span


class DQNFamily(NetworkAgent):
    """Hyperparameters of deep Q-learning with a replay buffer."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "learning_rate": span(1e-5, 3e-3, log=True),
        "buffer_size": among(10_000, 50_000, 100_000, 1_000_000),
        "learning_starts": among(100, 1_000, 5_000),
        "batch_size": among(32, 64, 128, 256),
        "tau": span(0.005, 1.0, log=True),
        "gamma": span(0.8, 1.0),
        "train_freq": among(1, 4, 8, 16),
        "target_update_interval": among(500, 1_000, 5_000, 10_000),
        "exploration_fraction": span(0.005, 0.5),
        "exploration_final_eps": span(0.01, 0.1),
    }

    learning_rate: Rate = Field(default=1e-4, description="step size of the optimiser, or its schedule")
    buffer_size: int = Field(default=1_000_000, ge=1, description="transitions kept, over all lanes")
    learning_starts: int = Field(default=100, ge=0, description="steps before the first update")
    batch_size: int = Field(default=32, ge=1, description="transitions of an update")
    tau: float = Field(default=1.0, gt=0, le=1, description="share of the new weights in a target update")
    gamma: Fraction = Field(default=0.99, description="discount of the next request's return")
    n_steps: int = Field(default=1, ge=1, description="steps of a return before the network's value takes over")
    train_freq: int = Field(default=4, ge=1, description="steps of each lane between updates")
    gradient_steps: int = Field(default=1, ge=-1, description="updates each time; -1: as many as steps were made")
    target_update_interval: int = Field(default=10_000, ge=1, description="steps between target updates")
    exploration_fraction: float = Field(
        default=0.1, gt=0, le=1, description="share of training that exploration falls over"
    )
    exploration_initial_eps: Fraction = Field(default=1.0, description="share of random actions at the start")
    exploration_final_eps: Fraction = Field(default=0.05, description="share of random actions in the end")
    exploration: Share | None = Field(
        default=None, description="share of random actions, or its schedule; null: as the three settings above say"
    )
    max_grad_norm: float = Field(default=10.0, gt=0, description="gradients are clipped to this norm")

    def applied_later(self) -> tuple[str, ...]:
        """Stable-Baselines3 knows one schedule of exploration; ours takes its place."""
        return ("exploration",)


class DQNConfig(DQNFamily):
    """Deep Q-learning."""

    name: Literal["dqn"] = "dqn"


class MaskedDQNConfig(DQNFamily):
    """Deep Q-learning that is shown which actions are feasible: it tries, takes and counts on no other."""

    name: Literal["masked-dqn"] = "masked-dqn"


class QuantileFamily(DQNFamily):
    """Hyperparameters of deep Q-learning of the return's quantiles."""

    SEARCH: ClassVar[dict[str, Range]] = {"n_quantiles": among(25, 50, 100, 200)}

    learning_rate: Rate = Field(default=5e-5, description="step size of the optimiser, or its schedule")
    exploration_fraction: float = Field(
        default=0.005, gt=0, le=1, description="share of training that exploration falls over"
    )
    exploration_final_eps: Fraction = Field(default=0.01, description="share of random actions in the end")
    max_grad_norm: float | None = Field(  # type: ignore[assignment]  # DQN itself cannot do without
        default=None, gt=0, description="gradients are clipped to this norm; null: not"
    )
    n_quantiles: int = Field(default=200, ge=2, description="quantiles of the return; an update costs their square")

    def policy_arguments(self) -> dict[str, Any]:
        """The number of quantiles is the network's."""
        return {"n_quantiles": self.n_quantiles}


class QRDQNConfig(QuantileFamily):
    """Deep Q-learning of the return's quantiles."""

    name: Literal["qr-dqn"] = "qr-dqn"


class MaskedQRDQNConfig(QuantileFamily):
    """Deep Q-learning of the return's quantiles that is shown which actions are feasible."""

    name: Literal["masked-qr-dqn"] = "masked-qr-dqn"


class TabularFamily(AlgorithmCommon):
    """What agents have that keep a table: no network, and a number of states that can be counted."""

    exploration: Share = Field(
        default=LinearLaw(start=1.0, end=0.02), description="share of random actions, or its schedule"
    )


class QLearningConfig(TabularFamily):
    """Q-learning in a table over source, destination and the congestion levels of the candidate paths."""

    SEARCH: ClassVar[dict[str, Range]] = {
        "learning_rate": span(0.01, 0.5, log=True),
        "gamma": span(0.8, 1.0),
        "congestion_levels": span(2, 5),
    }

    name: Literal["q-learning"] = "q-learning"
    observation: str = Field(default="unified", min_length=1, description="what the agent sees, as registered")
    learning_rate: Share = Field(default=0.1, description="share of the way to the new estimate, or its schedule")
    gamma: Fraction = Field(default=0.95, description="discount of the next request's return")
    congestion_levels: int = Field(
        default=3, ge=1, le=64, description="levels of a path's congestion; the table has levels to the power of paths"
    )


class EpsilonGreedyConfig(TabularFamily):
    """A bandit for each source and destination: the best arm so far, and now and then any arm."""

    SEARCH: ClassVar[dict[str, Range]] = {"step_size": span(0.001, 0.5, log=True)}

    name: Literal["epsilon-greedy"] = "epsilon-greedy"
    observation: str = Field(default="obs_1", min_length=1, description="what the agent sees, as registered")
    step_size: float | None = Field(
        default=None, gt=0, le=1, description="weight of the newest reward in an arm's value; null: the mean of all"
    )


class UCBConfig(AlgorithmCommon):
    """A bandit for each source and destination: the arm that may be best, by an upper confidence bound (UCB1)."""

    SEARCH: ClassVar[dict[str, Range]] = {"confidence": span(0.05, 5.0, log=True)}

    name: Literal["ucb"] = "ucb"
    observation: str = Field(default="obs_1", min_length=1, description="what the agent sees, as registered")
    confidence: float = Field(
        default=1.0, ge=0, description="weight of the bound: an arm's value + confidence x sqrt(2 ln N / n)"
    )
