"""What users compile is never taken from, or put into, the cache of this package's kernels; kernels called directly."""

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.jit import direct, handing
from fusion_rl.domains.optical.pipelines import orchestrator
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.rollout import run
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.testing import tiny

POLICY = """
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.spectrum import first_fit

@kernel
def policy(world, lane, request, options):
    path = world.path_first[request.pair]{which}
    return path, first_fit(world, lane, path, world.path_width[path, request.bandwidth_class])
"""


def policy_of_a_user(namespace: dict[str, Any], which: str) -> Any:
    """A policy as an edited cell of a notebook has it: always under the same name, in the same place."""
    exec(POLICY.format(which=which), namespace)
    return namespace["policy"]


def plain_policy(world: World, lane: Lane, request: Request, options: int) -> tuple[int, int]:
    """KSP-FF in plain Python, as somebody may write it who has never heard of kernels."""
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = world.path_width[path, request.bandwidth_class]
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
        in_use = np.unpackbits(lane.occupied[links].view(np.uint8), axis=1, bitorder="little").any(axis=0)
        for start in range(world.slots - width + 1) if width > 0 else ():
            if not in_use[start : start + width].any():
                return path, start
    return -1, -1


def cached_rollouts() -> set[Path]:
    return set(Path(numba.config.CACHE_DIR).rglob("orchestrator.rollout-*"))


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_an_edited_policy_of_the_same_name_is_not_mistaken_for_the_old_one() -> None:
    setting = tiny.setting()
    namespace = {"__name__": "__main__"}
    before = cached_rollouts()
    blocked = {}
    for which in ("", " + 1"):
        policy = policy_of_a_user(namespace, which)
        blocked[which] = run(setting, Heuristic(policy), requests=2000, lanes=1).tally.blocked_requests
        assert handing(orchestrator.rollout, policy) is not orchestrator.rollout
    assert policy_of_a_user(namespace, "").py_func.__qualname__ == policy.py_func.__qualname__
    assert blocked[""] != blocked[" + 1"]
    assert cached_rollouts() == before


def test_kernels_of_the_package_are_handed_to_the_cached_ones() -> None:
    assert handing(orchestrator.rollout, ksp_ff) is orchestrator.rollout


def test_a_policy_in_plain_python_serves_as_the_kernel_does() -> None:
    setting = tiny.setting()
    plain, compiled = (
        run(setting, policy, requests=300, lanes=2, warmup_requests=20).tally for policy in (plain_policy, ksp_ff)
    )
    assert plain.blocked_requests > 0
    np.testing.assert_array_equal(plain.blocked, compiled.blocked)


@numba.njit
def total(pair: Any, weight: Any) -> Any:
    return (pair[0].sum() + pair[1][0]) * weight


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_a_kernel_called_directly_enters_its_code_at_once_for_the_same_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called, pair = direct(total), (np.arange(4.0), np.array([10]))
    assert called(pair, 2) == 32
    monkeypatch.setattr(called, "_dispatcher", None)
    pair[1][0] = 20
    assert called(pair, 2) == 52


def test_a_kernel_called_directly_looks_at_objects_that_are_new() -> None:
    called = direct(total)
    for first, weight in ((np.arange(4.0), 2), (np.arange(4), 2), (np.arange(8.0)[::2], 2), (np.arange(4.0), 0.5)):
        pair = (first, np.array([10]))
        assert called(pair, weight) == called(pair, weight) == (first.sum() + 10) * weight
