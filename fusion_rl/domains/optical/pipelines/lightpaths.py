"""Lightpaths lit, ridden on, left and darkened: the orchestrator's hands where the network has rules.

A lightpath goes dark when its last service leaves it. Each link remembers which lightpath has which slots.
"""

from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.pipelines import bitmap
from fusion_rl.domains.optical.pipelines.qot import noise_when_lit
from fusion_rl.domains.optical.requests import Request
from fusion_rl.domains.optical.state import COUNTERS, LIT_NOW, UP, Lane
from fusion_rl.domains.optical.world import World

SERVED, GROOMED, SLICED, LIT, FAILURES, HIT, SWITCHED, RESTORED, DROPPED = range(len(COUNTERS))
REPORT_GROOMED, REPORT_LIT, REPORT_SLOT_HOPS, REPORT_INVERSE_SNR = range(4)


@kernel(inner=True)
def capacity_mbps(world: World, path: int, width: int) -> int:
    """What a lightpath of so many slots carries on a candidate path."""
    return int((width - world.rules.guard_slots) * world.rules.slot_mbps[path] + 1e-6)


@kernel(inline=False, inner=True)
def occupy(world: World, lane: Lane, number: int) -> None:
    """Take a lightpath's slots on its links."""
    lightpath = lane.lightpaths.table[number]
    path, start = lightpath["path"], lightpath["start"]
    end = start + lightpath["width"]
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        link = world.path_links[hop]
        bitmap.add_range(lane.occupied[link], start, end)
        lane.lightpaths.owner[link, start:end] = number


@kernel(inline=False, inner=True)
def vacate(world: World, lane: Lane, number: int) -> None:
    """Free a lightpath's slots on its links; those of a link that is down stay out of use."""
    lightpath = lane.lightpaths.table[number]
    path, start = lightpath["path"], lightpath["start"]
    end = start + lightpath["width"]
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        link = world.path_links[hop]
        if lane.lightpaths.failed[link] == UP:
            bitmap.remove_range(lane.occupied[link], start, end)
        lane.lightpaths.owner[link, start:end] = -1


@kernel(inline=False, inner=True)
def light(
    world: World, lane: Lane, request: Request, service: int, path: int, start: int, width: int, mbps: int
) -> None:
    """Light a lightpath for `mbps` of a service and let the service ride on it."""
    lightpaths = lane.lightpaths
    number = wide(lightpaths.order[lightpaths.marks[LIT_NOW]])
    lightpaths.marks[LIT_NOW] += 1
    lightpath = lightpaths.table[number]
    lightpath["born"] = lightpaths.counters[LIT]
    lightpath["path"] = path
    lightpath["start"] = start
    lightpath["width"] = width
    lightpath["by_rate"] = world.rules.class_by_rate[request.bandwidth_class]
    # A width that was given in slots carries what is asked for, whatever the format.
    lightpath["capacity"] = max(capacity_mbps(world, path, width), mbps)
    lightpath["used"] = 0
    lightpath["riders"] = 0
    occupy(world, lane, number)
    ride(lane, service, number, mbps)
    lightpaths.counters[LIT] += 1
    lightpaths.report[REPORT_LIT] += 1
    lightpaths.report[REPORT_SLOT_HOPS] += width * world.path_hops[path]


@kernel(inner=True)
def worst_noise(world: World, lane: Lane, service: int) -> float:
    """The most noise that a lightpath of a service has; 0 where the network does not model transmission."""
    worst = 0.0
    for i in range(lane.lightpaths.legs[service]):
        worst = max(worst, noise_when_lit(world, lane, lane.lightpaths.leg[service, i]["lightpath"]))
    return worst


@kernel(inner=True)
def ride(lane: Lane, service: int, number: int, mbps: int) -> None:
    """Add a leg to a service."""
    lightpaths = lane.lightpaths
    leg = lightpaths.leg[service, lightpaths.legs[service]]
    leg["lightpath"] = number
    leg["mbps"] = mbps
    lightpaths.legs[service] += 1
    lightpath = lightpaths.table[number]
    lightpath["used"] += mbps
    lightpath["riders"] += 1


@kernel(inline=False, inner=True)
def leave(world: World, lane: Lane, service: int) -> None:
    """Take a service off all its lightpaths; those that nothing rides on any more go dark."""
    lightpaths = lane.lightpaths
    for i in range(lightpaths.legs[service]):
        leg = lightpaths.leg[service, i]
        lightpath = lightpaths.table[leg["lightpath"]]
        lightpath["used"] -= leg["mbps"]
        lightpath["riders"] -= 1
        if lightpath["riders"] == 0:
            vacate(world, lane, leg["lightpath"])
            forget(lane, leg["lightpath"])
    lightpaths.legs[service] = 0


@kernel(inner=True)
def forget(lane: Lane, number: int) -> None:
    """Take a lightpath out of the list of those that are lit."""
    lightpaths = lane.lightpaths
    lightpaths.marks[LIT_NOW] -= 1
    end = lightpaths.marks[LIT_NOW]
    place = lightpaths.table[number]["place"]
    last = lightpaths.order[end]
    lightpaths.order[place] = last
    lightpaths.order[end] = number
    lightpaths.table[last]["place"] = place
    lightpaths.table[number]["place"] = end


@kernel(inner=True)
def has_link(world: World, lane: Lane, number: int, condition: int) -> bool:
    """Whether a link of a lightpath is DOWN, or FAILING."""
    path = lane.lightpaths.table[number]["path"]
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        if lane.lightpaths.failed[world.path_links[hop]] == condition:
            return True
    return False
