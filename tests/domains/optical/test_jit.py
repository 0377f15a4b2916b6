"""What users compile is never taken from, or put into, the cache of this package's kernels."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import pytest

from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.jit import handing
from fusion_rl.domains.optical.pipelines import orchestrator
from fusion_rl.domains.optical.rollout import run
from fusion_rl.testing import tiny

POLICY = """
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.spectrum import first_fit

@kernel
def policy(world, lane, request, options):
    path = world.path_first[request.pair]{which}
    return path, first_fit(world, lane, path, world.path_width[path, request.bandwidth_class])
"""


def policy_of_a_user(which: str) -> Any:
    """A policy as an edited module of a user's has it: always under the same name."""
    module = ModuleType("my_policies")
    exec(POLICY.format(which=which), module.__dict__)
    return module.policy


def cached_rollouts() -> set[Path]:
    return set(Path(numba.config.CACHE_DIR).rglob("orchestrator.rollout-*"))


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_an_edited_policy_of_the_same_name_is_not_mistaken_for_the_old_one() -> None:
    setting = tiny.setting()
    before = cached_rollouts()
    blocked = {}
    for which in ("", " + 1"):
        policy = policy_of_a_user(which)
        blocked[which] = run(setting, Heuristic(policy), requests=2000, lanes=1).tally.blocked_requests
        assert handing(orchestrator.rollout, policy) is not orchestrator.rollout
    assert blocked[""] != blocked[" + 1"]
    assert cached_rollouts() == before


def test_kernels_of_the_package_are_handed_to_the_cached_ones() -> None:
    assert handing(orchestrator.rollout, ksp_ff) is orchestrator.rollout
