"""Action codecs: what an agent's action number means as a decision (path, start slot).

| codec | action | decision |
| --- | --- | --- |
| path | k | candidate path k, lowest start |
| path-block:J | k J + j | candidate path k, start of its j-th lowest free block that is long enough |
| path-start:W | k ceil(S / W) + w | candidate path k, lowest start in window w of W slots; W = 1: slot w on |
| path-modulation | k M + m | candidate path k with its m-th format, lowest start |
| candidates:M | i | i-th of the starts at both edges of each block that is long enough, path by path (M at most) |
| candidates-all:M | i | i-th of all starts, path by path (M at most) |

All but path-modulation leave the format to the network: by reach, or, where formats are chosen by SNR, the most
efficient that has room. path-modulation names it, the most efficient first, in networks whose format_choice is
by-action or by-snr. Where grooming is by-action as well, each format is there twice: riding on running lightpaths
first, and not, which lights a lightpath for the whole request. A request that can ride whole is never blocked: it
rides where there is no room for that, and whenever the decision is not path-modulation's.

path-block is DeepRMSA's (X. Chen et al., Journal of Lightwave Technology 37(16), 2019).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fusion_rl.arrays import Bools
from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.candidates import candidate, count_candidates
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.demand import as_decided, can_serve, on_route, slots_needed
from fusion_rl.domains.optical.pipelines.qot import arrives
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, find_free, find_starts, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World
from fusion_rl.errors import ConfigError


@dataclass(frozen=True)
class ActionCodec:
    """A way to number decisions.

    Attributes:
        count: (world, parameter) -> number of actions.
        decode: kernel (world, lane, request, action, parameter) -> (path, start), start NOWHERE where nothing fits.
        mask: kernel (world, lane, request, parameter, row) that marks the actions which can be served.
        default: the parameter where a name gives none; None: the codec has no parameter.
        parameter: what is written behind the name's colon.
        every_start: whether all starts are numbered, one by one; None: it does not number candidates.
    """

    count: Callable[[World, int], int]
    decode: Callable[..., Any]
    mask: Callable[..., Any]
    default: int | None = None
    parameter: int = 0
    every_start: bool | None = None


@kernel
def decode_path(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action k: candidate path k of the pair, lowest start."""
    path, width = on_route(world, lane, request, action)
    if width == 0:
        return NOWHERE, NOWHERE
    return path, first_fit(world, lane, path, width)


