"""The execution concern: how long, on what, with which seeds, and where the results go."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fusion_rl.config.base import Settings


class EarlyStopping(Settings):
    """When a training ends before its time: evaluations in between do not get better any more."""

    patience: int = Field(ge=1, description="evaluations in a row that are no improvement, and then it ends")
    min_improvement: float = Field(
        default=0.0, ge=0, lt=1, description="least fall of the share of requests blocked that is an improvement"
    )
    min_steps: int = Field(default=0, ge=0, description="training steps before which it does not end")


class Wandb(Settings):
    """A copy of the run's metrics in Weights & Biases."""

    project: str = Field(default="fusion_rl", min_length=1, description="project there")
    entity: str | None = Field(default=None, min_length=1, description="user or team there; null: your default")
    mode: Literal["online", "offline"] = Field(
        default="online", description="offline: files alone, which `wandb sync` sends later"
    )


class ExecutionConfig(Settings):
    """How a run is carried out. Nothing here says what is learned or simulated."""

    timesteps: int = Field(default=100_000, ge=1, description="requests decided in training, over all lanes")
    lanes: int = Field(default=16, ge=1, le=65_536, description="networks simulated side by side in training")
    seed: int = Field(
        default=1, ge=0, le=2**32 - 1, description="seed of training: traffic, initial weights, exploration"
    )
    device: Literal["cpu", "cuda", "auto"] = Field(default="cpu", description="where the policy runs")
    torch_threads: int = Field(
        default=1, ge=1, description="CPU threads of torch; 1 where several runs go side by side"
    )
    progress: bool = Field(default=True, description="show how far training is: a bar, or lines in a log")
    eval_every: int = Field(
        default=25_000, ge=0, description="training steps between evaluations; 0: none before the end"
    )
    early_stopping: EarlyStopping | None = Field(
        default=None, description="end training when evaluations stop getting better; null: never"
    )
    sanity_checks: bool = Field(
        default=True, description="look before training whether observations, masks, rewards and updates make sense"
    )
    eval_requests: int = Field(default=20_000, ge=1, description="requests counted in one of these, over all its lanes")
    eval_lanes: int = Field(default=8, ge=1, description="lanes of these")
    eval_seed: int = Field(
        default=10_000, ge=0, le=2**32 - 1, description="seed of the held-out traffic of every evaluation"
    )
    final_requests: int = Field(
        default=200_000, ge=1, description="requests counted in the final comparison, over all lanes"
    )
    final_lanes: int = Field(default=16, ge=1, description="lanes of the final comparison")
    baselines: tuple[str, ...] | None = Field(
        default=None,
        min_length=1,
        description="heuristics of the final comparison; null: the usual ones (mscl takes hours on large networks)",
    )
    final_loads: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(),
        description="loads, nominal Erlang, at which the first scenario is judged as well, for blocking against load",
    )
    parity_requests: int = Field(
        default=2_000,
        ge=1,
        description="requests that the agent decides in both environments and in a replay, which must agree",
    )
    checkpoint_every: int = Field(
        default=100_000, ge=0, description="training steps between checkpoints to resume from; 0: at the end only"
    )
    checkpoint_keep: int = Field(default=2, ge=1, description="how many of these stay, the newest")
    checkpoint_regular_every: int = Field(
        default=0, ge=0, description="training steps between checkpoints that all stay; 0: none"
    )
    checkpoint_replay_buffer: bool = Field(
        default=True,
        description="checkpoints hold the replay buffer; false: smaller, but a resumed training is another one",
    )
    callbacks: tuple[Annotated[str, Field(pattern=r"^[\w.]+:\w+$")], ...] = Field(
        default=(), description="your own Stable-Baselines3 callbacks, each as module:Class"
    )
    tensorboard: bool = Field(
        default=False, description="write metrics as TensorBoard's event files too, in TRACKING_DIR/tensorboard"
    )
    wandb: Wandb | None = Field(default=None, description="copy metrics to Weights & Biases; null: do not")
    tracking_dir: str = Field(default="mlruns", min_length=1, description="folder of the run log and of its artifacts")
    experiment_name: str | None = Field(
        default=None, min_length=1, description="name in the run log; null: the experiment's"
    )
    run_name: str | None = Field(
        default=None, min_length=1, description="name of the run; null: made from what it does"
    )
    model_name: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[^/:]+$",
        description="name of the registered model; null: made from what it is",
    )
    system_metrics: bool = Field(
        default=False, description="record use of processors, memory, disk and network, every ten seconds"
    )
    register_model: bool = Field(default=True, description="enter the trained model in the registry")

    @model_validator(mode="after")
    def _check_held_out(self) -> Self:
        if self.seed == self.eval_seed:
            raise ValueError(
                f"seed and eval_seed are both {self.seed}: evaluation traffic must be held out from training"
            )
        return self

    @model_validator(mode="after")
    def _check_there_are_evaluations(self) -> Self:
        if self.early_stopping is not None and self.eval_every == 0:
            raise ValueError("early_stopping needs evaluations in between: set eval_every above 0")
        return self
