# %% [markdown]
# # Your own
#
# **How do I bring my own topology, reward, observation, heuristic and algorithm?**
#
# Each stands in a cell of its own, is registered under a name, and is then used like those that come with the
# package: in configurations, trainings, evaluations and this notebook's comparison. Replace any of them by yours.
# (Other notebooks call the package and define nothing; this one shows what you would write.)

# %% tags=["parameters"]
timesteps = 60_000  # requests decided in training
requests = 40_000  # counted in the comparison
load_erlang = 18.0  # nominal load of the traffic
seed = 1  # of training
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = []  # any other, as the command line's --set takes them

# %%
# %matplotlib inline
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from sb3_contrib import MaskablePPO

from fusion_rl.agents.own import register_algorithm
from fusion_rl.analysis.networks import topology_map
from fusion_rl.analysis.plots import blocking_figure
from fusion_rl.analysis.report import RunCard, comparison_table, progress_console
from fusion_rl.analysis.runs import comparison, store_folder
from fusion_rl.config.load import load
from fusion_rl.config.policy_gradient import MaskablePPOConfig
from fusion_rl.domains.optical import heuristics, observations, rewards
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap, demand, orchestrator, spectrum
from fusion_rl.envs.make import domain_of
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.run import train

# %% [markdown]
# ## A topology
#
# An edge list with lengths in km; GraphML, node-link JSON and SNDlib XML are read too. Each edge is listed once.

# %%
topology = store_folder(tracking_dir) / "own" / "ladder.csv"
topology.parent.mkdir(parents=True, exist_ok=True)
_ = topology.write_text(
    """# Two rings of three cities, joined by three long edges: made up for this notebook.
source,target,length_km
Aachen,Bonn,80
Bonn,Celle,350
Celle,Aachen,380
Dresden,Essen,520
Essen,Fulda,260
Fulda,Dresden,330
Aachen,Essen,130
Bonn,Fulda,210
Celle,Dresden,300
"""
)


# %% [markdown]
# ## A reward
#
# A function of what became of the requests of all lanes at once, arrays [B], so plain numpy is fast enough. Its
# parameters come from the configuration (`reward.parameters`).

# %%
@rewards.REWARDS.register("sparing", replace=True)
def sparing(config, world):
    """1 for a served request, less what it takes as a share of the most that one can take; -1 for a blocked one."""
    weight = config.parameters.get("weight", 0.5)
    most = world.max_width * world.max_hops

    def reward(outcome):
        served = outcome.verdict == orchestrator.ACCEPTED
        return np.where(served, 1.0 - weight * outcome.slot_hops / most, -1.0).astype(np.float32)

    return reward


# %% [markdown]
# ## An observation
#
# A kernel that fills one row of features for the request at hand: machine code, so it calls kernels alone. Here: the
# bit rate and, for each candidate path, its hops, the slots it takes, the share of free slots, and where the first
# block with room begins.

# %%
@kernel
def write_paths(world, lane, request, row):
    """Bit rate, and four features of each candidate path; -1 where there is no path or no room."""
    row[:] = -1.0
    row[0] = world.class_gbps[request.bandwidth_class] / world.max_gbps
    for rank in range(demand.routes_of(world, request.pair)):
        path, width = demand.on_route(world, lane, request, rank)
        row[1 + 4 * rank] = world.path_hops[path] / world.max_hops
        row[2 + 4 * rank] = width / world.max_width
        spectrum.find_free(world, lane, path)
        row[3 + 4 * rank] = bitmap.count(lane.free) / world.slots
        if width > 0:
            start = spectrum.first_fit(world, lane, path, width)
            row[4 + 4 * rank] = start / world.slots if start != spectrum.NOWHERE else -1.0


# %%
own_observation = observations.Observation(
    layout=lambda world: {"bit_rate": 1, "paths": 4 * world.max_paths},
    write=write_paths,
    as_dict=False,
    limits=lambda world: (-1.0, 1.0),
)
observations.OBSERVATIONS.register("four-a-path", own_observation, replace=True)
print(f"{len(observations.OBSERVATIONS)} observations: {', '.join(observations.OBSERVATIONS)}")


# %% [markdown]
# ## A heuristic
#
# A function (world, lane, request, options) -> (path, start). As a kernel it serves a million requests a second; the
# same in plain Python works too, a thousand times slower.

