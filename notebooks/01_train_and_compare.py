# %% [markdown]
# # Train an agent and compare it with the heuristics
#
# **Can an agent that learned by trial beat the heuristics that network operators would use?**
#
# A request asks an elastic optical network for a connection: source, destination, bit rate. The agent chooses one of
# K candidate paths; the lowest free block of slots on it is taken (first-fit). A request that finds no block on the
# chosen path is *blocked*. The aim is to block as few as possible.
#
# The notebook trains one agent, then serves the **same held-out requests** with it and with the usual heuristics.
# Everything is recorded in MLflow. Change the next cell, and run all.

# %% tags=["parameters"]
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file
algorithm = "maskable-ppo"  # maskable-ppo, ppo, a2c, dqn, qr-dqn
load_erlang = 250.0  # nominal: arrival rate x mean holding time, before truncation
timesteps = 2_000_000  # requests decided in training
seed = 1  # of training; evaluation traffic has its own, execution.eval_seed
final_requests = 200_000  # requests counted in the final comparison
execution = "demo"  # execution preset: evaluations on the way, lanes, tracking
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = []  # any other, as the command line's --set takes them

# %%
# %matplotlib inline
from fusion_rl.analysis.plots import blocking_figure, learning_curve_figure, utilisation_map
from fusion_rl.analysis.report import RunCard, comparison_table, progress_console, stored_table
from fusion_rl.analysis.runs import comparison, runs_frame, standing, store_folder
from fusion_rl.config.load import load
from fusion_rl.envs.make import domain_of
from fusion_rl.training.again import train_or_resume
from fusion_rl.training.evaluate import evaluate

# %% [markdown]
# ## The experiment
#
# Five independent concerns make an experiment: network, scenarios (traffic), algorithm, reward, execution. The
# parameters above replace single values. An unknown name or value stops here, before anything is trained.

# %%
overrides = [
    f"scenarios.*.load_erlang={load_erlang}",
    f"execution.timesteps={timesteps}",
    f"execution.seed={seed}",
    f"execution.final_requests={final_requests}",
    f"execution.tracking_dir='{store_folder(tracking_dir)}'",
]
config = load(experiment, algorithm=algorithm, execution=execution, overrides=[*overrides, *settings]).config
prepared = domain_of(config).prepare(config)
domain_of(config).conditions(prepared, 0)

# %% [markdown]
# ## Train
#
# The heuristics are evaluated first, then the agent learns; it is evaluated on held-out traffic on the way and at
# the end. *Parity* is the number of requests that the trained agent decided differently through the batched
# environment, the single environment and a replay: anything but 0 would be a fault of the simulator.

# %%
result = train_or_resume(config, console=progress_console())
RunCard(result, config)

# %% [markdown]
# ## How it compares
#
# Least blocking first. Every policy met the same requests, so the difference to the agent is taken lane by lane and
# its interval is much narrower than those of the two policies alone. A positive difference: that policy blocks more
# than the agent. Where the difference is smaller than its interval, the two cannot be told apart.

# %%
compared = comparison(result)
comparison_table(compared, result.algorithm)

# %%
print(standing(compared, result.algorithm, "ksp-ff"))
print(standing(compared, result.algorithm, "sp-ff"))

# %%
blocking_figure([result.evaluation, *result.baselines.values()], agent=result.algorithm)

# %% [markdown]
# **How to read it.** One row a policy; a point is the share of requests blocked, and the bar through it the 95 %
# interval over independent lanes. Further left is better. Two policies whose bars do not touch differ; where bars
# overlap, the paired difference in the table decides. The lines under the title say what the figures hold for: the
# same network and load block several times more, or fewer, with other links, truncation, path order or warm-up.

# %% [markdown]
# ## How it learned

# %%
sizes = {"requests": config.execution.eval_requests, "lanes": config.execution.eval_lanes}
heuristics = {name: evaluate(config, name, setting=prepared, **sizes) for name in result.baselines}
curve = result.learning_curve
learning_curve_figure(curve, heuristics, result.algorithm) if curve else "no evaluation before the end"

# %% [markdown]
# **How to read it.** Each point is the agent as it stood, deciding greedily on held-out traffic; the band is the
# 95 % interval. Broken lines are the heuristics on the very same requests. They are fewer than in the comparison
# (`execution.eval_requests`), so the band is wider and all levels are shifted together: read the shape here, and take
# the verdict from the comparison. A curve still falling at its right end asks for more `timesteps`; one that is level
# has learned what this observation, reward and algorithm let it learn.

# %% [markdown]
# ## Where the spectrum goes

# %%
title = f"How full {result.algorithm} keeps each link"
agent = result.evaluation
utilisation_map(prepared, agent.link_utilisation, title, agent.conditions)

# %% [markdown]
# **How to read it.** A link's colour is the mean share of its slots in use: dark links are full, and requests that
# need them are blocked. With directed links an edge has two arcs, one each way; each arrow points where its traffic
# goes. A few dark links beside many pale ones mean that blocking comes from bottlenecks, which a policy can route
# around; a map that is dark all over means that the network is full, and no policy can do much.

# %% [markdown]
# ## All runs in this store

# %%
stored_table(runs_frame(config.execution.tracking_dir, config.execution.experiment_name or config.name).head(10))

# %% [markdown]
# ## What to do next
#
# * Browse the runs, with settings, curves, plots, checkpoint and this notebook: `fusion-rl ui`, in the repository.
# * Evaluate the agent anywhere else: `fusion-rl evaluate --policy CHECKPOINT` with the checkpoint above.
# * Is it luck? Run again with other seeds: `fusion-rl notebook 01_train_and_compare -p seed=2`.
# * Another load, more candidate paths: add `-p 'settings=[network.k_paths=50]' -p load_erlang=210`.
