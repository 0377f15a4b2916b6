# %% [markdown]
# # Chains of trainings over scenarios
#
# **Does an agent that first learns on light traffic do better on heavy traffic, and does it hold for every seed?**
#
# A *batch* carries out many trainings from one plan. Here each seed gets a chain: one training for each load, each
# going on from the best checkpoint of the one before. The batch can be stopped and killed; run the notebook again, and
# what is done stays, and what was begun goes on from its checkpoint. Change the next cell, and run all.

# %% tags=["parameters"]
name = "light-to-heavy"  # of the batch; another plan needs another name
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file
execution = "quick"  # execution preset of each training: sanity, quick, production, long
loads_erlang = [190.0, 220.0, 250.0]  # nominal, one training each, in this order
seeds = [1, 2]  # a chain each
timesteps = 100_000  # requests decided in each training
processes = 1  # trainings at a time; each takes one core
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = {}  # any other of all trainings, setting: value

# %%
# %matplotlib inline
from fusion_rl.analysis.chains import scenario_curves_figure
from fusion_rl.analysis.lineage import lineage
from fusion_rl.analysis.report import progress_console
from fusion_rl.analysis.runs import store_folder
from fusion_rl.batch.progress import frame
from fusion_rl.batch.run import run_batch

# %% [markdown]
# ## The plan
#
# A step is one training times its grid. A step `after` another goes on from the best checkpoint of the other's run at
# the same point of the grid; what it does not say is as in the step before. The same values in a YAML file make
# `fusion-rl batch run FILE`, here or in a SLURM cluster. Anything unknown in it stops here, before a training begins.

# %%
common = {"execution": execution, "execution.timesteps": timesteps, "execution.register_model": False, **settings}
begin = {"experiment": experiment, "grid": {"execution.seed": seeds}}
steps = {
    f"load{load:g}": {
        **({"after": f"load{loads_erlang[position - 1]:g}"} if position else begin),
        "settings": {**(common if not position else {}), "scenarios.*.load_erlang": load},
    }
    for position, load in enumerate(loads_erlang)
}
plan = {"name": name, "tracking_dir": str(store_folder(tracking_dir)), "processes": processes, "steps": steps}
steps

# %% [markdown]
# ## Carry it out
#
# Every training is a process of its own. From another terminal, `fusion-rl batch status NAME` shows how it stands. In
# MLflow all runs stand under one, in the experiment named like the batch.

# %%
batch = run_batch(plan, go_on=True, console=progress_console())
jobs = frame(batch)
jobs[["state", "execution.seed", "steps", "service_blocking", "ci95", "attempts", "note"]]

# %% [markdown]
# ## Scenario by scenario

# %%
done = jobs[jobs["state"] == "done"]
scenario_curves_figure(batch.tracking_dir, list(done["run_id"]))

# %% [markdown]
# **How to read it.** One panel a load; a curve is one seed, evaluated on held-out traffic while it learned, and the
# bars are 95 % intervals. The panels follow each other in training: a curve begins where the chain had come to before.
# One that begins low in the second panel has brought something along from the first; one that begins high and falls had
# to learn anew. The broken line is KSP-FF on the longer traffic of the final comparison. Where the seeds' curves lie
# farther apart than their bars are long, two seeds are not enough for a claim.

# %% [markdown]
# ## Where a model comes from

# %%
lineage(batch.tracking_dir, done["run_id"].iloc[-1])

# %% [markdown]
# **How to read it.** One row a training, the first one first; `steps_in_all` are all requests that the model has
# learned from so far, and `went_on_from` is the checkpoint that it began with: the best one, not the last one.
#
# ## What to do next
#
# * Is the chain worth it? Add a step without `after`, at the last load and with as many steps as the whole chain.
# * In a cluster: the same plan with `executor: slurm`; jobs that are out of time save, and go back into the queue.
# * Go on with the model: `fusion-rl train --resume-from RUN` takes any run of the table.
