"""Sanity checks: sound parts pass, and each kind of broken part is found by the check that is there for it."""

import json
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from fusion_rl.agents.catalog import make_agent
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.schedule import ConstantLaw, LinearLaw
from fusion_rl.domains.optical import domain
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED
from fusion_rl.domains.optical.rewards import REWARDS
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.envs.vector import OpticalVecEnv
from fusion_rl.errors import TrainingError
from fusion_rl.testing.algorithm_contract import experiment
from fusion_rl.tracking.base import RunStatus
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import resume, sanity
from fusion_rl.training.run import train
from fusion_rl.training.sanity_checks import CHECKS, Verdict
from tests.agents.worlds import settings_of


def tiny_config(name: str = "maskable-ppo", **settings: Any) -> ExperimentConfig:
    return experiment(settings_of(name, **settings))


def findings(
    config: ExperimentConfig,
    simulator: type[OpticalSimulator] = OpticalSimulator,
    harm: Callable[[Any], object] = lambda _: None,
) -> dict[str, sanity.Finding]:
    """What the checks find in a configuration whose lanes are of this class, with an agent that was harmed."""

    def make_simulator(config: ExperimentConfig, setting: Any, num_lanes: int, seed: int) -> OpticalSimulator:
        algorithm = config.algorithm
        names = {"observation": algorithm.observation, "action": algorithm.action}
        return simulator(setting, num_lanes=num_lanes, reward=config.reward, seed=seed, **names)

    broken: Any = SimpleNamespace(**(vars(domain) | {"make_simulator": make_simulator}))
    setting = domain.prepare(config)
    agent = make_agent(
        config.algorithm, OpticalVecEnv(domain.make_simulator(config, setting, 4, 1)), seed=1, device="cpu"
    )
    harm(agent)
    return {one.check: one for one in sanity.check(config, broken, setting, agent)}


def failed(found: dict[str, sanity.Finding]) -> set[str]:
    return {name for name, one in found.items() if one.verdict is Verdict.FAILED}


@pytest.mark.parametrize("name", ALGORITHM_MODELS)
def test_sound_parts_pass_every_check(name: str) -> None:
    found = findings(tiny_config(name))
    assert [(one.check, one.verdict) for one in found.values()] == [(check, Verdict.PASSED) for check in CHECKS]
    assert all(one.detail and not one.cause for one in found.values())


@pytest.mark.parametrize("action", ["path-block:2", "path-start", "path-start:2"])
def test_sound_actions_of_every_kind_pass(action: str) -> None:
    assert not sanity.doubts(list(findings(tiny_config(action=action)).values()))


def test_checking_leaves_every_shared_generator_and_the_agent_alone() -> None:
    before = resume.capture_random()
    weights = []
    findings(tiny_config(), harm=lambda agent: (resume.restore_random(before), weights.append(agent)))
    [agent] = weights
    assert np.array_equal(resume.capture_random()["numpy"][1], before["numpy"][1])
    assert torch.equal(torch.get_rng_state(), before["torch"])
    assert agent.num_timesteps == 0


class Spoilt(OpticalSimulator):
    """Lanes whose observations are spoilt by `spoil`."""

    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        raise NotImplementedError

    def observations(self) -> Any:
        shown = super().observations()
        self.spoil(shown)
        return shown


class NotANumber(Spoilt):
    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        rows[0, 3] = np.nan


class Endless(Spoilt):
    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        rows[0, 3] = np.inf


class TooLarge(Spoilt):
    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        rows[:, 2] += 100.0


class Wider(OpticalSimulator):
    def observations(self) -> Any:
        return super().observations().astype(np.float64)


class Longer(OpticalSimulator):
    def observations(self) -> Any:
        shown = super().observations()
        return np.concatenate([shown, shown[:, :1]], axis=1)


@pytest.mark.parametrize(
    ("lanes", "told"),
    [
        (NotANumber, "entry 3 is nan"),
        (Endless, "entry 3 is inf"),
        (TooLarge, "entry 2 is 10"),
        (Wider, "it is float64"),
        (Longer, "where float32"),
    ],
)
def test_an_observation_outside_its_space_is_found(lanes: type[OpticalSimulator], told: str) -> None:
    one = findings(tiny_config(), lanes)["observations lie in their space"]
    assert one.verdict is Verdict.FAILED
    assert told in one.detail
    assert "observation 'deeprmsa'" in one.cause


