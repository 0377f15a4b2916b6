"""Scores by name: ways to weigh candidate decisions whose parameters are learned; the smallest score is served.

No score refuses a request that could be carried: it weighs the candidates on the first paths (15 for the cheap
scores, 10 for the others), and if none of those has room, those on the first later path that has.
"""

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.scores import cheap, known_holding, slot_capacity
from fusion_rl.domains.optical.scores.entry import Score, heuristic_of

__all__ = ["SCORES", "Score", "heuristic_of"]

SCORES: Catalog[Score] = Catalog("score")
SCORES.register("linear", Score(cheap.linear_parameters, cheap.prepare_linear, cheap.linear))
SCORES.register("mlp", Score(cheap.mlp_parameters, cheap.prepare_mlp, cheap.mlp))
SCORES.register("slot-capacity", Score(slot_capacity.parameters, slot_capacity.prepare, slot_capacity.slot_capacity))
SCORES.register(
    "slot-capacity-known-holding",
    Score(
        known_holding.parameters,
        known_holding.prepare,
        known_holding.slot_capacity_known_holding,
        known_holding=True,
    ),
)
