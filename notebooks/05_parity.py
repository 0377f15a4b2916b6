# %% [markdown]
# # Does the simulator agree with everybody else's?
#
# **Are our figures the network's, or our program's?**
#
# Simulators of "the same" benchmark have been up to twelve times apart. So this one is compared with whatever there is:
# with itself by other routes, with public simulators on their own random numbers, with published figures, with theory.
# Change the next cell, and run all. The full report takes a few minutes.

# %% tags=["parameters"]
checks = ["decisions", "streams", "published", "analytic"]  # parts of the report
requests = 1_000_000  # simulated for each published figure, over all lanes
analytic_requests = 400_000  # simulated for each formula
decisions = 20_000  # compared one by one for each heuristic
settings = []  # experiment presets whose published figures are compared; empty: all
every_load = True  # all published loads; False: of each group the highest
seed = 1  # of our own traffic
tracking_dir = "mlruns"  # run store; relative to the repository, wherever the notebook runs

# %%
# %matplotlib inline
from fusion_rl.analysis.runs import store_folder
from fusion_rl.parity import exact, report
from fusion_rl.parity.figures import blocking_course_figure, published_figure, report_table
from fusion_rl.parity.line import Size

# %% [markdown]
# ## The report
#
# | check | what is compared | tolerance |
# | --- | --- | --- |
# | decisions | every heuristic with its replay; both environments with the plain simulation | none |
# | streams | two public simulators, on their own random streams | none |
# | published | steady-state blocking that others published | both intervals |
# | analytic | one link with Erlang B and Kaufman-Roberts | twice our interval |
#
# It is logged as a run: how many lines came to what, the figures of every line, the table, the first plot.

# %%
size = Size(requests, analytic_requests, decisions, every_load, tuple(settings), seed)
made = report.run(size, checks, store_folder(tracking_dir))
print(made.counts)
print("passed" if made.passed else "failed", f"- run {made.run_id}")

# %%
report_table(made.lines)

# %% [markdown]
# **How to read it.** One row a comparison: what the other side says, what we say, how far they may be apart, and the
# verdict. *Failed* rows are in colour, and say what is known of them, and do not pass for that. *Not comparable* rows
# are right on both sides, of things that are knowingly not the same: the last column says why.

# %% [markdown]
# ## Published figures

# %%
published_figure(made.lines)

# %% [markdown]
# **How to read it.** Left: each point is one published figure and ours for the same network, traffic, candidate paths
# and heuristic, each with its interval; on the line they are equal. Right: the same, as a share of what they may differ
# by; within the grey band a row passes. Points that scatter evenly about the line are chance. Points of one source that
# lie all on one side are a difference in the definitions, even where each of them passes.

# %% [markdown]
# ## Request for request

# %%
courses = list(exact.courses())
blocking_course_figure(courses)

# %% [markdown]
# **How to read it.** Each curve is the share of requests that we blocked so far, on the very requests that the other
# simulator drew. The dashed line and the dot are where that simulator ended. The curve has to run into the dot exactly;
# one decision that differs would already show as another last digit in the table. The rise at the left is the network
# filling up: FUSION counts from the empty network, so its figure is less than the steady state.

# %% [markdown]
# ## What to do next
#
# * The same from the command line, with exit code 1 if a row fails: `fusion-rl parity report --mlflow`.
# * Other loads, seeds, cores and bit rates: `fusion-rl parity fusion --help`, `fusion-rl parity optical-rl-gym --help`.
# * Browse the run: `fusion-rl ui`, in the repository.
