"""Pictures of a study: which settings matter, what went with little blocking, and how the search came on.

They are Optuna's own (`optuna.visualization.matplotlib`), with our names on the axes.
"""

import warnings
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from fusion_rl.errors import StudyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ENOUGH = 4  # complete trials below which no importance can be told
_BLOCKING = "service blocking"


def importance_figure(study: Study) -> "Figure":
    """How much of what differs in blocking each setting accounts for, by functional ANOVA.

    F. Hutter, H. Hoos and K. Leyton-Brown, "An efficient approach for assessing hyperparameter importance", 2014.

    Raises:
        StudyError: fewer than four trials are complete, or all of them block alike.
    """
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _ENOUGH or len({_blocking(trial) for trial in complete}) < 2:
        raise StudyError(f"study {study.study_name}: importance needs {_ENOUGH} complete trials that differ")
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    with _quiet():
        axes = optuna.visualization.matplotlib.plot_param_importances(
            study, evaluator=evaluator, target=_target(study), target_name=_BLOCKING
        )
    return _figure(axes, "Which settings matter")


def parallel_figure(study: Study) -> "Figure":
    """Every complete trial as a line through the values of its settings, its colour the share of requests blocked."""
    _require_complete(study)
    with _quiet():
        axes = optuna.visualization.matplotlib.plot_parallel_coordinate(
            study, target=_target(study), target_name=_BLOCKING
        )
    return _figure(axes, "Settings and blocking, trial by trial")


def history_figure(study: Study) -> "Figure":
    """Blocking of the trials in their order, and the least so far."""
    _require_complete(study)
    with _quiet():
        axes = optuna.visualization.matplotlib.plot_optimization_history(
            study, target=_target(study), target_name=_BLOCKING
        )
    return _figure(axes, "How the search came on")


def progress_figure(study: Study) -> "Figure":
    """Blocking in between, of every trial, as far as it came: where trials were pruned."""
    _require_complete(study)
    with _quiet():
        axes = optuna.visualization.matplotlib.plot_intermediate_values(study)
    axes.set(xlabel="training step", ylabel=_BLOCKING)
    return _figure(axes, "Trials on their way")


def front_figure(study: Study) -> "Figure":
    """Blocking against seconds of training, where a study has both for objectives; nothing beats what is coloured.

    Raises:
        StudyError: it has one objective.
    """
    _require_complete(study)
    if len(study.directions) < 2:
        raise StudyError(f"study {study.study_name} has a single objective: there is no front of several")
    with _quiet():
        axes = optuna.visualization.matplotlib.plot_pareto_front(study, target_names=[_BLOCKING, "seconds of training"])
    return _figure(axes, "What blocking costs in time")


def _require_complete(study: Study) -> None:
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise StudyError(f"study {study.study_name} has no complete trial yet")


def _target(study: Study) -> Any:
    """What is shown of a trial: of several objectives, blocking."""
    return _blocking if len(study.directions) > 1 else (lambda trial: trial.value)


def _blocking(trial: FrozenTrial) -> float:
    return float(trial.user_attrs["blocking"])


def _figure(axes: "Axes", title: str) -> "Figure":
    figure: Figure = axes.get_figure()  # type: ignore[assignment]
    for each in figure.axes:  # Optuna's titles name the kind of plot
        each.set_title("")
    figure.suptitle(title, x=0.02, ha="left")
    figure.set_size_inches(9, 4.5)
    figure.tight_layout()
    plt.close(figure)  # a notebook would show it twice
    return figure


def _quiet() -> "warnings.catch_warnings[None]":
    """Without the remark that Optuna's figures are new."""
    return warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)
