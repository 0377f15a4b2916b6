# %% [markdown]
# # Compare models
#
# **Which of my models blocks less, at which load, and where do they decide differently?**
#
# The run store keeps every training and every registered model. Here some of them meet the same requests, at several
# loads, and the first of them is then looked at decision by decision. Change the next cell, and run all.

# %% tags=["parameters"]
models = []  # addresses as models:/NAME/1 or models:/NAME@champion, or checkpoints; empty: the newest two
heuristics = ["ksp-ff", "mscl"]  # that meet the same requests
loads_erlang = []  # nominal; empty: 80, 90, 100 and 110 percent of the load that the first model was trained at
requests = 40_000  # counted at each load, over all lanes
lanes = 16  # independent networks; the intervals are over them
seed = 20_000  # of the traffic; models are trained and judged on others
decisions = 5_000  # looked at one by one
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs

# %%
# %matplotlib inline
from fusion_rl.analysis.compare_models import (
    choose_policies,
    differences_figure,
    experiment_of,
    loads_around,
    models_frame,
    paired_differences,
)
from fusion_rl.analysis.decisions import agreement, differing, follow
from fusion_rl.analysis.plots import blocking_against_load, draw
from fusion_rl.analysis.preferences import choice_figure
from fusion_rl.analysis.report import stored_table
from fusion_rl.analysis.runs import runs_frame, store_folder
from fusion_rl.envs.make import domain_of
from fusion_rl.training.loads import over_loads

# %% [markdown]
# ## What there is

# %%
store = store_folder(tracking_dir)
stored_table(models_frame(store))

# %% [markdown]
# One row a version of a registered model, with the aliases that point at it. The blocking is that of its own
# training's final evaluation: rows of other networks, loads or traffic cannot be compared by it. The runs, newest
# first:

# %%
stored_table(runs_frame(store).head(10))

# %% [markdown]
# ## Blocking against load

# %%
chosen = choose_policies(store, models, 2)
config = experiment_of(chosen[0], store)
rivals = [*chosen[1:], *choose_policies(store, heuristics, len(heuristics))]
loads = loads_around(config, loads_erlang)
met = over_loads(config, [chosen[0], *rivals], loads, requests=requests, lanes=lanes, seeds=[seed])
draw(blocking_against_load(met, chosen[0].name))

# %% [markdown]
# **How to read it.** One curve a policy; bars are 95 % intervals over the lanes. All policies meet the same requests
# at a load, so curves move up and down together by chance: whether one is below another is told by the next picture.
# A model was trained at one load; how its curve runs away from there says how well what it learned carries over.

# %% [markdown]
# ## Paired differences

# %%
reference = chosen[0].name
paired_differences(met, reference)

# %%
differences_figure(met, reference)

# %% [markdown]
# **How to read it.** How much more each policy blocks than the first model, lane by lane on the same requests, with
# the 95 % interval of that difference. Above zero: the first model is better. Where a bar crosses zero, the two
# cannot be told apart at that load, whatever their curves look like.

# %% [markdown]
# ## Decisions that differ
#
# The first model serves, and every other policy is asked at each request what it would do in that very network.

# %%
prepared = domain_of(config).prepare(config)
decided = follow(config, chosen[0], rivals, requests=decisions, seed=seed, setting=prepared)
agreement(decided)

# %%
rival = rivals[0].name
choice_figure(decided, rival)

# %% [markdown]
# **How to read it.** A row is the rank of the candidate path that the rival would take, a column the one that the
# first model takes; the diagonal is agreement. Two models that block alike and agree on little have found different
# ways; that agree on nearly all, the same one.

# %%
differing(decided, rival, 12)

# %% [markdown]
# ## What to do next
#
# * Give the better one its alias, if it is better beyond the interval on held-out traffic: `fusion-rl models promote`.
# * Why it blocks where it does: `07_inspect_an_agent`.
# * The same in the browser: `fusion-rl ui`, choose runs, *Compare*.