class Blind(Spoilt):
    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        rows[:] = 0.5


class HalfBlind(Spoilt):
    @staticmethod
    def spoil(rows: np.ndarray) -> None:
        rows[:, 1] = 0.5


def test_an_observation_that_never_changes_is_found_and_a_single_entry_warned_of() -> None:
    one = findings(tiny_config(), Blind)["observations change"]
    assert one.verdict is Verdict.FAILED
    assert "observation 'deeprmsa' does not look at the request" in one.cause
    found = findings(tiny_config(), HalfBlind)
    assert not failed(found)
    assert found["observations change"].verdict is Verdict.WARNING
    assert "entry 1" in found["observations change"].detail


class Folded(OpticalSimulator):
    """The codec cuts the lowest bit off action numbers."""

    def plan(self, lane: int, action: int) -> tuple[int, int]:
        return super().plan(lane, action & ~1)

    def step(self, actions: np.ndarray) -> Any:
        return super().step(np.asarray(actions) & ~1)


class Miscarried(OpticalSimulator):
    """Actions are carried out as their neighbours."""

    def step(self, actions: np.ndarray) -> Any:
        return super().step(np.asarray(actions) ^ 1)


@pytest.mark.parametrize(("lanes", "told"), [(Folded, "both mean candidate path"), (Miscarried, "carried out as")])
def test_actions_that_do_not_mean_what_they_say_are_found(lanes: type[OpticalSimulator], told: str) -> None:
    one = findings(tiny_config(), lanes)["actions mean what they say"]
    assert one.verdict is Verdict.FAILED
    assert told in one.detail
    assert "action codec 'path' cuts or folds" in one.cause


def test_an_action_number_cut_to_a_byte_is_found() -> None:
    class Bytes(OpticalSimulator):
        def plan(self, lane: int, action: int) -> tuple[int, int]:
            return super().plan(lane, action % 8)

        def step(self, actions: np.ndarray) -> Any:
            return super().step(np.asarray(actions) % 8)

    one = findings(tiny_config(action="path-start"), Bytes)["actions mean what they say"]
    assert one.verdict is Verdict.FAILED
    assert "cuts or folds" in one.cause


