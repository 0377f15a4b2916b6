"""Failures: what becomes of the lightpaths of links that go down, and of the links when they come back.

A protected service goes on over its other lightpath, if that is up. Any other lightpath is moved to the first
candidate path with room for what it carries, lowest start, taken in the order of slots on the failed link; where
there is none, or the network does not restore, the services on it are dropped.
"""

from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.pipelines import bitmap, spectrum
from fusion_rl.domains.optical.pipelines.demand import slots_for
from fusion_rl.domains.optical.pipelines.lightpaths import (
    DROPPED,
    FAILURES,
    HIT,
    RESTORED,
    SWITCHED,
    capacity_mbps,
    has_link,
    leave,
    occupy,
    vacate,
)
from fusion_rl.domains.optical.state import DOWN, FAILING, LAST_EVENT, NEXT_EVENT, UP, Lane
from fusion_rl.domains.optical.world import World


@kernel(inline=False, inner=True)
def handle_events(world: World, lane: Lane) -> None:
    """Let the next failures and repairs happen: all of one instant, so that nothing is moved to what fails with it."""
    lightpaths = lane.lightpaths
    first = lightpaths.marks[NEXT_EVENT]
    end = first
    while end < lightpaths.marks[LAST_EVENT] and lightpaths.events[end]["time"] == lightpaths.events[first]["time"]:
        edge = lightpaths.events[end]["edge"]
        for link in range(edge, world.link_length_km.size, world.rules.edges):
            if lightpaths.events[end]["up"] != 0:
                repair(world, lane, link)
            else:
                take_down(world, lane, link)
        end += 1
    lightpaths.marks[NEXT_EVENT] = end
    for event in range(first, end):
        if lightpaths.events[event]["up"] == 0:
            lightpaths.counters[FAILURES] += 1
            for link in range(lightpaths.events[event]["edge"], world.link_length_km.size, world.rules.edges):
                see_to_lightpaths(world, lane, link)


@kernel(inner=True)
def repair(world: World, lane: Lane, link: int) -> None:
    """Give a link back, less what protected services have kept on it."""
    lane.lightpaths.failed[link] = UP
    for word in range(world.beyond.size):
        lane.occupied[link, word] = world.beyond[word]
    for slot in range(world.slots):
        if lane.lightpaths.owner[link, slot] >= 0:
            bitmap.add_range(lane.occupied[link], slot, slot + 1)


@kernel(inner=True)
def take_down(world: World, lane: Lane, link: int) -> None:
    """Take a link out of use."""
    lane.lightpaths.failed[link] = FAILING
    for word in range(world.beyond.size):
        lane.occupied[link, word] = bitmap.ALL


@kernel(inner=True)
def see_to_lightpaths(world: World, lane: Lane, link: int) -> None:
    """Switch, move or drop what runs over a link that is failing."""
    lightpaths = lane.lightpaths
    slot = 0
    while slot < world.slots:
        number = wide(lightpaths.owner[link, slot])
        if number < 0:
            slot += 1
            continue
        lightpath = lightpaths.table[number]
        slot = lightpath["start"] + lightpath["width"]
        if has_link(world, lane, number, DOWN):
            continue  # it went down with another link, and its service is on the other lightpath since
        lightpaths.counters[HIT] += lightpath["riders"]
        if world.rules.protected and other_leg_is_up(world, lane, number):
            lightpaths.counters[SWITCHED] += lightpath["riders"]
        else:
            move_or_drop(world, lane, number)
    lightpaths.failed[link] = DOWN


@kernel(inner=True)
def other_leg_is_up(world: World, lane: Lane, number: int) -> bool:
    """Whether the protected service on a lightpath has another one that is up."""
    lightpaths = lane.lightpaths
    service = rider_of(lane, number)
    found = False
    for i in range(lightpaths.legs[service]):
        other = lightpaths.leg[service, i]["lightpath"]
        found |= not (has_link(world, lane, other, DOWN) or has_link(world, lane, other, FAILING))
    return found


@kernel(inline=False, inner=True)
def move_or_drop(world: World, lane: Lane, number: int) -> None:
    """Restore a lightpath elsewhere, or drop the services that ride on it."""
    lightpaths = lane.lightpaths
    vacate(world, lane, number)
    if world.rules.restores and move(world, lane, number):
        lightpaths.counters[RESTORED] += lightpaths.table[number]["riders"]
        return
    occupy(world, lane, number)  # so that the services leave it in the usual way
    while lightpaths.table[number]["riders"] > 0:
        leave(world, lane, rider_of(lane, number))
        lightpaths.counters[DROPPED] += 1


@kernel(inner=True)
def move(world: World, lane: Lane, number: int) -> bool:
    """Light a lightpath that holds no slots again, on the first candidate path with room for what it carries."""
    rules, lightpath = world.rules, lane.lightpaths.table[number]
    pair = rules.path_pair[lightpath["path"]]
    for path in range(world.path_first[pair], world.path_first[pair + 1]):
        if rules.slot_mbps[path] > 0.0:
            width = slots_for(world, path, lightpath["used"]) if lightpath["by_rate"] != 0 else lightpath["width"]
            start = spectrum.first_fit(world, lane, path, width)
            if start != spectrum.NOWHERE:
                lightpath["path"] = path
                lightpath["start"] = start
                lightpath["width"] = width
                lightpath["capacity"] = max(capacity_mbps(world, path, width), lightpath["used"])
                occupy(world, lane, number)
                return True
    return False


@kernel(inline=False, inner=True)
def rider_of(lane: Lane, number: int) -> int:
    """A running service that rides on a lightpath."""
    lightpaths = lane.lightpaths
    for i in range(lane.live[0]):
        service = wide(lane.departing[i])
        for leg in range(lightpaths.legs[service]):
            if lightpaths.leg[service, leg]["lightpath"] == number:
                return service
    return wide(-1)
