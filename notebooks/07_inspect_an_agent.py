# %% [markdown]
# # Inspect an agent
#
# **Which paths and slots does an agent prefer, and where and why does it block?**
#
# Two agents with the same blocking can do very different things. Here an agent serves traffic that it has not seen,
# and a heuristic is asked at every request what it would have done *in the same network*. Change the next cell, and
# run all.

# %% tags=["parameters"]
policy = ""  # a checkpoint, or models:/NAME@ALIAS; empty: the newest registered model of the run store
rival = "ksp-ff"  # whom to hold it against: a heuristic, a checkpoint, or a model
requests = 20_000  # decisions to look at
warmup_requests = -1  # served before; -1: as the agent's scenario says
seed = 20_000  # of the traffic; agents are trained and judged on others
load_erlang = 0.0  # nominal; 0: as the agent was trained
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs

# %%
# %matplotlib inline
from fusion_rl.analysis.blocking import blocked_requests, causes_figure, in_the_way_map, pairs_figure
from fusion_rl.analysis.compare_models import choose_policies, experiment_of
from fusion_rl.analysis.decisions import agreement, differing, follow
from fusion_rl.analysis.preferences import choice_figure, preference_figure
from fusion_rl.analysis.runs import store_folder
from fusion_rl.envs.make import domain_of

# %%
store = store_folder(tracking_dir)
[agent] = choose_policies(store, [policy] if policy else [], 1)
config = experiment_of(agent, store, load_erlang)
prepared = domain_of(config).prepare(config)
{"agent": agent.name, "network": prepared.topology.name, "load_erlang": config.scenarios[0].load_erlang}

# %% [markdown]
# ## Against the rival, decision by decision

# %%
served = {"requests": requests, "seed": seed, "setting": prepared}
served["warmup_requests"] = warmup_requests if warmup_requests >= 0 else None
[other] = choose_policies(store, [rival], 1)
decided = follow(config, agent, [other], **served)
agreement(decided)

# %% [markdown]
# *same* is the share of requests for which both take the same path and the same slots, *same_path* the same path.
# *rival_serves* are requests that the agent blocked and the rival would have served; if there are many, the agent
# throws requests away.

# %%
preference_figure(decided)

# %% [markdown]
# **How to read it.** Left: how often each takes the first candidate path, the second, and so on. A heuristic that
# tries them in order has most on rank 0; an agent that goes elsewhere spares the links of the first paths. Right: the
# share of lightpaths that begin at a slot or below. A curve far above the other packs the lower end of the spectrum
# more tightly.

# %%
choice_figure(decided, other.name)

# %% [markdown]
# **How to read it.** A row is what the rival would do, a column what the agent does, in the same network. The
# diagonal is agreement; what lies right of it is where the agent takes a worse-ranked path on purpose. In the row
# *blocked* are requests that the agent serves and the rival would not; the column *blocked* is the reverse.

# %%
differing(decided, other.name, 12)

# %% [markdown]
# ## Where it blocks, and why
#
# Now the rival serves the same requests in a network of its own.

# %%
alone = follow(config, other, **served)
causes_figure(decided, alone)

# %% [markdown]
# **How to read it.** A bar is the share of requests blocked, and its parts say what was missing on the candidate path
# that came nearest. *continuity*: every link had a wide enough block, but not in the same slots. *fragmentation*:
# enough free slots on each link, on one of them in pieces. *full links*: too few free slots. *own choice*: a
# candidate path had room, and the policy did not take it: with a masked agent this is never seen. Continuity and
# fragmentation are what better decisions can mend; full links are what more spectrum can.

# %%
pairs_figure(decided, alone)

# %% [markdown]
# **How to read it.** Source by destination: how much of what each pair asks for is blocked, on one scale. Dark rows
# and columns are nodes that are hard to reach; a picture that is evener than the rival's treats pairs more alike.

# %%
in_the_way_map(decided)

# %% [markdown]
# **How to read it.** A link's colour is the share of the blocked requests that would have been served had this one
# link been idle. These links are the bottlenecks of *this* policy: a better one would keep them for those who have no
# other way.

# %%
blocked_requests(decided).head(12)

# %% [markdown]
# ## What to do next
#
# * Two models against each other: set `rival` to the other's address, or open `06_compare_models`.
# * See the very moments: `02_explore_a_network` with `policy` set to this agent shows every slot.
# * Another load: `-p load_erlang=210`. Agents that win at one load may lose at another.
