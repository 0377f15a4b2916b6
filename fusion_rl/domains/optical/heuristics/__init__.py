"""Heuristics by name. Each is a kernel (world, lane, request, options) -> (path, start)."""

from collections.abc import Callable
from typing import Any

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.heuristics.ff_ksp import ff_ksp
from fusion_rl.domains.optical.heuristics.ksp_bf import ksp_bf
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.heuristics.least_congested import least_congested
from fusion_rl.domains.optical.heuristics.random_path import random_path
from fusion_rl.domains.optical.heuristics.sp_ff import sp_ff

Heuristic = Callable[..., Any]

HEURISTICS: Catalog[Heuristic] = Catalog("heuristic")
HEURISTICS.register("ksp-ff", ksp_ff)
HEURISTICS.register("ff-ksp", ff_ksp)
HEURISTICS.register("sp-ff", sp_ff)
HEURISTICS.register("ksp-bf", ksp_bf)
HEURISTICS.register("least-congested", least_congested)
HEURISTICS.register("random", random_path)
