"""Profiles: two ways to train, each a few settings that are worked out from what the experiment says.

| profile | lanes | scenarios | mode where none is chosen | for |
| --- | --- | --- | --- | --- |
| local | 1 | the first, unless all are asked for | quick | seeing that it works, and watching it |
| server | as many as the algorithm wants, and one for each scenario at least | all | production | results |
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import gcd
from typing import Any

from fusion_rl.catalog import Catalog
from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.config.execution import ExecutionConfig
from fusion_rl.config.policy_gradient import PPOFamily, TRPOConfig


@dataclass(frozen=True)
class Profile:
    """A way to train.

    Attributes:
        mode: execution preset that it stands for where none is chosen.
        log_file: progress goes to a file, not to the console.
        first_scenario: leave out all scenarios but the first.
        lanes: (lanes so far, number of scenarios) -> lanes.
    """

    mode: str
    log_file: bool
    first_scenario: bool
    lanes: Callable[[int, int], int]

    def values(self, tree: Mapping[str, Any], all_scenarios: bool) -> dict[str, Any]:
        """What the profile sets in an experiment whose plain values are given."""
        scenarios = tree.get("scenarios", [])
        alone = self.first_scenario and not all_scenarios and isinstance(scenarios, list)
        count = 1 if alone or not isinstance(scenarios, list) else len(scenarios)
        asked = tree.get("execution", {}).get("lanes", ExecutionConfig.model_fields["lanes"].default)
        lanes = (
            self.lanes(asked, count) if isinstance(asked, int) and asked > 0 else asked
        )  # what is wrong is told later
        found: dict[str, Any] = {"execution": {"lanes": lanes}}
        if alone:
            found["scenarios"] = scenarios[:1]
        batch_size = _batch_size(tree.get("algorithm", {}), lanes)
        return found if batch_size is None else found | {"algorithm": {"batch_size": batch_size}}


def _batch_size(algorithm: Mapping[str, Any], lanes: Any) -> int | None:
    """The largest part of the minibatch that divides what is collected on these lanes; None: it does as it is."""
    model = ALGORITHM_MODELS.get(str(algorithm.get("name")))
    if model is None or not issubclass(model, PPOFamily | TRPOConfig):
        return None
    n_steps, batch_size = (algorithm.get(key, model.model_fields[key].default) for key in ("n_steps", "batch_size"))
    numbers = (n_steps, batch_size, lanes)
    if not all(isinstance(number, int) and number > 0 for number in numbers) or n_steps * lanes % batch_size == 0:
        return None
    return gcd(n_steps * lanes, batch_size)


PROFILES: Catalog[Profile] = Catalog("profile")
PROFILES.register("local", Profile("quick", log_file=False, first_scenario=True, lanes=lambda _lanes, _scenarios: 1))
# a multiple of the lanes that the algorithm was tuned with keeps its minibatches whole
PROFILES.register(
    "server",
    Profile("production", log_file=True, first_scenario=False, lanes=lambda lanes, count: lanes * -(-count // lanes)),
)
