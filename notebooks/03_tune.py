# %% [markdown]
# # Tune an agent
#
# **Which settings let an agent block less, and which of them matter?**
#
# A *study* tries an experiment with many settings, learns from each *trial* which to try next, and ends trials early
# that fall behind. This notebook runs a small one, shows what mattered, and trains the best trial on. The same study
# as a file, for many workers and machines, is `studies/NAME/study.yaml` with `fusion-rl study run NAME`.

# %% tags=["parameters"]
study = "notebook_tune"  # name of the study: running the notebook again goes on with it
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file
search = ["algorithm.learning_rate", "algorithm.gamma", "algorithm.n_epochs"]  # with the range beside each setting
sampler = "tpe"  # how settings are proposed: tpe, gp, cmaes, nsga2, random
pruner = "median"  # how trials are ended early: asha, hyperband, median, none
trials = 12  # in all
timesteps = 40_960  # requests decided in the training of each trial
workers = 1  # processes; each uses one core
more_timesteps = 81_920  # requests for which the best trial is trained on afterwards
storage = ""  # URL of the database of studies; empty: studies/studies.db
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = {}  # other settings of every trial: setting -> value

# %%
# %matplotlib inline
from fusion_rl.analysis.report import RunCard, comparison_table, progress_console
from fusion_rl.analysis.runs import comparison, standing, store_folder
from fusion_rl.config.load import load
from fusion_rl.training.run import train
from fusion_rl.tuning.definition import make_definition
from fusion_rl.tuning.plots import history_figure, importance_figure, parallel_figure, progress_figure
from fusion_rl.tuning.results import best, frame
from fusion_rl.tuning.run import run_study
from fusion_rl.tuning.storage import open_begun

# %% [markdown]
# ## The study
#
# Everything is checked before the first trial: an unknown setting, an empty range or values that are not allowed
# together stop here. The first trial is the experiment as it stands, so that the best one can be held against it.

# %%
definition = make_definition(
    {
        "name": study,
        "question": "Which settings let the agent block least?",
        "experiment": experiment,
        "overrides": {"execution.eval_every": max(1, 2 * timesteps // 5), "execution.eval_requests": 8000, **settings},
        "search": search,
        "sampler": sampler,
        "pruner": pruner,
        "budget": {"trials": trials, "timesteps": timesteps},
    }
)
folder = store_folder(tracking_dir)
found = run_study(
    definition, workers=workers, storage=storage or None, tracking_dir=folder, console=progress_console()
)
begun = open_begun(study, storage or None)

# %%
frame(found).set_index("number")[["state", "blocking", "ci95", "seconds", *search]]

# %% [markdown]
# `ci95` is the half-width of the 95 % interval of a trial's blocking over the lanes of its traffic. All trials meet the
# same requests, and the best of many is partly the luckiest: judge it on other traffic before you believe its value.

# %% [markdown]
# ## What mattered

# %%
importance_figure(begun)

# %% [markdown]
# **How to read it.** The share of the differences in blocking that each setting accounts for, among the complete
# trials; the bars add up to 1. A long bar: set this one with care. A short one: leave it where it is. From a dozen
# trials the order is a hint; from fifty it is a finding.

# %%
parallel_figure(begun)

# %% [markdown]
# **How to read it.** One line a complete trial, from its blocking through the values of its settings. Follow the dark
# lines, which block least: where they run together, the search has found a region; where they spread, the setting
# hardly matters or is not settled yet. Dark lines at the end of an axis ask for a wider range.

# %% [markdown]
# ## How the search came on

# %%
history_figure(begun)

# %% [markdown]
# **How to read it.** Points are complete trials in their order; the line is the least blocking so far. A line that has
# been level for long: more trials of this kind will hardly help. One that still falls asks for more `trials`; running
# the notebook again with a greater number goes on with the same study.

# %%
progress_figure(begun)

# %% [markdown]
# **How to read it.** A trial's blocking on the way; single points and short lines are trials that were pruned. Were
# lines crossing where trials are pruned, the pruner would throw good ones away: a later first evaluation
# (`execution.eval_every`) or no pruner is then better.

# %% [markdown]
# ## Train the best trial on
#
# Its checkpoint is the beginning of a new run, with its settings, for `more_timesteps` more requests.

# %%
[top] = best(begun, str(folder))
changes = {"execution.timesteps": more_timesteps, "execution.run_name": f"{study} trial {top.trial.number} on"}
config = load(str(top.config), overrides=changes).config
result = train(config, console=progress_console(), resume_from=str(top.checkpoint))
RunCard(result, config)

# %%
compared = comparison(result)
print(standing(compared, result.algorithm, "ksp-ff"))
comparison_table(compared, result.algorithm)

# %% [markdown]
# ## What to do next
#
# * The same from the command line: `fusion-rl study status NAME`, `study best NAME`, `study export NAME`.
# * More trials, or more workers: `fusion-rl study resume NAME --trials 50 --workers 4`; other machines join with the
#   same command and a `--storage` that all of them reach.
# * Elsewhere: `fusion-rl train --algorithm study:NAME` takes the best settings, `--resume-from study:NAME` its weights.
# * In MLflow (`fusion-rl ui`), the study's run holds its trials: tick them, and compare them in parallel coordinates.