# %%
@kernel
def fewest_slot_hops(world, lane, request, options):
    """Of the candidate paths with room, the one on which the request takes the fewest slots in all, lowest start."""
    best, best_start, least = spectrum.NOWHERE, spectrum.NOWHERE, 1_000_000
    for path in range(world.path_first[request.pair], world.path_first[request.pair + 1]):
        width = demand.slots_needed(world, lane, request, path)
        if width > 0 and width * world.path_hops[path] < least:
            start = spectrum.first_fit(world, lane, path, width)
            if start != spectrum.NOWHERE:
                best, best_start, least = path, start, width * world.path_hops[path]
    return best, best_start


own_heuristic = heuristics.Heuristic(fewest_slot_hops)
heuristics.HEURISTICS.register("fewest-slot-hops", own_heuristic, replace=True)


# %% [markdown]
# ## An algorithm
#
# A class like those of Stable-Baselines3, and the model of its settings. This one is MaskablePPO that goes only part
# of the way of each update, after *Lookahead* (M. Zhang et al., NeurIPS 2019): its weights are the slow ones.

# %%
class LookaheadPPOConfig(MaskablePPOConfig):
    """Settings: those of MaskablePPO, and one more."""

    name: Literal["lookahead-ppo"] = "lookahead-ppo"
    share: float = Field(default=0.7, gt=0, le=1, description="how far of the way an update goes")


class LookaheadPPO(MaskablePPO):
    """MaskablePPO with slow weights."""

    def __init__(self, *given, share=0.7, **named):
        self.share = share
        super().__init__(*given, **named)

    def train(self):
        """One update of MaskablePPO, and part of the way back."""
        before = {name: weights.clone() for name, weights in self.policy.state_dict().items()}
        super().train()
        after = self.policy.state_dict()
        self.policy.load_state_dict({name: torch.lerp(before[name], after[name], self.share) for name in after})


# %%
register_algorithm(LookaheadPPOConfig, LookaheadPPO, masked=True)

# %% [markdown]
# ## All of it in one experiment
#
# Names and values are checked as always: a wrong one ends here, with the nearest right one.

# %%
experiment = {
    "name": "your-own",
    "network": {"topology": str(topology), "slots": 40, "k_paths": 3, "path_order": "km",
                "reach_table": [{"bits_per_s_per_hz": 4, "reach_km": 500}, {"bits_per_s_per_hz": 2}]},
    "scenarios": [{"name": "own", "load_erlang": load_erlang, "warmup_requests": 1_000,
                   "bandwidth": {"kind": "uniform-integers", "low_gbps": 50, "high_gbps": 400}}],
    "algorithm": {"name": "lookahead-ppo", "observation": "four-a-path", "share": 0.7, "n_steps": 64,
                  "batch_size": 256, "n_epochs": 4, "learning_rate": 0.001, "net_arch": [64, 64]},
    "reward": {"name": "sparing", "parameters": {"weight": 0.5}},
    "execution": {"timesteps": timesteps, "lanes": 16, "seed": seed, "eval_every": 0, "final_requests": requests,
                  "tracking_dir": str(store_folder(tracking_dir))},
}  # fmt: skip
config = load(experiment, overrides=settings).config
prepared = domain_of(config).prepare(config)
topology_map(prepared)

# %% [markdown]
# **How to read it.** Your network: lengths in km, and the colour of a link says how many pairs use it on their first
# candidate path.
#
# ## Trained and compared

# %%
result = train(config, console=progress_console())
RunCard(result, config)

# %%
own = evaluate(config, "fewest-slot-hops", requests=requests, setting=prepared)
print(f"fewest-slot-hops blocks {own.service_blocking}, {result.algorithm} {result.evaluation.service_blocking}")
blocking_figure([result.evaluation, own, *result.baselines.values()], agent=result.algorithm)

# %% [markdown]
# **How to read it.** One row a policy, the least blocking on top, your agent in red; `fewest-slot-hops` is your
# heuristic. All met the same requests on your network. Where the intervals overlap, look at the paired differences:

# %%
comparison_table(comparison(result), result.algorithm)

# %% [markdown]
# ## What to do next
#
# * Put each of them into a module of yours and import it where you use the package: a checkpoint of your algorithm, or
#   of an agent with your observation, is read only where they are registered.
# * Does the agent make sense? `07_inspect_an_agent`, with the checkpoint that the card names, once they are.
# * A reward that pays for what you do not want is found faster with `fusion-rl train`'s sanity checks than by training.
