"""Action codecs: what an agent's action number means as a decision (path, start slot).

A codec is asked for every action to make the mask and for the chosen one to serve it: they cannot disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusion_rl.catalog import Catalog
from fusion_rl.domains.optical.jit import kernel
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE, first_fit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.world import World


@dataclass(frozen=True)
class ActionCodec:
    """A way to number decisions.

    Attributes:
        count: world -> number of actions.
        decode: kernel (world, lane, request, action) -> (path, start), start NOWHERE where nothing fits.
    """

    count: Callable[[World], int]
    decode: Callable[..., Any]


@kernel
def decode_path(world: World, lane: Lane, request: Request, action: int) -> tuple[int, int]:
    """Action k: candidate path k of the pair, lowest start."""
    path = world.path_first[request.pair] + action
    if action < 0 or path >= world.path_first[request.pair + 1]:
        return NOWHERE, NOWHERE
    width = world.path_width[path, request.bandwidth_class]
    if width == 0:
        return NOWHERE, NOWHERE
    return path, first_fit(world, lane, path, width)


CODECS: Catalog[ActionCodec] = Catalog("action codec")
CODECS.register("path", ActionCodec(count=lambda world: world.max_paths, decode=decode_path))
