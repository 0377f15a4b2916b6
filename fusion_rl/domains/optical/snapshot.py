"""The state of a simulator's lanes as plain data, and back: a training that is resumed goes on in the same networks.

What an object keeps is told by what it is: arrays, numbers, random generators, named tuples of arrays, and the
streams of requests with what these hold. The network and the laws of traffic are not kept: they come from the
configuration, from which the simulator that is restored is made.
"""

from typing import Any

import numpy as np

from fusion_rl.domains.optical.arrivals import Bursts
from fusion_rl.domains.optical.failures import FailureStream
from fusion_rl.domains.optical.simulator import OpticalSimulator
from fusion_rl.domains.optical.traces import TraceStream
from fusion_rl.domains.optical.traffic import Stream
from fusion_rl.errors import SimulationError

Kept = dict[str, Any]  # of arrays, numbers, None, lists and dicts of these

_LIVE = (Stream, TraceStream, Bursts)  # what changes while requests are drawn, beside arrays and numbers


def snapshot(simulator: OpticalSimulator) -> Kept:
    """Everything about the lanes that serving requests changes; copies."""
    which = [simulator.scenario_of(b) for b in range(simulator.num_lanes)]
    return {"models": which, "simulator": _keep(simulator)}


def restore(simulator: OpticalSimulator, kept: Kept) -> None:
    """Put the lanes of a simulator of the same configuration back to where `snapshot` found them.

    Raises:
        SimulationError: it has another number of lanes.
    """
    lanes = kept["simulator"]["num_lanes"]
    if lanes != simulator.num_lanes:
        raise SimulationError(f"the state of {lanes} lanes cannot be restored to {simulator.num_lanes}")
    simulator._streams = [
        None
        if stream is None
        else simulator._models[s].stream(0, b, 0)  # a fresh one, to be put to where the other was
        for b, (s, stream) in enumerate(zip(kept["models"], kept["simulator"]["_streams"], strict=True))
    ]
    _put_back(simulator, kept["simulator"])


def _keep(thing: Any) -> Kept:
    found = {name: _kept(value) for name, value in vars(thing).items()}
    return {name: value for name, value in found.items() if value is not None}


def _kept(value: Any) -> Any:
    """A value as plain data; None where it is nothing that changes."""
    match value:
        case np.ndarray():
            return value.copy()
        case np.generic():
            return value.item()
        case bool() | int() | float():
            return value
        case np.random.Generator():
            return value.bit_generator.state
        case FailureStream():
            return value.state()
        case tuple() if hasattr(value, "_asdict"):
            parts = {name: _kept(part) for name, part in value._asdict().items()}
            return {name: part for name, part in parts.items() if part is not None} or None
        case list() if any(isinstance(entry, _LIVE) for entry in value):
            return [_kept(entry) for entry in value]
        case _:
            return _keep(value) if isinstance(value, _LIVE) else None


def _put_back(thing: Any, kept: Kept) -> None:
    for name, saved in kept.items():
        setattr(thing, name, _restored(getattr(thing, name), saved))


def _restored(current: Any, saved: Any) -> Any:
    """What takes the place of the current value; generators and streams are set and stay."""
    match current:
        case np.random.Generator():
            current.bit_generator.state = saved
            return current
        case FailureStream():
            current.set_state(saved)
            return current
        case tuple() if hasattr(current, "_replace"):
            return current._replace(**{name: _restored(getattr(current, name), part) for name, part in saved.items()})
        case list():
            return [_restored(entry, kept) for entry, kept in zip(current, saved, strict=True)]
        case _ if isinstance(current, _LIVE):
            _put_back(current, saved)
            return current
        case _:
            return saved.copy() if isinstance(saved, np.ndarray) else saved
