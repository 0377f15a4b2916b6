# %% [markdown]
# # Agents that win
#
# **Can an agent that trains for five minutes block less than the best heuristic known, and what does it do otherwise?**
#
# Minimum slot-capacity loss (`mscl`) puts each request where it spoils the fewest placements of later ones: the
# strongest heuristic here. It counts every width, every route and every link alike. `evolution` begins as `mscl` and
# learns what each should count. No gradient is taken: a generation of scores meets the same requests, and the next
# one is drawn around those that blocked least. Change the next cell, and run all.

# %% tags=["parameters"]
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file
algorithm = "evolution"  # evolution (weights of slot-capacity losses), evolution-linear (of cheap features)
k_paths = 50  # candidate paths of a pair
load_erlang = 230.0  # nominal, of the training and of the decisions that are looked at one by one
timesteps = 30_000_000  # requests that members of generations serve in training
lanes = 4  # independent networks in which each member serves
seed = 1  # of training
eval_every = 5_000_000  # requests between two points of the learning curve
eval_requests = 100_000  # counted for each point, over all lanes of the evaluation
rivals = ["mscl", "ksp-ff"]  # heuristics; ratios are to the first
loads_erlang = [190.0, 210.0, 230.0, 250.0]  # nominal, at which all are compared
requests = 400_000  # counted at each load, over all lanes
ablated = []  # groups of parameters that are put back, one at a time; empty: all
ablation_requests = 100_000  # counted for each of them
traffic_seed = 20_000  # of the traffic of all comparisons; training has others
decisions = 10_000  # looked at one by one
warmup_requests = -1  # served before these; -1: as the scenario says
request = -1  # to look at slot by slot; -1: where the choices cost other routes most differently
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = []  # any other, as the command line's --set takes them

# %%
# %matplotlib inline
from dataclasses import replace

from fusion_rl.analysis.blocking import causes_figure, in_the_way_map
from fusion_rl.analysis.choices import choices_figure, choices_map, clearest, described_choices, reasons_figure
from fusion_rl.analysis.compare_models import choose_policies, comparison_frame, published_frame
from fusion_rl.analysis.decisions import agreement, differing, follow
from fusion_rl.analysis.plots import comparison_chart, draw, learning_curve_figure
from fusion_rl.analysis.preferences import departures_figure, preference_figure
from fusion_rl.analysis.report import RunCard, progress_console
from fusion_rl.analysis.runs import store_folder
from fusion_rl.analysis.scores import parameters_figure
from fusion_rl.config.load import load
from fusion_rl.envs.make import domain_of
from fusion_rl.parity import published_agents
from fusion_rl.training.ablation import ablate, ablation_figure
from fusion_rl.training.again import train_or_resume
from fusion_rl.training.comparison import compare
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.learned_scores import learned_score

# %% [markdown]
# ## Train

# %%
store = store_folder(tracking_dir)
overrides = [
    f"network.k_paths={k_paths}",
    f"scenarios.*.load_erlang={load_erlang}",
    f"execution.timesteps={timesteps}",
    f"execution.lanes={lanes}",
    f"execution.eval_every={eval_every}",
    f"execution.eval_requests={eval_requests}",
    f"execution.seed={seed}",
    f"execution.tracking_dir='{store}'",
]
config = load(experiment, algorithm=algorithm, overrides=[*overrides, *settings]).config
prepared = domain_of(config).prepare(config)
conditions = domain_of(config).conditions(prepared, 0)
conditions

# %%
result = train_or_resume(config, console=progress_console())
agent = replace(choose_policies(store, [str(result.checkpoint)], 1)[0], name=result.algorithm)
RunCard(result, config)

# %% [markdown]
# ## How it passed the heuristics

# %%
sizes = {"requests": config.execution.eval_requests, "lanes": config.execution.eval_lanes}
heuristics = {name: evaluate(config, name, setting=prepared, **sizes) for name in rivals}
curve = result.learning_curve
learning_curve_figure(curve, heuristics, result.algorithm) if curve else "no evaluation before the end"

# %% [markdown]
# **How to read it.** A point is the mean of the generation so far, on held-out requests; broken lines are the
# heuristics on the very same requests. `evolution` began near the line of `mscl`. The band is the interval of the
# agent alone, wide because the traffic differs between lanes: by how much it is below `mscl` on the same traffic, the
# paired comparison tells.

# %% [markdown]
# ## Against the heuristics, at several loads
#
# Other traffic, more of it, and the same for all. The agent was trained at one load; at the others it decides with
# the same parameters.

# %%
known = {"references": published_agents.of(config), "seeds": [traffic_seed], "share": None}
met = compare(config, [rivals[0], agent, *rivals[1:]], loads_erlang, requests=requests, **known)
table = comparison_frame(met).style.format(precision=5).format("{:,.0f}", subset="requests_per_second")
table.format("{:.3f}", subset=["ratio", "ratio_ci95", "utilisation", "fragmentation"])

# %% [markdown]
# `difference` and `ratio` are to the first policy, lane by lane on the same requests: a `ratio` of 0.7 is three in ten
# blocked requests saved, told from chance where `ratio` + `ratio_ci95` is below 1. `fragmentation` is the mean over
# links of 1 - longest free block / free slots. No policy refused a request that it could have carried, unless
# `met.refusals` names it.

# %%
draw(comparison_chart(met.loads, met.references, agent.name))

