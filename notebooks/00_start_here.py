# %% [markdown]
# # Start here
#
# **What does the workbench do, and where do its results go?**
#
# Five minutes: one network, one heuristic, one tiny training, one look at where the run went. Requests for
# connections arrive at an optical network; a policy gives each of them a path and neighbouring free slots on all
# links of the path, or the request is *blocked*. Fewer blocked requests are better. Run all cells.

# %% tags=["parameters"]
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file
heuristic = "ksp-ff"  # shown on the map: any of `fusion-rl evaluate --help`
requests = 40_000  # counted in each comparison
timesteps = 30_000  # requests decided in training: a first taste, too few for a good agent
seed = 1  # of training
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs
settings = []  # any other, as the command line's --set takes them

# %%
# %matplotlib inline
from fusion_rl.analysis.networks import network_table
from fusion_rl.analysis.plots import blocking_figure, utilisation_map
from fusion_rl.analysis.report import RunCard, comparison_table, progress_console, stored_table
from fusion_rl.analysis.runs import comparison, runs_frame, standing, store_folder
from fusion_rl.config.load import load
from fusion_rl.envs.make import domain_of
from fusion_rl.training.evaluate import evaluate
from fusion_rl.training.run import train

# %% [markdown]
# ## One network
#
# An experiment is five independent settings: network, scenarios (traffic), algorithm, reward, execution. A preset
# names them; single values can be replaced.

# %%
overrides = [
    f"execution.timesteps={timesteps}",
    f"execution.seed={seed}",
    f"execution.final_requests={requests}",
    "execution.eval_every=0",
    f"execution.tracking_dir='{store_folder(tracking_dir)}'",
]
config = load(experiment, overrides=[*overrides, *settings]).config
prepared = domain_of(config).prepare(config)
network_table(prepared)

# %% [markdown]
# ## One heuristic

# %%
served = evaluate(config, heuristic, requests=requests, setting=prepared)
print(f"{heuristic} blocks {served.service_blocking} of the requests, {served.requests_per_second:,.0f} a second")
utilisation_map(prepared, served.link_utilisation, f"How full {heuristic} keeps each link", served.conditions)

# %% [markdown]
# **How to read it.** An arrow is a link, its colour the mean share of its slots in use. Nothing is full on average,
# and yet requests are blocked: a request needs the *same neighbouring* slots free on every link of its path, at the
# moment when it arrives. The lines under the title are the conditions without which a blocking figure means nothing.

# %% [markdown]
# ## One tiny training
#
# The heuristics are evaluated first, then an agent learns by trial, and both are compared on the same held-out
# requests.

# %%
result = train(config, console=progress_console())
RunCard(result, config)

# %%
compared = comparison(result)
comparison_table(compared, result.algorithm)

# %%
print(standing(compared, result.algorithm, heuristic))
blocking_figure([result.evaluation, *result.baselines.values()], agent=result.algorithm)

# %% [markdown]
# **How to read it.** One row a policy, the least blocking on top; the bar is the 95 % interval. After so few steps
# the agent should beat the random choice and lose to the good heuristics; `01_train_and_compare` trains one that does
# better. The sentence above the picture is the honest verdict: it rests on the paired difference, lane by lane.

# %% [markdown]
# ## Where the run went

# %%
stored_table(runs_frame(config.execution.tracking_dir, config.execution.experiment_name or config.name).head(5))

# %% [markdown]
# Settings, provenance, learning curve, pictures, checkpoints and the model are in the run store, in MLflow's form:
# `fusion-rl ui` opens it. The card above has the run's id, and the path of its checkpoint.
#
# ## What to open next
#
# | question | notebook |
# | --- | --- |
# | Can an agent beat the heuristics? | `01_train_and_compare` |
# | What is there to decide, and how does the spectrum fill? | `02_explore_a_network` |
# | Which settings learn best? | `03_tune` |
# | One model, many scenarios, one after the other? | `04_multi_scenario_batches` |
# | Do our figures agree with everybody else's? | `05_parity` |
# | Which of my models is better, and where do they differ? | `06_compare_models` |
# | What does an agent prefer, and why does it block? | `07_inspect_an_agent` |
# | Can an agent beat the best heuristic, and how? | `09_agents_that_win` |
# | How do I bring my own network, reward, observation, heuristic, algorithm? | `08_your_own` |
