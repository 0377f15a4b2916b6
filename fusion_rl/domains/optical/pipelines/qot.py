"""Quality of transmission: the inverse SNR of a lightpath among those that share its links.

Noise is relative to the signal (an inverse SNR, linear), so that of links adds up and "good enough" is
`noise <= transmission.most_noise[path]`, or most_noise_new for a lightpath to come, which has a margin to keep as
well. A lightpath is its first slot and its width, guard slots included.
`owner` holds, for each link and slot, the number of the lightpath there, or NOBODY. The model: transmission.py.
"""

from fusion_rl.arrays import AnyArray, Ints
from fusion_rl.domains.optical.jit import kernel, wide
from fusion_rl.domains.optical.state import Lane
from fusion_rl.domains.optical.transmission import Transmission
from fusion_rl.domains.optical.world import World

NOBODY = -1  # the owner of a free slot; the number of a lightpath that is not lit yet
NOWHERE = -1  # the start of a further lightpath that there is not


@kernel
def arrives(world: World, lane: Lane, path: int, start: int, width: int) -> bool:
    """Whether a lightpath on free slots would have the SNR it needs, and leave running ones with theirs.

    Always so where the network does not model transmission. Where a request lights two lightpaths at once (1+1), each
    may use half of what a running one has to spare, so that both together leave it with what it needs.
    """
    return _arrives(world.transmission, world, lane, path, start, width)


@kernel(inner=True)
def _arrives(transmission: Transmission | None, world: World, lane: Lane, path: int, start: int, width: int) -> bool:
    if transmission is None:
        return True
    return arrives_as_it_must(world, lane, path, wide(start), wide(width))


@kernel(inline=False, inner=True)
def arrives_as_it_must(world: World, lane: Lane, path: int, start: int, width: int) -> bool:
    """`arrives` where the network models transmission."""
    transmission, owner, table = world.transmission, lane.lightpaths.owner, lane.lightpaths.table
    at_once = 2 if world.rules.protected else 1
    noise = inverse_snr(transmission, world, owner, table, path, start, width, NOBODY)
    if noise > transmission.most_noise_new[path]:
        return False
    if not transmission.check_running:
        return True
    first = world.link_first[path]
    for hop in range(first, world.link_first[path + 1]):
        slot = 0
        while slot < world.slots:
            number = owner[world.path_links[hop], slot]
            if number == NOBODY:
                slot += 1
                continue
            slot = table[number]["start"] + table[number]["width"]
            running = table[number]["path"]
            if not met_before(world, owner, first, hop, number, slot - 1):
                noise = inverse_snr(
                    transmission,
                    world,
                    owner,
                    table,
                    running,
                    table[number]["start"],
                    table[number]["width"],
                    number,
                )
                added = noise_added(transmission, world, table, running, number, path, start, width)
                if noise + at_once * added > transmission.most_noise[running]:
                    return False
    return True


@kernel(inner=True)
def met_before(world: World, owner: Ints, first: int, hop: int, number: int, slot: int) -> bool:
    """Whether a lightpath has a slot on a link of hops first..hop-1 too."""
    found = False
    for earlier in range(first, hop):
        found |= owner[world.path_links[earlier], slot] == number
    return found


@kernel
def noise_when_lit(world: World, lane: Lane, number: int) -> float:
    """The noise of a lightpath that is lit; 0 where the network does not model transmission."""
    return _noise_when_lit(world.transmission, world, lane, number)


@kernel(inner=True)
def _noise_when_lit(transmission: Transmission | None, world: World, lane: Lane, number: int) -> float:
    if transmission is None:
        return 0.0
    owner, table = lane.lightpaths.owner, lane.lightpaths.table
    path, start, width = table[number]["path"], table[number]["start"], table[number]["width"]
    return inverse_snr(transmission, world, owner, table, path, start, width, number)


@kernel
def neighbour_term(transmission: Transmission, start: int, width: int, other_start: int, other_width: int) -> float:
    """What one other lightpath of a link adds for the one at `start`, in units of `transmission.nonlinear`.

    The two may not overlap, guard slots aside.
    """
    signal = width - transmission.guard_slots
    centre = 2 * start + signal  # in half slots
    low = abs(2 * other_start - centre)
    high = abs(2 * (other_start + other_width - transmission.guard_slots) - centre)
    return abs(transmission.edge_terms[signal, high] - transmission.edge_terms[signal, low])


@kernel
def link_noise(
    transmission: Transmission,
    link: int,
    owner_row: Ints,
    table: AnyArray,
    start: int,
    width: int,
    itself: int,
    new_start: int,
    new_width: int,
) -> float:
    """The noise that one link adds to a lightpath.

    Args:
        transmission: the network's tables.
        link: which link.
        owner_row: owner of each of its slots, [S].
        table: LIGHTPATH records by lightpath number.
        start: of the lightpath that is asked for.
        width: of it.
        itself: its number, so that it is no neighbour of its own; NOBODY where it is not lit yet.
        new_start: of a further lightpath to count that `owner_row` does not have; NOWHERE: none.
        new_width: of it.
    """
    signal = width - transmission.guard_slots
    terms = transmission.edge_terms[signal, signal]  # of its own edges
    slot = 0
    while slot < owner_row.size:
        other = owner_row[slot]
        if other == NOBODY:
            slot += 1
            continue
        other_start = table[other]["start"]
        other_width = table[other]["width"]
        if other != itself:
            terms += neighbour_term(transmission, start, width, other_start, other_width)
        slot = other_start + other_width
    if new_start >= 0:
        terms += neighbour_term(transmission, start, width, new_start, new_width)
    return transmission.ase[link] + transmission.nonlinear[link] * terms


@kernel(inline=False)
def inverse_snr(
    transmission: Transmission,
    world: World,
    owner: Ints,
    table: AnyArray,
    path: int,
    start: int,
    width: int,
    itself: int,
) -> float:
    """The noise of a lightpath over all links of its path, from the lightpaths that are lit.

    Args:
        transmission: the network's tables.
        world: the candidate paths.
        owner: owner of each slot of each link, [L, S].
        table: LIGHTPATH records by lightpath number.
        path: candidate path of the lightpath.
        start: its first slot.
        width: its slots, guard slots included.
        itself: its number, or NOBODY where it is not lit yet.
    """
    noise = 0.0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        link = world.path_links[hop]
        noise += link_noise(
            transmission,
            link,
            owner[link],
            table,
            start,
            width,
            itself,
            NOWHERE,
            0,
        )
    return noise


@kernel
def noise_added(
    transmission: Transmission,
    world: World,
    table: AnyArray,
    path: int,
    itself: int,
    new_path: int,
    new_start: int,
    new_width: int,
) -> float:
    """The noise that the running lightpath `itself` would have more once a further one is lit on `new_path`.

    The further one counts on the links that both paths use. Other arguments as in `inverse_snr`.
    """
    added = neighbour_term(transmission, table[itself]["start"], table[itself]["width"], new_start, new_width)
    noise = 0.0
    for hop in range(world.link_first[path], world.link_first[path + 1]):
        for new_hop in range(world.link_first[new_path], world.link_first[new_path + 1]):
            if world.path_links[hop] == world.path_links[new_hop]:
                noise += transmission.nonlinear[world.path_links[hop]] * added
    return noise