# %% [markdown]
# **How to read it.** Lower is better; on a logarithmic axis equal ratios are equally far apart. Open marks are figures
# that others published of the same network and traffic, read from their papers: not on these requests, and not all
# counted alike. Estimates are of what any policy could reach. The table has their conditions.

# %%
published_frame(met).style.format(precision=4)

# %% [markdown]
# ## What it learned

# %%
learned = learned_score(agent)
parameters_figure(learned, conditions)

# %% [markdown]
# **How to read it.** A ring is where a parameter began, the bar goes to what it became. Of `evolution`: `width/e/m` is
# the logarithm of what a placement of m slots counts on routes that carry e bits/s/Hz, `link_width/m` what one counts
# on each link of the path; `hops` and `scarcity` raise the weight of long and of crowded routes, `load` that of full
# links; the others are costs of the path itself. A bar to the right makes candidates that have more of it less
# welcome. A long bar need not be worth much: the next picture tells what is.

# %%
of_each = {"groups": ablated, "seeds": [traffic_seed], "requests": ablation_requests}
worth = ablate(config, agent, [load_erlang], **of_each)
ablation_figure(worth)

# %% [markdown]
# **How to read it.** One group of parameters is put back to where learning began, the others stay: a mark is what the
# agent then blocks, as a multiple of what it blocks as it is, on the same requests, with its 95 % interval. Right of
# the line the group is worth having. *everything* is the score as learning began with it. Groups can stand in for each
# other, so that what they are worth does not add up.

# %% [markdown]
# ## Where it decides otherwise
#
# The agent serves, and the heuristics are asked at every request what they would do *in that very network*.

# %%
served = {"requests": decisions, "seed": traffic_seed, "setting": prepared}
served["warmup_requests"] = warmup_requests if warmup_requests >= 0 else None
decided = follow(config, agent, rivals, **served)
agreement(decided)

# %%
preference_figure(decided)

# %% [markdown]
# **How to read it.** Left: the share of requests on the first candidate path, the second, and so on. Right: the share
# of lightpaths that begin at a slot or below. First-fit crowds at the lower end; a policy that minds what it spoils
# uses both ends of the spectrum, and keeps narrow and wide requests apart without being told.

# %%
departures_figure(decided)

# %% [markdown]
# **How to read it.** Shares of all requests; what is decided alike is in no bar. Left and middle: where the agent takes
# another path, how much worse ranked and how much longer it is than theirs: bars right of 0 are detours, bars left of
# it are detours of theirs that it does without. Right: where it begins on another slot, how much higher.

# %% [markdown]
# ## Why

# %%
reasons_figure(decided)

# %% [markdown]
# **How to read it.** Of requests that are decided differently: what the agent's choice has more of (right) or less of
# (left) than theirs, in standard deviations of that feature, with 95 % intervals of the mean. A bar to the left at
# `route loss` says that it spoils fewer placements on other routes; to the right at `hops` or `spectrum used`, that
# it pays for this with a longer way. `mscl` has by its making the smallest unweighted `route loss`: what the agent
# gets for giving some of it up is what learning found.

# %%
differing(decided, rivals[0], 12)

# %% [markdown]
# ## One request, link by link and slot by slot

# %%
shown = request if request >= 0 else clearest(decided, rivals[0])
choices_map(decided, rivals[0], shown)

# %% [markdown]
# **How to read it.** Both would serve the request, on different paths. A longer path takes its slots on more links; a
# shorter one may be where everybody else has to pass.

# %%
choices_figure(decided, rivals[0], shown)

# %% [markdown]
# **How to read it.** One row a link of the path, one column a slot: in use (grey-blue) or free (pale); the block that
# each would take is in its colour, on links of both paths in both panels. The last row of a panel is what counts for
# a request along this path: dark where any of its links is in use. Numbers are the longest run of free slots before
# the decision. Look at what the block leaves beside it: a run that is filled to its end costs nobody anything, one
# that is cut in two costs all wide requests that would have fitted.

# %%
described_choices(decided, rivals[0], shown).style.format(precision=3)

# %%
other = rivals[-1]
choices_figure(decided, other, clearest(decided, other))

# %% [markdown]
# **How to read it.** The same against the last rival, for the request on which those two differ most.

# %% [markdown]
# ## Where it blocks, and why
#
# Now each heuristic serves the same requests in a network of its own.

# %%
alone = [follow(config, name, **served) for name in rivals]
causes_figure(decided, *alone)

# %% [markdown]
# **How to read it.** The share of requests that each blocks, by what was missing on the candidate path that came
# nearest. *continuity*: each link had a wide enough block, but not in the same slots. *fragmentation*: enough free
# slots on each link, on one of them in pieces. *full links*: too few free slots, which no policy could mend by then.
# What is left of the first two is what better decisions could still save.

# %%
in_the_way_map(decided)

# %% [markdown]
# **How to read it.** A link's colour is the share of the blocked requests that this one link alone kept out. A map
# that is even says that no bottleneck is left to route around; a dark link is one to spare, or to build.

# %% [markdown]
# ## What to do next
#
# * Was it luck? Other seeds: `fusion-rl notebook 09_agents_that_win -p seed=2`.
# * More traffic, and the load that each carries at 0.1 %: `fusion-rl compare --policies mscl,models:/NAME/VERSION`.
# * A score that is quicker to work out: `-p algorithm=evolution-linear`.
# * Your network: `-p experiment=mine.yaml`. Another agent of yours, looked at in the same way: `07_inspect_an_agent`.
