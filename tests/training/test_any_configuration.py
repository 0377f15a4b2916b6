"""Whatever a configuration says, a training either runs or is refused with one clear error."""

import functools
import warnings
from collections import Counter
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.load import load
from fusion_rl.domains.optical import domain
from fusion_rl.errors import FusionRLError
from fusion_rl.testing import tiny
from fusion_rl.tracking.mlflow_run import MlflowRunLog
from fusion_rl.tracking.mlflow_store import open_store
from fusion_rl.training import agreement, plots
from fusion_rl.training.run import train
from tests.agents.worlds import settings_of

STEPS = 200
Tree = dict[str, Any]


def optional(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[Tree]:
    """Some of these settings, mostly few."""
    return st.fixed_dictionaries({}, optional=values)


SCHEDULES = st.sampled_from(
    [
        {"kind": "linear", "start": 0.001, "end": 0.0001},
        {"kind": "cosine", "start": 0.001, "end": 0.0},
        {"kind": "exponential", "start": 0.001, "decay_rate": 0.5, "floor": 0.0001},
        0.0003,
    ]
)
ALGORITHMS = st.tuples(
    st.sampled_from(list(ALGORITHM_MODELS)),
    optional(
        observation=st.sampled_from(["deeprmsa", "unified", "obs_1", "obs_4", "obs_8", "graph"]),
        action=st.sampled_from(["path", "path-block:2", "path-start", "path-start:4"]),
    ),
    optional(
        learning_rate=SCHEDULES,
        gamma=st.sampled_from([0.0, 0.9, 1.0]),
        features=st.sampled_from(["mlp", "paths", "graph"]),
        activation=st.sampled_from(["relu", "elu"]),
        ent_coef=st.sampled_from([0.0, 0.01]),
        n_steps=st.sampled_from([8, 16]),
        batch_size=st.sampled_from([4, 8]),
        buffer_size=st.sampled_from([100, 1000]),
        target_kl=st.sampled_from([0.01, 0.1]),
        confidence=st.sampled_from([0.0, 2.0]),
        step_size=st.sampled_from([None, 0.1]),
    ),
)
PLAIN_NETWORKS = optional(
    links=st.sampled_from(["directed", "shared"]),
    slots=st.integers(6, 24),
    guard_slots=st.integers(0, 2),
    k_paths=st.integers(2, 4),
    path_order=st.sampled_from(["km", "hops", "hops-per-se"]),
)
RULES = st.one_of(
    st.just({}),
    st.sampled_from(
        [
            {"grooming": {}},
            {"grooming": {"max_parts": 3}, "slicing": {"max_segments": 3}},
            {"slicing": {"split": "greedy"}},
            {"protection": "1+1"},
            {"format_choice": "by-action"},
        ]
    ),
)
SCENARIOS = st.lists(
    optional(
        load_erlang=st.sampled_from([3.0, 10.0, 60.0]),
        arrivals=st.sampled_from([{"kind": "on-off", "mean_on_time": 5.0, "mean_off_time": 5.0}, {"kind": "poisson"}]),
        holding=st.sampled_from([{"kind": "deterministic"}, {"kind": "log-normal", "sigma": 1.0}]),
        requests_per_episode=st.sampled_from([7, 30, 1000]),
        warmup_requests=st.sampled_from([0, 11]),
        seed=st.integers(0, 9),
    ),
    min_size=1,
    max_size=3,
)
EXECUTIONS = optional(
    lanes=st.sampled_from([2, 4, 8]),
    eval_every=st.sampled_from([50, 120]),
    checkpoint_every=st.sampled_from([0, 64]),
    checkpoint_regular_every=st.sampled_from([0, 100]),
    checkpoint_replay_buffer=st.booleans(),
    early_stopping=st.sampled_from([None, {"patience": 1}]),
    sanity_checks=st.booleans(),
    seed=st.integers(0, 3),
    tensorboard=st.booleans(),
    final_loads=st.sampled_from([[], [5.0, 10.0]]),
)
REWARDS = optional(
    success=st.sampled_from([0.5, 1.0, 10.0]),
    block=st.sampled_from([-1.0, 0.0]),
    bandwidth_weighted=st.booleans(),
    efficiency_weight=st.sampled_from([0.0, 0.5]),
)
WRONG = st.sampled_from(
    [None, True, "many", "", -1, 0, 1, 2, 0.5, -0.5, 1e-12, float("nan"), float("inf"), [], [1, 2], {}, {"kind": "x"}]
)
FIXED = {"timesteps", "tracking_dir", "eval_requests", "eval_lanes", "final_requests", "final_lanes", "topology"}


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values, and of what holds them."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [] if not path or path[-1] in FIXED else [path]
    return found + [leaf for key, value in inner for leaf in leaves(value, (*path, key))]


@st.composite
def configurations(draw: st.DrawFn, *, with_rules: bool) -> tuple[Tree, str]:
    """An experiment as YAML would hold it, and what was done to it: mostly nothing."""
    (name, seen, more), lists = draw(ALGORITHMS), draw(SCENARIOS)
    model = ALGORITHM_MODELS[name]
    algorithm = {
        **settings_of(name).model_dump(mode="json"),
        **{k: v for k, v in more.items() if k in model.model_fields},
    }
    if name == "evolution":
        algorithm |= {"score": "linear", "population": 4, "requests": 20, "warmup_requests": 10}
    if model.model_fields["observation"].default == "deeprmsa" or draw(st.booleans()):
        algorithm |= seen
    base = tiny.SCENARIO.model_dump(mode="json")
    network = {**tiny.NETWORK.model_dump(mode="json"), **draw(PLAIN_NETWORKS), **(draw(RULES) if with_rules else {})}
    tree: Tree = {
        "network": network,
        "scenarios": [{**base, "name": f"s{number}", **one} for number, one in enumerate(lists)],
        "algorithm": algorithm,
        "reward": draw(REWARDS),
        "execution": draw(EXECUTIONS),
    }
    tree = deepcopy(tree)  # what was drawn is shared by all draws
    done = [_mutate(tree, draw) for _ in range(draw(st.sampled_from([0, 0, 1, 2])))]
    sizes = {"eval_requests": 60, "eval_lanes": 2, "final_requests": 60, "final_lanes": 2, "progress": False}
    if isinstance(tree.get("execution"), dict):
        tree["execution"] |= {"timesteps": STEPS, **sizes}
    return tree, "; ".join(done)


def _mutate(tree: Tree, draw: st.DrawFn) -> str:
    places = leaves(tree)
    *way, last = draw(st.sampled_from(places))
    holder = functools.reduce(lambda inner, key: inner[key], way, tree)
    match draw(st.sampled_from(["wrong", "wrong", "number", "missing", "extra"])):
        case "wrong":
            holder[last] = deepcopy(draw(WRONG))
        case "number":
            before = holder[last]
            if isinstance(before, int | float) and not isinstance(before, bool):
                holder[last] = draw(st.sampled_from([before + 1, before * 2, before / 2, -before, str(before)]))
        case "missing":
            del holder[last]
            return f"without {[*way, last]}"
        case "extra":
            target = holder[last] if isinstance(holder[last], dict) else holder
            if isinstance(target, dict):
                target[draw(st.sampled_from(["lane", "learningrate", "x", "k_paths"]))] = deepcopy(draw(WRONG))
            return f"more in {[*way, last]}"
    return f"{[*way, last]} = {holder[last]!r}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        path = tmp_path_factory.mktemp("store")
        open_store(path)
    return path


def outcome(tree: Tree, folder: Path) -> str:
    """`trained`, or the line that refused it; any other exception is a bug."""
    execution = tree.get("execution")
    if isinstance(execution, dict):
        execution["tracking_dir"] = str(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            done = train(load(tree).config)
    except FusionRLError as error:
        line = str(error)
        assert line.strip()
        assert "\n" not in line
        return line
    assert done.timesteps >= STEPS or done.stopped_early is not None
    return "trained"


@pytest.fixture(autouse=True)
def _less_around_learning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One baseline, a short parity, no plots, no model: what surrounds learning has its own tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(domain, "BASELINES", ("ksp-ff",))
    monkeypatch.setattr(agreement, "disagreements", functools.partial(agreement.disagreements, requests=30))
    monkeypatch.setattr(plots, "log_run_figures", lambda *_: None)
    monkeypatch.setattr(MlflowRunLog, "log_model", lambda *_, **__: "models:/none/1")


FAST = settings(
    phases=(Phase.generate,),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@settings(FAST, max_examples=15, derandomize=True)
@given(drawn=configurations(with_rules=False))
def test_a_configuration_trains_or_is_refused_with_one_line(drawn: tuple[Tree, str], folder: Path) -> None:
    outcome(drawn[0], folder)


@pytest.mark.slow
def test_three_hundred_configurations_train_or_are_refused_with_one_line(folder: Path) -> None:
    found: Counter[str] = Counter()
    broken = []

    @settings(FAST, max_examples=300)
    @given(drawn=configurations(with_rules=True))
    def each(drawn: tuple[Tree, str]) -> None:
        tree, mutation = drawn
        try:
            line = outcome(tree, folder)
        except Exception as error:
            broken.append(f"{type(error).__name__}: {error} [{mutation}] {tree}")
            line = "broken"
        found[line if line in ("trained", "broken") else "refused"] += 1
        if line != "trained":
            print(f"{line[:200]}   [{mutation}]")

    each()
    print(dict(found))
    assert broken == []
    assert found["trained"] >= 150, "most are to be trained"