class CutOff(OpticalSimulator):
    """The codec has no decision for the upper half of its numbers."""

    def masks(self) -> np.ndarray:
        true = super().masks()
        lower = true & (np.arange(true.shape[1]) < true.shape[1] // 2)
        return np.where(lower.any(axis=1)[:, None], lower, np.arange(true.shape[1]) == 0)

    def plan(self, lane: int, action: int) -> tuple[int, int]:
        return super().plan(lane, action) if action < self.action_space.n // 2 else (0, -1)

    def step(self, actions: np.ndarray) -> Any:
        return super().step(np.where(actions < self.action_space.n // 2, actions, 0))


def test_action_numbers_that_stand_for_nothing_are_warned_of() -> None:
    one = findings(tiny_config(action="path-start"), CutOff)["actions mean what they say"]
    assert one.verdict is Verdict.WARNING
    assert one.detail == "9 of 16 actions could never be taken: 7, 8, 9, ..."
    assert "action codec 'path-start' cuts numbers off" in one.cause


class Generous(OpticalSimulator):
    def masks(self) -> np.ndarray:
        return np.ones_like(super().masks())


class Mean(OpticalSimulator):
    """Of the actions that can be served, the mask allows the first alone."""

    def masks(self) -> np.ndarray:
        true = super().masks()
        return np.arange(true.shape[1]) == true.argmax(axis=1)[:, None]


class Wrong(OpticalSimulator):
    """Where there is a choice, the mask is of another request."""

    def masks(self) -> np.ndarray:
        true = super().masks()
        return np.where(true.all(axis=1)[:, None], np.arange(true.shape[1]) == 0, true)


@pytest.mark.parametrize("lanes", [Generous, Mean, Wrong])
def test_a_mask_that_lies_is_found(lanes: type[OpticalSimulator]) -> None:
    found = findings(tiny_config(), lanes)
    assert found["masks tell what can be served"].verdict is Verdict.FAILED
    assert "disagree" in found["masks tell what can be served"].cause


class Shut(OpticalSimulator):
    """Where nothing can be served, the mask allows nothing."""

    def masks(self) -> np.ndarray:
        return super().masks() & self.servable()[:, None]


def test_a_mask_that_leaves_no_action_is_found() -> None:
    one = findings(tiny_config(), Shut)["masks tell what can be served"]
    assert one.verdict is Verdict.FAILED
    assert "allows no action" in one.detail
    assert "must leave an action" in one.cause


@pytest.fixture
def reward() -> Iterator[Callable[[Callable[[Any], Any]], ExperimentConfig]]:
    """Register a reward function and have a configuration that uses it."""

    def paid_by(function: Callable[[Any], Any]) -> ExperimentConfig:
        REWARDS.register("broken", lambda config, world: function, replace=True)
        config = tiny_config()
        return config.model_copy(update={"reward": config.reward.model_copy(update={"name": "broken"})})

    yield paid_by
    REWARDS._entries.pop("broken", None)


@pytest.mark.parametrize(
    ("function", "told", "cause"),
    [
        (lambda outcome: np.ones(outcome.gbps.shape, np.float32), "every reward is 1", "does not depend"),
        (lambda outcome: np.float32(1) / (outcome.verdict != ACCEPTED), "a reward is inf", "divides by zero"),
        (lambda outcome: outcome.bandwidth, "AttributeError", "observation, reward, codec"),
    ],
)
def test_a_reward_that_says_nothing_or_breaks_is_found(reward: Any, function: Any, told: str, cause: str) -> None:
    one = findings(reward(function))["rewards differ"]
    assert one.verdict is Verdict.FAILED
    assert told in one.detail
    assert cause in one.cause


@pytest.mark.parametrize("load", [0.01, 1e6])
def test_traffic_that_teaches_nothing_is_warned_of(load: float) -> None:
    config = tiny_config()
    scenario = config.scenarios[0].model_copy(update={"load_erlang": load, "warmup_requests": 500})
    found = findings(config.model_copy(update={"scenarios": type(config.scenarios)((scenario,))}))
    one = found["traffic fills the network"]
    assert one.verdict is Verdict.WARNING
    assert "teaches nothing" in one.cause
    assert "rewards differ" not in failed(found)


class Deaf(OpticalSimulator):
    """The lowest action that can be served is taken, whatever the agent says."""

    def step(self, actions: np.ndarray) -> Any:
        return super().step(super().masks().argmax(axis=1))


def test_lanes_that_do_not_listen_are_found() -> None:
    one = findings(tiny_config(), Deaf)["actions change the outcome"]
    assert one.verdict is Verdict.FAILED
    assert "whatever was chosen" in one.detail
    assert "the action number is not used" in one.cause


def test_a_network_with_nothing_to_decide_is_found() -> None:
    config = tiny_config()
    one = findings(config.model_copy(update={"network": config.network.model_copy(update={"k_paths": 1})}))[
        "actions change the outcome"
    ]
    assert (one.verdict, one.detail) == (Verdict.FAILED, "there is 1 action")
    assert "raise network.k_paths" in one.cause


class Unseeded(OpticalSimulator):
    def reset(self, lanes: Any, seeds: Any = None) -> None:
        super().reset(lanes)


class AlwaysSeeded(OpticalSimulator):
    def reset(self, lanes: Any, seeds: Any = None) -> None:
        super().reset(lanes, [1] * len(lanes))


@pytest.mark.parametrize(("lanes", "told"), [(Unseeded, "with the same seed"), (AlwaysSeeded, "without a seed")])
def test_resets_that_repeat_or_forget_their_seed_are_found(lanes: type[OpticalSimulator], told: str) -> None:
    one = findings(tiny_config(), lanes)["resets begin other episodes"]
    assert one.verdict is Verdict.FAILED
    assert told in one.detail
    assert "does not seed its traffic" in one.cause


def test_a_tensor_on_another_device_is_found() -> None:
    one = findings(tiny_config(), harm=lambda agent: agent.policy.action_net.to("meta"))[
        "tensors are on the model's device"
    ]
    assert one.verdict is Verdict.FAILED
    assert "action_net.weight on meta" in one.detail
    assert "leave the device to execution.device" in one.cause


def test_an_update_that_changes_nothing_or_too_much_is_found() -> None:
    frozen = findings(tiny_config(learning_rate=ConstantLaw(value=0.0)))["an update changes the weights"]
    assert (frozen.verdict, frozen.detail) == (Verdict.FAILED, "an update leaves every weight as it was")
    assert "the learning rate is 0" in frozen.cause
    wild = findings(tiny_config(learning_rate=1e30))["an update changes the weights"]
    assert wild.verdict is Verdict.FAILED
    assert "lower algorithm.learning_rate" in wild.cause


def test_weights_that_are_broken_before_training_begins_are_found() -> None:
    def diverge(agent: Any) -> None:
        agent.policy.action_net.weight.data[0, 0] = float("nan")

    one = findings(tiny_config(), harm=diverge)["an update changes the weights"]
    assert one.verdict is Verdict.FAILED
    assert one.detail == "before any update action_net.weight is not finite"
    assert "goes on from had diverged" in one.cause


@pytest.mark.parametrize("name", ["maskable-ppo", "masked-dqn"])
def test_the_update_is_one_of_the_agent_that_will_be_trained(name: str) -> None:
    def grow(agent: Any) -> None:
        for tensor in agent.policy.state_dict().values():
            tensor.fill_(3e38)

    one = findings(tiny_config(name), harm=grow)["an update changes the weights"]
    assert one.verdict is Verdict.FAILED


def test_a_learning_rate_that_falls_to_zero_is_sound() -> None:
    assert not failed(findings(tiny_config(learning_rate=LinearLaw(start=1e-3, end=0.0))))


def run_config(folder: Path, **execution: Any) -> ExperimentConfig:
    config = tiny_config()
    small = {
        "timesteps": 256,
        "eval_every": 0,
        "final_requests": 200,
        "parity_requests": 100,
        "final_lanes": 2,
        "progress": False,
    }
    given = {**small, "register_model": False, "tracking_dir": str(folder), **execution}
    return config.model_copy(update={"execution": config.execution.model_copy(update=given)})


def test_training_is_the_same_with_and_without_them(tmp_path: Path) -> None:
    checked, unchecked = (train(run_config(tmp_path, sanity_checks=on)) for on in (True, False))
    assert checked.weights_sha256 == unchecked.weights_sha256
    store = open_store(tmp_path)
    with_them, without = store.find_run(checked.run_id), store.find_run(unchecked.run_id)
    assert with_them.tags["sanity_checks"] == "passed"
    table = json.loads(store.artifact_path(checked.run_id, "sanity.json").read_text())
    assert [row[0] for row in table["data"]] == list(CHECKS)
    assert without.tags["sanity_checks"] == "skipped"


def test_a_failed_check_stops_the_run_with_its_likely_cause_and_is_logged(
    tmp_path: Path, reward: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    constant = reward(lambda outcome: np.ones(outcome.gbps.shape, np.float32)).reward
    config = run_config(tmp_path).model_copy(update={"reward": constant})
    with pytest.raises(
        TrainingError, match=r"1 of 10 sanity checks failed: rewards differ: .* reward 'broken'"
    ) as told:
        train(config)
    assert "\n" not in str(told.value)
    assert not getattr(told.value, "__notes__", None)
    assert "Before training" in capsys.readouterr().err, "the table is shown also where nothing else is"
    store = open_store(tmp_path)
    [run] = store.search_runs()
    assert run.status is RunStatus.FAILED
    assert run.tags["sanity_checks"] == "failed: rewards differ"
    table = json.loads(store.artifact_path(run.run_id, "sanity.json").read_text())
    row = next(row for row in table["data"] if row[0] == "rewards differ")
    assert row[1:3] == ["failed", "every reward is 1"]
    assert "reward 'broken'" in row[3]


def test_the_table_shows_what_was_seen_also_where_it_looks_like_markup() -> None:
    console = Console(record=True, file=StringIO(), width=200)
    console.print(sanity.table([sanity.Finding("observations change", Verdict.WARNING, "paths[3] is constant", "why")]))
    said = console.export_text()
    assert "paths[3] is constant. why" in said
    assert "warning" in said


def test_a_trace_which_is_the_same_in_every_episode_is_sound(tmp_path: Path) -> None:
    config, file = tiny_config(), str(tmp_path / "requests.csv")
    size = {"requests": 8 * 150, "lanes": 8, "seed": 1, "scenario": 0}
    domain.record_traffic(domain.prepare(config), file, **size)
    replaying = config.scenarios[0].model_copy(update={"trace": file})
    found = findings(config.model_copy(update={"scenarios": type(config.scenarios)((replaying,))}))
    assert not failed(found)
    assert "a trace is the same" in found["resets begin other episodes"].detail
