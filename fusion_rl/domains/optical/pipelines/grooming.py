"""Grooming: which running lightpaths between a request's ends would carry it, whole or in part.

Whole, if one lightpath has room: the one that is left with the least to spare, of these the one lit first. In part,
where the rules allow a request to be shared: on those with the most to spare, the one lit first among equals; one
part is kept for a new lightpath if all parts together do not carry the request.
"""

from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import LIT_NOW, Lane
from fusion_rl.domains.optical.world import World


@kernel(inline=False, inner=True)
def plan(world: World, lane: Lane, request: Request) -> int:
    """Leave the parts in lane.lightpaths.plan; returns how many there are.

    What the parts do not carry is left for new lightpaths.
    """
    rules, parts = world.rules, lane.lightpaths.plan
    asked = rules.class_mbps[request.bandwidth_class]
    if rules.parts == 0:
        return 0
    whole = tightest(world, lane, request.pair, asked)
    if whole >= 0:
        parts[0]["lightpath"] = whole
        parts[0]["mbps"] = asked
        return 1
    count = wide(0)
    left = asked
    while count < rules.parts and left > 0:
        number = roomiest(world, lane, request.pair, count)
        if number < 0:
            break
        part = parts[count]
        part["lightpath"] = number
        part["mbps"] = min(left, spare_mbps(lane, number))
        left -= part["mbps"]
        count += 1
    return count - 1 if left > 0 and count == rules.parts else count


@kernel(inner=True)
def left_over(world: World, lane: Lane, request: Request, parts: int) -> int:
    """Mb/s that the first parts of the plan do not carry."""
    left = world.rules.class_mbps[request.bandwidth_class]
    for part in range(parts):
        left -= lane.lightpaths.plan[part]["mbps"]
    return int(left)


@kernel(inner=True)
def spare_mbps(lane: Lane, number: int) -> int:
    """What a lightpath could carry beside what it carries."""
    lightpath = lane.lightpaths.table[number]
    return int(lightpath["capacity"] - lightpath["used"])


@kernel(inner=True)
def tightest(world: World, lane: Lane, pair: int, mbps: int) -> int:
    """The lightpath of a pair that is left with the least after taking so many Mb/s; -1 if none has room."""
    best, least, born = wide(-1), 0, 0
    for i in range(lane.lightpaths.marks[LIT_NOW]):
        number = wide(lane.lightpaths.order[i])
        lightpath = lane.lightpaths.table[number]
        spare = lightpath["capacity"] - lightpath["used"]
        if spare < mbps or world.rules.path_pair[lightpath["path"]] != pair:
            continue
        if best < 0 or spare < least or (spare == least and lightpath["born"] < born):
            best, least, born = number, spare, lightpath["born"]
    return best


@kernel(inner=True)
def roomiest(world: World, lane: Lane, pair: int, parts: int) -> int:
    """The lightpath of a pair with the most to spare that is not among the first parts of the plan; -1 if none."""
    best, most, born = wide(-1), 0, 0
    for i in range(lane.lightpaths.marks[LIT_NOW]):
        number = wide(lane.lightpaths.order[i])
        lightpath = lane.lightpaths.table[number]
        spare = lightpath["capacity"] - lightpath["used"]
        if spare <= 0 or world.rules.path_pair[lightpath["path"]] != pair or is_planned(lane, number, parts):
            continue
        if best < 0 or spare > most or (spare == most and lightpath["born"] < born):
            best, most, born = number, spare, lightpath["born"]
    return best


@kernel(inner=True)
def is_planned(lane: Lane, number: int, parts: int) -> bool:
    """Whether a lightpath is among the first parts of the plan."""
    found = False
    for part in range(parts):
        found |= lane.lightpaths.plan[part]["lightpath"] == number
    return found
