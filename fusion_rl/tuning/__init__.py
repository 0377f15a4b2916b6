"""Studies: what is searched, trials, workers, results. The one place that imports optuna."""
