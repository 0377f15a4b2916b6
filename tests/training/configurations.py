"""What Hypothesis draws of all concerns of an experiment, and does to it: wrong values, too little, too much."""

import functools
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.testing import tiny
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
        learning_rate=SCHEDULES,
        gamma=st.sampled_from([0.0, 0.9, 1.0]),
        features=st.sampled_from(["mlp", "paths", "graph", "candidates"]),
        activation=st.sampled_from(["relu", "elu"]),
        net_arch=st.sampled_from([[], [8, 8]]),
        ent_coef=st.sampled_from([0.0, 0.01, {"kind": "linear", "start": 0.01, "end": 0.0}]),
        clip_range=st.sampled_from([0.1, {"kind": "constant", "value": 0.3}]),
        exploration=st.sampled_from([0.0, 1.0, {"kind": "linear", "start": 1.0, "end": 0.0}]),
        n_steps=st.sampled_from([8, 16]),
        batch_size=st.sampled_from([4, 8]),
        buffer_size=st.sampled_from([100, 1000]),
        target_kl=st.sampled_from([0.01, 0.1]),
        confidence=st.sampled_from([0.0, 2.0]),
        step_size=st.sampled_from([None, 0.1]),
        congestion_levels=st.sampled_from([1, 5]),
        warm_start=st.sampled_from([None, {"policy": "ksp-ff", "requests": 60, "epochs": 1, "batch_size": 16}]),
    ),
)
# each pair is a kernel of its own, which takes seconds to compile
SEEN = st.sampled_from(
    [
        {},
        {"observation": "unified"},
        {"observation": "obs_1"},
        {"observation": "obs_8"},
        {"observation": "graph"},
        {"observation": "spectrum", "action": "path-start"},
        {"observation": "unified", "action": "path-block:2"},
        {"action": "path-start:4"},
        {"action": "path-modulation"},
    ]
)
CANDIDATES = st.sampled_from(
    [
        {"observation": "candidates", "action": "candidates:64"},
        {"observation": "candidates-known-holding", "action": "candidates:64"},
        {"observation": "candidates", "action": "candidates:6"},
        {"action": "candidates-all:9"},
    ]
)
PLAIN_NETWORKS = optional(
    links=st.sampled_from(["directed", "shared"]),
    slots=st.integers(6, 24),
    guard_slots=st.integers(0, 2),
    k_paths=st.integers(2, 4),
    path_order=st.sampled_from(["km", "hops", "hops-per-se"]),
    restoration=st.sampled_from(["none", "candidate-paths"]),
)
_SNR = [
    {"name": "near", "bits_per_s_per_hz": 2.0, "reach_km": 500.0, "required_snr_db": 12.0},
    {"name": "far", "bits_per_s_per_hz": 1.0, "required_snr_db": 9.0},
]
RULES: st.SearchStrategy[Tree] = st.one_of(
    st.just({}),
    st.sampled_from(
        [
            {"grooming": {}},
            {"grooming": {"max_parts": 3}, "slicing": {"max_segments": 3}},
            {"grooming": {"preference": "by-action"}, "format_choice": "by-action"},
            {"slicing": {"split": "greedy"}},
            {"protection": "1+1"},
            {"format_choice": "by-action"},
            {"reach_table": _SNR, "transmission": {"margin_db": 1.0}, "format_choice": "by-snr"},
            {"reach_table": _SNR, "transmission": {"check_running": False}},
            {"reach_table": None},
        ]
    ),
)
SLOT_WIDTHS = {"kind": "slots", "widths_slots": [1, 3], "weights": [2, 1]}
HOLDINGS: st.SearchStrategy[Tree] = st.sampled_from(
    [
        {},
        {"holding": {"kind": "deterministic"}},
        {"holding": {"kind": "log-normal", "sigma": 1.0}},
        {"holding_truncation": "redraw-at-2x-mean"},
    ]
)
SCENARIOS = st.tuples(
    HOLDINGS,
    optional(
        load_erlang=st.sampled_from([3.0, 10.0, 60.0]),
        arrivals=st.sampled_from(
            [
                "poisson",
                {"kind": "on-off", "mean_on_time": 5.0, "mean_off_time": 5.0},
                {"kind": "sinusoidal", "amplitude": 0.5, "period": 50.0},
                {"kind": "piecewise", "period": 20.0, "steps": [[0.0, 1.0], [10.0, 3.0]]},
            ]
        ),
        bandwidth=st.sampled_from([{"kind": "uniform-integers", "low_gbps": 20, "high_gbps": 60}, SLOT_WIDTHS]),
        pairs=st.sampled_from(
            [
                {"kind": "node-weights", "weights": {"1": 1.0, "2": 2.0, "3": 0.0, "4": 1.0}},
                {"kind": "gravity", "weights": {"1": 1.0, "2": 2.0, "3": 1.0, "4": 1.0}, "distance_exponent": 2.0},
            ]
        ),
        failures=st.sampled_from(
            [
                {"kind": "random", "mean_time_between": 200.0, "mean_time_to_repair": 20.0},
                {"kind": "scheduled", "events": [{"source": "1", "target": "3", "at": 5.0, "repair_after": 9.0}]},
            ]
        ),
        requests_per_episode=st.sampled_from([7, 30, 1000]),
        warmup_requests=st.sampled_from([0, 11]),
        seed=st.integers(0, 9),
    ),
).map(lambda drawn: {**drawn[0], **drawn[1]})
EXECUTIONS = optional(
    lanes=st.sampled_from([2, 4, 8]),
    eval_every=st.sampled_from([50, 120]),
    checkpoint_every=st.sampled_from([0, 64]),
    checkpoint_keep=st.sampled_from([1, 3]),
    checkpoint_regular_every=st.sampled_from([0, 100]),
    checkpoint_replay_buffer=st.booleans(),
    early_stopping=st.sampled_from([None, {"patience": 1}]),
    seed=st.integers(0, 3),
    device=st.sampled_from(["cpu", "auto"]),
    tensorboard=st.booleans(),
    final_loads=st.sampled_from([[], [5.0, 10.0]]),
    callbacks=st.just(["tests.training.test_told:Counting"]),
    run_name=st.sampled_from(["mine", "a/b"]),
    model_name=st.just("tiny"),
    register_model=st.booleans(),
)
REWARDS = optional(
    success=st.sampled_from([0.5, 1.0, 10.0]),
    block=st.sampled_from([-1.0, 0.0]),
    bandwidth_weighted=st.booleans(),
    efficiency_weight=st.sampled_from([0.0, 0.5]),
    grooming_bonus=st.just(0.5),
    slicing_penalty=st.just(0.5),
)
WRONG = st.sampled_from(
    [None, True, "many", "", -1, 0, 1, 2, 0.5, -0.5, 1e-12, float("nan"), float("inf"), [], [1, 2], {}, {"kind": "x"}]
)
SIZES = {
    "timesteps": STEPS, "eval_requests": 60, "eval_lanes": 2, "final_requests": 60, "final_lanes": 2,
    "parity_requests": 30, "progress": False,
}  # fmt: skip


