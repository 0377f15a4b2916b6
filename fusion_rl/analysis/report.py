"""What a notebook shows of a run beside figures: a card, a table, and progress while it trains."""

import html
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.console import Console

from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.training.plots import ACCENT
from fusion_rl.training.result import RunResult

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

# JupyterLab passes over an output type that it does not know and shows the next best; whoever executes the
# notebook headless finds the run by it.
RUN_MIME = "application/vnd.fusion-rl.run+json"
# Names the terminal of whoever executes a notebook headless; empty where there is none.
TERMINAL_VARIABLE = "FUSION_RL_TERMINAL"

# of a frame of runs or models: what people compare stands at the left, where the window shows it
_SEEN_FIRST = (
    "name", "address", "aliases", "status", "service_blocking", "ci95", "ksp_ff_blocking", "load", "timesteps", "seed",
    "started", "created",
)  # fmt: skip
_HEAD_AT_THE_LEFT: Any = [{"selector": "th.col_heading", "props": "text-align: left"}]
_WHOLE = ("version", "timesteps", "seed", "parity_disagreements")
_HEADINGS = {
    "service_blocking": "service blocking",
    "ci95": "± 95 %",
    "ksp_ff_blocking": "ksp-ff",
    "bit_rate_blocking": "bit-rate blocking",
    "difference_to_agent": "more than the agent",
    "difference_ci95": "± 95 % (paired)",
    "requests_per_second": "requests/s",
}


@dataclass(frozen=True)
class RunCard:
    """A finished run, as the last line of a cell shows it. It also tells a headless executor which run it was."""

    result: RunResult
    config: ExperimentConfig

    @property
    def facts(self) -> dict[str, str]:
        """What is worth knowing at a glance."""
        result = self.result
        return {
            "run": f"{result.name} ({result.run_id})",
            "trained": f"{result.timesteps:,} requests at {result.steps_per_second:,.0f} a second",
            "checkpoint": str(result.checkpoint),
            "weights (SHA-256)": result.weights_sha256,
            "model": result.model,
            "parity": f"{result.parity_disagreements} requests decided differently by VecEnv, single env and replay",
        }

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        rows = "".join(
            f"<tr><th style='text-align:left'>{name}</th><td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self.facts.items()
        )
        folder = Path(self.config.execution.tracking_dir).absolute()
        return {
            "text/plain": "\n".join(f"{name}: {value}" for name, value in self.facts.items()),
            "text/html": f"<table>{rows}</table>",
            RUN_MIME: {"run_id": self.result.run_id, "tracking_dir": str(folder), "agent": self.result.algorithm},
        }


def comparison_table(compared: pd.DataFrame, agent: str) -> "Styler":
    """A comparison (see `runs.comparison`) as a table to read, with the agent's row brought out."""
    table = compared.rename(columns=_HEADINGS).rename_axis(index=None)
    numbers = dict.fromkeys(_HEADINGS.values(), "{:.5f}")
    formats: Any = {**numbers, "more than the agent": "{:+.5f}", "requests/s": "{:,.0f}"}
    own = pd.IndexSlice[[agent], :]
    return (
        table.style.format(formats, na_rep="")
        .set_properties(**{"text-align": "right"})
        .set_properties(subset=own, **{"color": ACCENT, "font-weight": "bold"})
        .map_index(lambda name: f"color: {ACCENT}" if name == agent else "", axis="index")
    )


def stored_table(stored: pd.DataFrame) -> "Styler":
    """Runs (`runs.runs_frame`) or models (`compare_models.models_frame`) as a table to read: a line each, nothing cut.

    All columns are there; those that people compare come first, and the long ids last.
    """
    table = stored.reset_index()
    whole = [name for name in _WHOLE if name in table]
    table[whole] = table[whole].apply(pd.to_numeric, errors="coerce").astype("Int64")
    first = [name for name in _SEEN_FIRST if name in table]
    last = [name for name in table if name not in (*first, "run_id")]
    table = table[[*first, *last, "run_id"]]
    numbers = [*whole, *(name for name in ("service_blocking", "ci95", "ksp_ff_blocking") if name in table)]
    formats: Any = dict.fromkeys(numbers, "{:.5f}") | dict.fromkeys(whole, "{:d}") | {"timesteps": "{:,d}"}
    formats |= {name: "{:%Y-%m-%d %H:%M}" for name in ("started", "created") if name in table}
    return (
        table.style.hide(axis="index")
        .format(formats, na_rep="")
        .format_index(lambda name: _HEADINGS.get(name, name.replace("_", " ")), axis="columns")
        .set_properties(**{"white-space": "nowrap", "text-align": "left"})
        .set_properties(subset=numbers, **{"text-align": "right"})
        .set_table_styles({name: _HEAD_AT_THE_LEFT for name in table if name not in numbers})
    )


def progress_console() -> Console:
    """Where training shows its progress: below the cell, or on the terminal that executes the notebook headless."""
    terminal = os.environ.get(TERMINAL_VARIABLE)
    if terminal is None:
        return Console()
    if not terminal:
        return Console(quiet=True, force_jupyter=False)
    # the console writes to it as long as it lives
    return Console(file=open(terminal, "w", encoding="utf-8"), force_terminal=True, force_jupyter=False)
