# %% [markdown]
# # Explore a network
#
# **What is there to decide, and what does the spectrum look like while it fills?**
#
# Before an agent is trained it is worth an hour to look at what it will be trained on: the topology, the candidate
# paths between which it chooses, the traffic, and the slots of every link, request by request. Change the next cell,
# and run all.

# %% tags=["parameters"]
experiment = "deeprmsa-nsfnet"  # experiment preset, or a YAML file; its network and its traffic are shown
source = "1"  # node from which candidate paths are shown
destination = "14"  # node to which
policy = "ksp-ff"  # who fills the spectrum: a heuristic, a checkpoint, or models:/NAME@ALIAS
requests = 600  # after each of these the spectrum is shown
warmup_requests = 0  # served before; 0: begin with an idle network
traffic_requests = 20_000  # of which the traffic's statistics are taken
seed = 10_000  # of the traffic
tracking_dir = "mlruns"  # run store, for policies from it; relative to the repository
settings = []  # any other, as the command line's --set takes them

# %%
# %matplotlib inline
from fusion_rl.analysis.networks import (
    candidate_paths,
    candidate_paths_map,
    network_table,
    topology_map,
    traffic_figure,
)
from fusion_rl.analysis.occupancy import blocked_table, browse, film, occupancy_figure
from fusion_rl.analysis.runs import store_folder
from fusion_rl.config.load import load
from fusion_rl.envs.make import domain_of

# %%
overrides = [f"execution.tracking_dir='{store_folder(tracking_dir)}'", *settings]
config = load(experiment, overrides=overrides).config
prepared = domain_of(config).prepare(config)
network_table(prepared)

# %% [markdown]
# ## The topology

# %%
topology_map(prepared)

# %% [markdown]
# **How to read it.** Numbers on the edges are their lengths in km. The colour of a link is the share of all pairs of
# nodes whose first candidate path runs over it. A dark link is one that everybody wants first: with a policy that
# always takes the first path, it is full before the others. What a good policy has to gain is in the pale ones.

# %% [markdown]
# ## The candidate paths of a pair
#
# A policy chooses among these and no others. Their order is part of the benchmark (`network.path_order`): heuristics
# try them from the top.

# %%
candidate_paths(prepared, source, destination)

# %%
candidate_paths_map(prepared, source, destination)

# %% [markdown]
# **How to read it.** One line a candidate path; paths that share a link run side by side. Paths that have all their
# links apart are real alternatives; where all share one link, that link decides, whatever the policy. In the table,
# a path over a longer way may carry fewer bits/s in each Hz, and then takes more slots *on each* of its links.

# %% [markdown]
# ## The traffic

# %%
traffic_figure(prepared, traffic_requests, seed=seed)

# %% [markdown]
# **How to read it.** Top left: services that would run if nothing were blocked. They rise from the idle network to
# the offered load (the broken line) and swing about it; whoever counts from the first request counts the rise too,
# and gets less blocking than there is. Top right: holding times, with their mean. Below: how often each bit rate is
# asked for, and each pair of nodes. Uneven colours of few requests are chance; a pattern of rows and columns is not.

# %% [markdown]
# ## The spectrum, request by request

# %%
shown = film(config, policy, requests=requests, warmup_requests=warmup_requests, seed=seed, setting=prepared)
browse(shown)

# %% [markdown]
# Move the slider, press play, or go to the next request that is blocked. (The picture changes while the notebook
# runs; on its stored page it stands still.) Here is one moment to keep: the first blocked request, or the last one.

# %%
moment = shown.blocked[0] if shown.blocked else requests - 1
occupancy_figure(shown, moment)

# %% [markdown]
# **How to read it.** One row a link, one column a slot; the two directions of an edge are neighbours. Each service is
# a block of one colour, in the same columns on every link of its path. The slots that the request took are red, and
# so are the names of its links; where it was blocked, the names of all links that its candidate paths need. A request
# needs neighbouring slots that are free on *all* links of a path. Look for links with enough white in all, but in
# pieces (fragmentation), or in other columns than the next link has (no continuity): that is how a network blocks
# with half of its spectrum free.

# %%
blocked_table(shown)

# %% [markdown]
# ## What to do next
#
# * Another network: `fusion-rl topologies` and `fusion-rl config presets` list them; change `experiment`.
# * How another policy fills the same network: `policy = "mscl"`, or the address of a model of yours.
# * Which paths and slots an agent prefers, and why it blocks: `07_inspect_an_agent`.