def leaves(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values, and of what holds them."""
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    found = [path] if path else []
    return found + [leaf for key, value in inner for leaf in leaves(value, (*path, key))]


@st.composite
def configurations(draw: st.DrawFn, *, with_rules: bool) -> tuple[Tree, str]:
    """An experiment as YAML would hold it, and what was done to it: to most of them one thing."""
    (name, more), lists = draw(ALGORITHMS), draw(st.lists(SCENARIOS, min_size=1, max_size=3))
    rules = draw(RULES) if with_rules else {}
    model = ALGORITHM_MODELS[name]
    algorithm = {
        **settings_of(name).model_dump(mode="json"),
        **{k: v for k, v in more.items() if k in model.model_fields},
    }
    if name == "evolution":
        algorithm |= {"score": "linear", "population": 4, "requests": 20, "warmup_requests": 10}
    elif algorithm.get("features") == "candidates":
        algorithm |= draw(CANDIDATES)
    elif rules:
        algorithm |= {"action": draw(st.sampled_from(["path", "path-modulation"]))}
    elif model.model_fields["observation"].default == "deeprmsa" or draw(st.booleans()):
        algorithm |= draw(SEEN)
    base = tiny.SCENARIO.model_dump(mode="json")
    network = {**tiny.NETWORK.model_dump(mode="json"), **draw(PLAIN_NETWORKS), **rules}
    if network["reach_table"] is None:
        lists = [{**one, "bandwidth": SLOT_WIDTHS} for one in lists]
    tree: Tree = {
        "network": network,
        "scenarios": [{**base, "name": f"s{number}", **one} for number, one in enumerate(lists)],
        "algorithm": algorithm,
        "reward": draw(REWARDS),
        "execution": {**draw(EXECUTIONS), **SIZES, "sanity_checks": draw(st.sampled_from([False, False, True]))},
    }
    tree = deepcopy(tree)  # what was drawn is shared by all draws
    done = [_mutate(tree, draw) for _ in range(draw(st.sampled_from([0, 1, 1, 2])))]
    execution = tree.setdefault("execution", {})
    if isinstance(execution, dict):  # what is missing there would be the default: hours of it
        tree["execution"] = {**SIZES, **execution}
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
            target = holder[last] if isinstance(holder[last], dict) and draw(st.booleans()) else holder
            if isinstance(target, dict):
                target[draw(st.sampled_from(["lane", "learningrate", "x", "k_paths"]))] = deepcopy(draw(WRONG))
            return f"more in {[*way, last]}"
    return f"{[*way, last]} = {holder[last]!r}"
