"""Warm starts: the teacher's decisions as actions, agreement before and after, and nothing of it lost by a kill."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.demonstrations import NO_LABEL, Demonstrations, HeuristicTeacher
from fusion_rl.domains.optical.domain import make_simulator, prepare
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError, FusionRLError
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import warm_start
from fusion_rl.training.run import resume, train

Make = Callable[..., ExperimentConfig]
LANES, STEPS = 2, 60


@pytest.fixture
def make(tmp_path: Any) -> Make:
    """An experiment on the tiny world; algorithm settings that are given replace its own."""

    def made(**algorithm: Any) -> ExperimentConfig:
        learner = {"name": "maskable-ppo", "n_steps": 16, "batch_size": 64, "n_epochs": 1, "net_arch": [32]}
        seen = {"observation": "candidates", "action": "candidates:8", "features": "candidates"}
        content = {
            "network": tiny.NETWORK.model_dump(mode="json"),
            "scenarios": [tiny.SCENARIO.model_dump(mode="json")],
            "algorithm": learner | seen | algorithm,
            "execution": {
                "tracking_dir": str(tmp_path / "mlruns"),
                "lanes": 4,
                "timesteps": 128,
                "eval_every": 0,
                "eval_requests": 200,
                "final_requests": 200,
                "final_lanes": 8,
                "parity_requests": 20,
                "sanity_checks": False,
                "progress": False,
                "register_model": False,
            },
        }
        return load(content).config

    return made


def demonstration(config: ExperimentConfig) -> Any:
    simulator = make_simulator(
        config, prepare(config), LANES, 1, warmup_requests=0, episode_requests=STEPS + 1, by_decision=True
    )
    simulator.reset(range(LANES))
    return simulator


@pytest.mark.parametrize("name", ["ksp-ff", "mscl", "last-fit"])
def test_a_demonstration_decides_as_the_teachers_rollout_and_labels_are_its_decisions(make: Make, name: str) -> None:
    simulator = demonstration(make())
    setting, decided = simulator.setting, []
    rollout.run(
        setting, HEURISTICS[name], requests=LANES * STEPS, lanes=LANES, seed=1, warmup_requests=0, threads=1,
        on_served=lambda lane, _, done: decided.extend(
            zip([lane] * done.path.size, done.path.tolist(), done.start.tolist(), strict=True)
        ),
    )  # fmt: skip
    lanes, teacher = Demonstrations(simulator), HeuristicTeacher(simulator, [HEURISTICS[name]] * LANES)
    labelled, served = 0, []
    for _ in range(STEPS):
        decisions = teacher.decisions()
        labels = lanes.labels(decisions)
        for b, label in enumerate(labels):
            if label != NO_LABEL:
                labelled += 1
                assert simulator.masks()[b, label]
                assert simulator.plan(b, int(label)) == decisions[b]
        lanes.follow(decisions)
        served += [(b, *decisions[b]) for b in range(LANES)]
    assert sorted(served, key=lambda one: one[0]) == decided
    refused = sum(start < 0 for _, _, start in served)
    assert labelled == LANES * STEPS - refused, "what a heuristic of these decides is at the edge of a block"


def test_an_agent_that_sees_other_things_teaches_on_lanes_of_its_own_which_stay_the_same(make: Make) -> None:
    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.training.policies import as_policy

    config, other = make(), make(observation="unified", action="path", features="mlp")
    setting, domain = prepare(config), domain_of(config)
    env = OpticalVecEnv(make_simulator(other, setting, 1, 1))
    teacher = as_policy("other", make_agent(other.algorithm, env, seed=1, device="cpu"), other)
    simulator = demonstration(config)
    size = {"warmup_requests": 0, "episode_requests": STEPS + 1}
    decide, go_along = warm_start.asking(config, domain, setting, teacher, simulator, size)
    lanes = Demonstrations(simulator)
    outcomes = []
    for _ in range(STEPS):
        outcomes.append(lanes.follow(decide()).outcome.verdict)
        assert (go_along().outcome.verdict == outcomes[-1]).all()  # type: ignore[attr-defined]
    assert 0 < np.mean(outcomes) < 1


def test_agreement_rises_and_the_value_learns_and_all_is_logged(make: Make) -> None:
    config = make(warm_start={"policy": "mscl", "requests": 3_200, "epochs": 8, "learning_rate": 3e-3})
    result = train(config)
    metrics = open_store(config.execution.tracking_dir).find_run(result.run_id).metrics
    assert metrics["warm_start/agreement_after"] > max(0.7, metrics["warm_start/agreement_before"] + 0.1)
    assert metrics["warm_start/requests"] == 3_200
    assert metrics["warm_start/labelled"] + metrics["warm_start/skipped"] <= 3_200
    assert 0 < metrics["warm_start/service_blocking"] < 1
    assert result.timesteps == 128, "demonstrations are no steps of training"


def test_decisions_that_are_no_action_are_counted_and_skipped(make: Make) -> None:
    """As paths with their lowest start, most of what fits from above cannot be said."""
    taught = {"policy": "last-fit", "requests": 320, "epochs": 1}
    config = make(observation="unified", action="path", features="paths", warm_start=taught)
    metrics = open_store(config.execution.tracking_dir).find_run(train(config).run_id).metrics
    assert metrics["warm_start/skipped"] > metrics["warm_start/labelled"] > 0


def test_a_run_that_is_killed_in_its_warm_start_begins_it_again_and_ends_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(warm_start={"policy": "ksp-ff", "requests": 640, "epochs": 2})
    monkeypatch.setattr(warm_start, "BLOCK", 320)
    expected = train(config)
    learn, calls = warm_start.Student.learn, []

    def killed(self: Any, block: Any) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return learn(self, block)

    with monkeypatch.context() as patched:
        patched.setattr(warm_start.Student, "learn", killed)
        with pytest.raises(KeyboardInterrupt):
            train(config.model_copy(update={"execution": config.execution.model_copy(update={"run_name": "killed"})}))
    result = resume("killed", tracking_dir=config.execution.tracking_dir)
    assert result.weights_sha256 == expected.weights_sha256
    assert result.evaluation.tally.blocked_requests == expected.evaluation.tally.blocked_requests
    cold = train(make())
    assert cold.weights_sha256 != expected.weights_sha256


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        ({"warm_start": {"policy": "mslc"}}, "mscl"),
        ({"warm_start": {"policy": "mscl", "request": 5}}, "requests"),
    ],
)
def test_what_cannot_teach_is_refused_before_anything_is_written(
    make: Make, algorithm: dict[str, Any], message: str, tmp_path: Any
) -> None:
    with pytest.raises(FusionRLError, match=message):
        train(make(**algorithm))
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("algorithm", ["recurrent-ppo", "masked-dqn"])
def test_agents_with_a_memory_or_without_a_policy_network_have_no_warm_start(algorithm: str) -> None:
    with pytest.raises(ConfigError, match="warm_start"):
        load("deeprmsa-nsfnet", algorithm=algorithm, overrides={"algorithm.warm_start": {"policy": "mscl"}})


def test_a_warm_start_is_asked_for_by_its_policy_alone() -> None:
    found = load("deeprmsa-nsfnet", algorithm="maskable-ppo-candidates", overrides=["algorithm.warm_start.policy=mscl"])
    assert found.config.algorithm.model_dump()["warm_start"]["policy"] == "mscl"


@pytest.mark.slow
def test_a_score_that_evolution_learned_teaches_and_is_compared_as_rollouts_run_it(make: Make, tmp_path: Any) -> None:
    from fusion_rl.agents.catalog import make_agent
    from fusion_rl.envs.vector import OpticalVecEnv
    from fusion_rl.training.comparison import compare
    from fusion_rl.training.policies import as_policy

    config, evolving = (
        make(),
        load(make().model_dump(mode="json") | {"algorithm": {"name": "evolution", "score": "linear"}}),
    )
    env = OpticalVecEnv(make_simulator(evolving.config, prepare(config), 1, 1))
    agent = make_agent(evolving.config.algorithm, env, seed=1, device="cpu")
    teacher = as_policy("evolved", agent, evolving.config)
    assert teacher.in_rollouts is not None
    simulator = demonstration(config)
    decide, _ = warm_start.asking(config, domain_of(config), simulator.setting, teacher, simulator, {})
    heuristic, decided = teacher.in_rollouts(simulator.setting, 0), []
    rollout.run(
        simulator.setting, heuristic, requests=STEPS, lanes=1, seed=1, warmup_requests=0,
        on_served=lambda lane, _, done: decided.extend(zip(done.path.tolist(), done.start.tolist(), strict=True)),
    )  # fmt: skip
    lanes, served = Demonstrations(simulator), []
    for _ in range(STEPS):
        served.append(decide())
        lanes.follow(served[-1])
    assert [of_lanes[0] for of_lanes in served] == decided

    trained = train(evolving.config.model_copy(update={"execution": config.execution}))
    result = compare(config, ["ksp-ff", str(trained.checkpoint)], [20.0], share=None, requests=400, lanes=4)
    assert result.refusals == {}
    assert result.loads[20.0][1].refused == 0
