"""Observations by name: what an agent is shown of a request and of the network it arrives at."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.actions import codec_of
from fusion_rl.domains.optical.observations import candidates, deeprmsa, graph, legacy, spectrum, unified
from fusion_rl.domains.optical.world import World


def nothing(world: World) -> None:
    """For observations that look at the network alone."""


@dataclass(frozen=True)
class Observation:
    """A row of float32 features for each request.

    Attributes:
        layout: world -> {part: number of features}, in the order of the row.
        write: kernel (world, lane, request, row) that fills the row; (world, lane, request, memory, row) where there
            is a `prepare`.
        as_dict: whether agents see a dict of the parts rather than the row.
        limits: world -> (lowest, highest) value of any feature.
        prepare: world -> memory: tables and room to work in, made once for lanes that take turns.
        known_holding: None: it does not depend on the action codec; else it shows the codec's candidates, with the
            request's holding time or without.
    """

    layout: Callable[[World], dict[str, int]]
    write: Callable[..., Any]
    as_dict: bool
    limits: Callable[[World], tuple[float, float]]
    prepare: Callable[[World], Any] = nothing
    known_holding: bool | None = None


def observation_of(name: str, action: str) -> Observation:
    """An observation by name, for agents whose actions an action codec numbers, as "candidates:64".

    What shows candidates shows those of the codec, or, where the codec has none, as many as "candidates" has.

    Raises:
        UnknownNameError, ConfigError: there is no such observation or codec.
    """
    observation, codec = OBSERVATIONS[name], codec_of(action)
    if observation.known_holding is None or codec.every_start is None:
        return observation
    return _of_candidates(codec.parameter, codec.every_start, observation.known_holding)


def _of_candidates(most: int, every_start: bool, known_holding: bool) -> Observation:
    return Observation(
        candidates.layout_of(most, known_holding),
        candidates.write,
        as_dict=True,
        limits=candidates.limits,
        prepare=candidates.prepare_of(every_start, known_holding),
        known_holding=known_holding,
    )


OBSERVATIONS: Catalog[Observation] = Catalog("observation")
OBSERVATIONS.register("deeprmsa", Observation(deeprmsa.layout, deeprmsa.write, as_dict=False, limits=deeprmsa.limits))
OBSERVATIONS.register("unified", Observation(unified.layout, unified.write, as_dict=True, limits=unified.limits))
OBSERVATIONS.register("graph", Observation(graph.layout, graph.write, as_dict=True, limits=graph.limits))
OBSERVATIONS.register("spectrum", Observation(spectrum.layout, spectrum.write, as_dict=True, limits=spectrum.limits))
OBSERVATIONS.register(
    "spectrum-known-holding",
    Observation(
        spectrum.layout_known_holding,
        spectrum.write_known_holding,
        as_dict=True,
        limits=spectrum.limits_known_holding,
    ),
)
for _name, _write in legacy.WRITE.items():
    OBSERVATIONS.register(_name, Observation(legacy.layout_of(_name), _write, as_dict=True, limits=legacy.limits))
for _name, _known in (("candidates", False), ("candidates-known-holding", True)):
    OBSERVATIONS.register(_name, _of_candidates(codec_of("candidates").parameter, False, _known))
