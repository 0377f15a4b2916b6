"""Published steady-state blocking beside ours, row by row of data/published.yaml.

A row passes where our mean is no further from the published one than both intervals together.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from fusion_rl.config import yaml_text
from fusion_rl.config.base import Settings
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.config.load import load
from fusion_rl.domains.optical import rollout
from fusion_rl.domains.optical.heuristics import HEURISTICS
from fusion_rl.domains.optical.metrics import Estimate
from fusion_rl.domains.optical.setting import Setting, prepare
from fusion_rl.errors import UnknownNameError
from fusion_rl.parity import candidates
from fusion_rl.parity.line import Line, Size, within

GROUP = "published blocking"
LANES = 20


class Block(Settings):
    """Figures of one source for one setting; the data file says what the fields mean, and which are judged."""

    source: str
    setting: str
    candidates: candidates.Source
    interval: str
    rounding: float
    not_comparable: str = ""
    remark: str = ""
    rows: tuple[tuple[str, int, Literal["km", "hops", "hops-per-se"], float, float, float], ...]


@dataclass(frozen=True)
class Published:
    """One published figure.

    Attributes:
        block: where it stands.
        heuristic, k_paths, path_order, load_erlang: what it holds for, beside the block's setting.
        blocking: service blocking in steady state.
        half_width: its interval.
    """

    block: Block
    heuristic: str
    k_paths: int
    path_order: str
    load_erlang: float
    blocking: float
    half_width: float

    @property
    def network(self) -> tuple[str, str, int, str]:
        """What the simulated network depends on: the rows that share it are simulated on one."""
        return self.block.setting, self.block.candidates, self.k_paths, self.path_order


def read() -> list[Published]:
    """Every published figure, in the order of the file."""
    file = resources.files("fusion_rl.parity") / "data" / "published.yaml"
    with resources.as_file(file) as path:
        blocks = TypeAdapter(tuple[Block, ...]).validate_python(yaml_text.read(path))
    return [Published(block, *row) for block in blocks for row in block.rows]


def chosen(figures: list[Published], size: Size) -> list[Published]:
    """Those of the settings asked for; all of them, or of each block, network and heuristic that at the highest load.

    Raises:
        UnknownNameError: nothing is published for a setting.
    """
    known = list(dict.fromkeys(figure.block.setting for figure in figures))
    for setting in size.settings:
        if setting not in known:
            raise UnknownNameError("setting", setting, known, "published figures")
    figures = [figure for figure in figures if not size.settings or figure.block.setting in size.settings]
    if size.every_load:
        return figures
    by_group: dict[object, Published] = {}
    for figure in figures:
        key = (figure.block.source, figure.network, figure.heuristic)
        if key not in by_group or figure.load_erlang > by_group[key].load_erlang:
            by_group[key] = figure
    return list(by_group.values())


def lines(size: Size) -> Iterator[Line]:
    """Each figure beside ours, on the candidate paths that it was published for."""
    figures = sorted(chosen(read(), size), key=lambda figure: figure.network)
    for _, group in groupby(figures, key=lambda figure: figure.network):
        of_network = list(group)
        setting = prepared(of_network[0], sorted({figure.load_erlang for figure in of_network}))

        @cache
        def blocking(heuristic: str, load_erlang: float, setting: Setting = setting) -> Estimate:
            return simulated(setting, heuristic, load_erlang, size)

        for figure in of_network:
            yield line(figure, blocking(figure.heuristic, figure.load_erlang), setting, size)


def prepared(figure: Published, loads_erlang: list[float]) -> Setting:
    """The setting that a figure holds for, with one scenario for each load."""
    config: ExperimentConfig = load(figure.block.setting).config
    network = config.network.model_copy(update={"k_paths": figure.k_paths, "path_order": figure.path_order})
    scenarios = [config.scenarios[0].model_copy(update={"load_erlang": load_erlang}) for load_erlang in loads_erlang]
    table = candidates.enumerated(network, figure.block.candidates)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "candidates.csv"
        candidates.write(table, file)
        return prepare(network.model_copy(update={"paths_file": str(file)}), scenarios)


def simulated(setting: Setting, heuristic: str, load_erlang: float, size: Size) -> Estimate:
    """Our service blocking at one of a setting's loads, after its warm-up."""
    loads = [scenario.load_erlang for scenario in setting.scenarios]
    served = rollout.run(
        setting,
        HEURISTICS[heuristic],
        requests=size.requests,
        lanes=LANES,
        seed=size.seed,
        scenario=loads.index(load_erlang),
    )
    return served.tally.service_blocking


def line(figure: Published, found: Estimate, setting: Setting, size: Size) -> Line:
    """The report's line of a figure."""
    theirs = figure.half_width + figure.block.rounding
    warmup = setting.scenarios[0].warmup_requests
    return within(
        group=GROUP,
        compared=f"{figure.heuristic} with {figure.block.source}",
        conditions=f"{figure.block.setting}, {figure.load_erlang:g} E, K={figure.k_paths} by {figure.path_order}, "
        f"candidates of {figure.block.candidates}, {size.requests:,} requests on {LANES} lanes after {warmup:,} each, "
        f"seed {size.seed}",
        expected=figure.blocking,
        expected_half_width=figure.half_width,
        found=found.mean,
        found_half_width=found.ci95,
        tolerance=theirs + found.ci95,
        tolerance_rests_on=f"their {figure.block.interval} + our 95 % half-width",
        not_comparable=figure.block.not_comparable,
        remark=figure.block.remark,
    )
