"""Heuristics by name."""

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.heuristics.entry import Heuristic
from fusion_rl.domains.optical.heuristics.exact_fit import exact_fit
from fusion_rl.domains.optical.heuristics.ff_ksp import ff_ksp
from fusion_rl.domains.optical.heuristics.ksp_bf import ksp_bf
from fusion_rl.domains.optical.heuristics.ksp_ff import ksp_ff
from fusion_rl.domains.optical.heuristics.last_fit import last_fit
from fusion_rl.domains.optical.heuristics.least_congested import least_congested
from fusion_rl.domains.optical.heuristics.most_used import most_used
from fusion_rl.domains.optical.heuristics.mscl import mscl, mscl_first_path, prepare
from fusion_rl.domains.optical.heuristics.random_path import random_path
from fusion_rl.domains.optical.heuristics.sap_ff import sap_ff
from fusion_rl.domains.optical.heuristics.sp_ff import sp_ff

HEURISTICS: Catalog[Heuristic] = Catalog("heuristic")
HEURISTICS.register("ksp-ff", Heuristic(ksp_ff))
HEURISTICS.register("ff-ksp", Heuristic(ff_ksp))
HEURISTICS.register("sp-ff", Heuristic(sp_ff))
HEURISTICS.register("ksp-bf", Heuristic(ksp_bf))
HEURISTICS.register("exact-fit", Heuristic(exact_fit))
HEURISTICS.register("last-fit", Heuristic(last_fit))
HEURISTICS.register("most-used", Heuristic(most_used))
HEURISTICS.register("sap-ff", Heuristic(sap_ff))
HEURISTICS.register("least-congested", Heuristic(least_congested))
HEURISTICS.register("random", Heuristic(random_path))
HEURISTICS.register("mscl", Heuristic(mscl, prepare))
HEURISTICS.register("mscl-first-path", Heuristic(mscl_first_path, prepare))