@kernel
def mask_path(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """Paths with room."""
    for rank in range(row.size):
        path, width = on_route(world, lane, request, rank)
        row[rank] = can_serve(world, lane, request, path, width)


@kernel
def decode_path_block(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action k J + j: candidate path k, start of its j-th lowest block that is long enough; `parameter` is J."""
    path, width = on_route(world, lane, request, action // parameter)
    if width == 0:
        return NOWHERE, NOWHERE
    find_free(world, lane, path)
    bitmap.keep_run_starts(lane.free, width)
    start = bitmap.next_set(lane.free, 0)
    for _ in range(action % parameter):
        start = bitmap.next_set(lane.free, bitmap.next_clear(lane.free, start))
    if start >= world.slots or not arrives(world, lane, path, start, width):
        return NOWHERE, NOWHERE
    return path, start


@kernel
def mask_path_block(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """The blocks that there are, path by path."""
    row[:] = False
    for rank in range(row.size // parameter):
        path, width = on_route(world, lane, request, rank)
        if width > 0:
            find_free(world, lane, path)
            bitmap.keep_run_starts(lane.free, width)
            start = bitmap.next_set(lane.free, 0)
            block = 0
            while start < world.slots and block < parameter:
                row[rank * parameter + block] = arrives(world, lane, path, start, width)
                block += 1
                start = bitmap.next_set(lane.free, bitmap.next_clear(lane.free, start))


@kernel
def decode_path_start(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action k ceil(S / W) + w: candidate path k, lowest start in window w; `parameter` is W."""
    windows = -(-world.slots // parameter)
    path, width = on_route(world, lane, request, action // windows)
    if width == 0:
        return NOWHERE, NOWHERE
    find_starts(world, lane, path, width)
    first = action % windows * parameter
    start = bitmap.next_set(lane.free, first)
    if start >= min(first + parameter, world.slots):
        return NOWHERE, NOWHERE
    return path, start


@kernel
def mask_path_start(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """Every window with a start that fits."""
    row[:] = False
    windows = -(-world.slots // parameter)
    for rank in range(row.size // windows):
        path, width = on_route(world, lane, request, rank)
        if width > 0:
            find_starts(world, lane, path, width)
            start = bitmap.next_set(lane.free, 0)
            while start < world.slots:
                window = start // parameter
                row[rank * windows + window] = True
                start = bitmap.next_set(lane.free, (window + 1) * parameter)


@kernel
def decode_path_modulation(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action k M + m: candidate path k with format m, lowest start."""
    path = world.path_first[request.pair] + action
    if path >= world.path_first[request.pair + 1]:
        return NOWHERE, NOWHERE
    width = slots_needed(world, lane, as_decided(world, request, path), path)
    if width == 0:
        return NOWHERE, NOWHERE
    return path, first_fit(world, lane, path, width)


@kernel
def mask_path_modulation(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """Paths and formats with room."""
    row[:] = False
    first = world.path_first[request.pair]
    for path in range(first, world.path_first[request.pair + 1]):
        row[path - first] = can_serve(world, lane, request, path, slots_needed(world, lane, request, path))


@kernel
def decode_candidates(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action i: the i-th candidate at the edge of a block."""
    return candidate(world, lane, request, action, False)


@kernel
def mask_candidates(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """As many as there are."""
    count = count_candidates(world, lane, request, row.size, False)
    row[:count] = True
    row[count:] = False


@kernel
def decode_all_candidates(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action i: the i-th start that there is."""
    return candidate(world, lane, request, action, True)


@kernel
def mask_all_candidates(world: World, lane: Lane, request: Request, parameter: int, row: Bools) -> None:
    """As many as there are."""
    count = count_candidates(world, lane, request, row.size, True)
    row[:count] = True
    row[count:] = False


@kernel
def decode_decision(world: World, lane: Lane, request: Request, action: int, parameter: int) -> tuple[int, int]:
    """Action p S + s, of no codec: path p of all, start s, as it was decided elsewhere; below 0: a refusal."""
    if action < 0:
        return NOWHERE, NOWHERE
    return action // world.slots, action % world.slots


CODECS: Catalog[ActionCodec] = Catalog("action codec")
CODECS.register("path", ActionCodec(lambda world, _: world.max_paths, decode_path, mask_path))
CODECS.register(
    "path-block",
    ActionCodec(lambda world, blocks: world.max_paths * blocks, decode_path_block, mask_path_block, default=1),
)
CODECS.register(
    "path-start",
    ActionCodec(
        lambda world, window: world.max_paths * -(-world.slots // window), decode_path_start, mask_path_start, default=1
    ),
)
CODECS.register(
    "path-modulation",
    ActionCodec(lambda world, _: world.max_paths * world.formats, decode_path_modulation, mask_path_modulation),
)
CODECS.register(
    "candidates",
    ActionCodec(lambda _, most: most, decode_candidates, mask_candidates, default=64, every_start=False),
)
CODECS.register(
    "candidates-all",
    ActionCodec(lambda _, most: most, decode_all_candidates, mask_all_candidates, default=512, every_start=True),
)


def codec_of(name: str) -> ActionCodec:
    """A codec by name, as "path" or "path-block:3".

    Raises:
        UnknownNameError: no such codec.
        ConfigError: its parameter is not a whole number above 0, or it has none.
    """
    head, colon, text = name.partition(":")
    codec = CODECS[head]
    if not colon:
        return codec if codec.default is None else _with(codec, codec.default)
    if codec.default is None:
        raise ConfigError(f"action codec '{head}' has no parameter: '{name}' must be '{head}'")
    if not text.isdigit() or int(text) < 1:
        raise ConfigError(f"action codec '{name}': '{text}' is not a whole number above 0, as in '{head}:3'")
    return _with(codec, int(text))


def _with(codec: ActionCodec, parameter: int) -> ActionCodec:
    return replace(codec, parameter=parameter)
