"""Every error that the package raises on purpose. The command line prints them as one line and exits with 2.

FusionRLError
|-- ConfigError            a value in a YAML file, an override or an argument cannot be used
|   |-- UnknownNameError   no entry of that name: carries the known names, and names the nearest
|   |-- TopologyError      an edge list or graph file that is not a usable network
|   `-- TrafficError       traffic that cannot be drawn or replayed on this network
|-- SimulationError        the simulator was asked for something that is not legal
|-- CheckpointError        a checkpoint is missing, damaged or made for something else
|-- TrainingError          learning broke down
|-- TrainingStopped        who looked on at a training ended it: no failure
|-- PolicyError            a policy cannot be built, or does not fit the environment
|-- TrackingError          the run log cannot be opened, written or read
|-- StudyError             a study cannot be opened, gone on with, or has no result yet
|-- NotebookError          a notebook is unknown, refused its parameters or failed
`-- BatchError             a batch is unknown, exists already, or is at work elsewhere
"""

from collections.abc import Iterable
from difflib import get_close_matches

_LISTED_NAMES = 20  # more than these, and a message lists only the nearest


class FusionRLError(Exception):
    """Base of all our errors. The message is one line that says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


class ConfigError(FusionRLError):
    """A setting that cannot be used."""


class UnknownNameError(ConfigError):
    """A name that nothing has.

    Args:
        kind: what was looked for, as it reads after "unknown": "topology", "network preset".
        given: the name that was given.
        allowed: the names there are.
        where: where it was given, put before the message; empty where there is nothing to say.
    """

    def __init__(self, kind: str, given: str, allowed: Iterable[str], where: str = "") -> None:
        self.kind = kind
        self.given = given
        self.allowed = tuple(allowed)
        self.where = where
        prefix = f"{where}: " if where else ""
        super().__init__(f"{prefix}unknown {kind} '{given}': {nearest_hint(given, self.allowed)}")

    def __reduce__(self) -> tuple[object, ...]:
        # errors cross process borders, and pickle would otherwise rebuild this one from its message alone
        return type(self), (self.kind, self.given, self.allowed, self.where)


class TopologyError(ConfigError):
    """A network file or its links cannot be used."""


class TrafficError(ConfigError):
    """Requests that cannot be drawn or replayed."""


class SimulationError(FusionRLError):
    """An illegal request to the simulator."""


class CheckpointError(FusionRLError):
    """A checkpoint that cannot be found, read or used."""


class TrainingError(FusionRLError):
    """Learning that broke down."""


class TrainingStopped(FusionRLError):
    """Raised by who is told of a training's evaluations, to end it; the message is the reason, such as "pruned"."""


class PolicyError(FusionRLError):
    """A policy that cannot be built or does not fit."""


class TrackingError(FusionRLError):
    """The run log cannot be opened, written or read."""


class StudyError(FusionRLError):
    """A study that cannot be opened or gone on with, or its storage."""


class NotebookError(FusionRLError):
    """A notebook that cannot be run, or that failed."""


class BatchError(FusionRLError):
    """A batch that cannot be found, begun or gone on with."""


def nearest_hint(given: str, allowed: Iterable[str]) -> str:
    """The close matches of a name and the names there are, as the end of a message.

    >>> nearest_hint("nsfent", ["nsfnet", "usnet"])
    "did you mean 'nsfnet'? known: nsfnet, usnet"
    """
    names = list(allowed)
    ends = [name for name in names if name.endswith(f".{given}")]  # `lanes` for `execution.lanes`
    within = [name for name in names if given and given in name]
    close = get_close_matches(given, names, n=8) or ends or within or _matches_by_part(given, names)
    hint = f"did you mean '{close[0]}'? " if close else ""
    if not names:
        return f"{hint}there are none"
    if len(names) <= _LISTED_NAMES:
        return f"{hint}known: {', '.join(names)}"
    nearest = close or get_close_matches(given, names, n=8, cutoff=0.0)
    return f"{hint}nearest of {len(names)}: {', '.join(nearest)}"


def _matches_by_part(given: str, names: list[str]) -> list[str]:
    """The names of which one part, as between dashes, is a close match."""
    by_part = {part: name for name in reversed(names) for part in name.split("-")}
    return [by_part[part] for part in get_close_matches(given, by_part, n=1, cutoff=0.75)]
