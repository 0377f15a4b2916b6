"""An algorithm of a user's own is one like ours: chosen by name, checked, trained, saved and read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import Field
from sb3_contrib import MaskablePPO

from fusion_rl.agents.own import register_algorithm, unregister_algorithm
from fusion_rl.config.agent import NetworkAgent
from fusion_rl.config.load import load
from fusion_rl.config.policy_gradient import MaskablePPOConfig
from fusion_rl.errors import ConfigError, UnknownNameError
from fusion_rl.testing import tiny
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.run import train


class LazyPPOConfig(MaskablePPOConfig):
    """Settings."""

    name: Literal["lazy-ppo"] = "lazy-ppo"  # type: ignore[assignment]
    rest: int = Field(default=1, ge=0, description="updates to leave out after each")


class LazyPPO(MaskablePPO):
    """MaskablePPO that leaves out updates."""

    def __init__(self, *given: Any, rest: int = 1, **named: Any) -> None:
        self.rest, self.updates = rest, 0
        super().__init__(*given, **named)

    def train(self) -> None:
        """Update, or rest."""
        self.updates += 1
        if (self.updates - 1) % (self.rest + 1) == 0:
            super().train()


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    register_algorithm(LazyPPOConfig, LazyPPO, masked=True)
    yield
    unregister_algorithm("lazy-ppo")


def experiment(**algorithm: Any) -> dict[str, Any]:
    return {
        "name": "own",
        "network": tiny.NETWORK.model_dump(),
        "scenarios": [tiny.SCENARIO.model_dump()],
        "algorithm": {"name": "lazy-ppo", "n_steps": 16, "batch_size": 32, "net_arch": [8], **algorithm},
        "execution": {"lanes": 4, "timesteps": 256, "eval_every": 0, "final_requests": 800, "final_lanes": 8},
    }


def test_its_settings_are_checked_like_ours() -> None:
    config = load(experiment(rest=2), overrides=["algorithm.rest=3"]).config
    assert isinstance(config.algorithm, LazyPPOConfig)
    assert config.algorithm.rest == 3
    with pytest.raises(ConfigError, match="'rst' is not a setting of lazy-ppo: did you mean 'rest'"):
        load(experiment(rst=2))
    with pytest.raises(UnknownNameError, match="did you mean 'lazy-ppo'"):
        load(experiment(name="lazzy-ppo"))


def test_it_is_forgotten_when_it_is_unregistered() -> None:
    unregister_algorithm("lazy-ppo")
    with pytest.raises(UnknownNameError, match="unknown algorithm 'lazy-ppo'"):
        load(experiment())
    assert load("deeprmsa-nsfnet").config.algorithm.name == "maskable-ppo"


def test_it_trains_is_stored_and_reads_what_it_saved(tmp_path: Path) -> None:
    config = load(experiment(), overrides=[f"execution.tracking_dir={tmp_path}", "execution.progress=false"]).config
    result = train(config)
    assert result.algorithm == "lazy-ppo"
    assert result.parity_disagreements == 0
    again = evaluate(config, str(result.checkpoint), requests=800, lanes=8)
    assert again.service_blocking == result.evaluation.service_blocking


class NoLearner:
    """Not an algorithm."""


class NamelessConfig(NetworkAgent):
    """No name of its own."""


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(ConfigError, match="'maskable-ppo' comes with the package"):
        register_algorithm(MaskablePPOConfig, LazyPPO)
    with pytest.raises(ConfigError, match="class NoLearner has no method learn, predict, save, load"):
        register_algorithm(LazyPPOConfig, NoLearner)
    with pytest.raises(ConfigError, match="NamelessConfig has no name of its own"):
        register_algorithm(NamelessConfig, LazyPPO)

    class Hidden(LazyPPO):
        """Cannot be found again."""

    with pytest.raises(ConfigError, match="has to stand at the top of its module"):
        register_algorithm(LazyPPOConfig, Hidden)
