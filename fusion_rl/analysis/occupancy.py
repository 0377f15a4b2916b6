"""The spectrum while it fills: every slot of every link, as each request leaves it, to browse request by request."""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from fusion_rl.analysis.decisions import Walk, as_heuristic, chosen
from fusion_rl.arrays import Bools, Ints
from fusion_rl.config.experiment import ExperimentConfig
from fusion_rl.domains.optical.pipelines.orchestrator import ACCEPTED, VERDICT_NAMES, Decisions, room_for
from fusion_rl.domains.optical.pipelines.spectrum import NOWHERE
from fusion_rl.domains.optical.requests import Requests
from fusion_rl.domains.optical.setting import Setting
from fusion_rl.domains.optical.state import State
from fusion_rl.envs.make import domain_of
from fusion_rl.errors import ConfigError
from fusion_rl.training.plots import ACCENT, QUIET, dress, frame
from fusion_rl.training.policies import Policy

if TYPE_CHECKING:
    from ipywidgets import VBox  # type: ignore[import-untyped]

FREE = -1
_OF_EACH = ("arrival", "holding", "pair", "bandwidth_class")
# neighbours in the spectrum have to be told apart, and none of them is the one to look at
_SERVICES = ("#5b7389", "#a3b3c2", "#7d93a8", "#c0cad4", "#47607a", "#90a4b6", "#6c8398")
_EMPTY = "#f5f6f8"
_ROW_IN = 0.135
_MOST_HEIGHT_IN = 9.0
_MOST_NAMED = 66  # links up to which each has its name


@dataclass(frozen=True)
class Film:
    """What the spectrum looks like after each of some consecutive requests.

    Attributes:
        policy: who decided.
        setting: network and traffic.
        conditions: of the traffic.
        requests: arrays [T].
        made: what was done with each, [T].
        owner: number of the service (or shared lightpath) that has a slot, guard slots included; -1: free, [T, L, S].
        taken: slots that were taken for the request, [T, L, S].
    """

    policy: str
    setting: Setting
    conditions: dict[str, object]
    requests: Requests
    made: Decisions
    owner: Ints
    taken: Bools

    @property
    def blocked(self) -> list[int]:
        """The requests that were blocked, from 0."""
        return [int(t) for t in np.flatnonzero(self.made.verdict != ACCEPTED)]

    def links_of(self, t: int) -> list[int]:
        """The links of the path that a request took; of all its candidate paths, where it was blocked."""
        world = self.setting.world
        pair, path = self.requests.pair[t], int(self.made.path[t])
        lit = self.made.verdict[t] == ACCEPTED and self.made.start[t] != NOWHERE
        paths = [path] if lit else range(world.path_first[pair], world.path_first[pair + 1])
        used = [world.path_links[world.link_first[p] : world.link_first[p + 1]].tolist() for p in paths]
        return list(dict.fromkeys(link for links in used for link in links))

    def story(self, t: int) -> str:
        """What became of a request, in one line.

        Raises:
            ConfigError: there is no such request.
        """
        if not 0 <= t < self.made.verdict.size:
            raise ConfigError(f"request {t} is not in the film: it has 0 to {self.made.verdict.size - 1}")
        world, nodes = self.setting.world, self.setting.topology.nodes
        pair = self.requests.pair[t]
        ends = f"{nodes[world.pair_source[pair]]} to {nodes[world.pair_target[pair]]}"
        asked = f"request {t}, {ends}, {world.class_gbps[self.requests.bandwidth_class[t]]:g} Gb/s"
        if self.made.verdict[t] != ACCEPTED:
            return f"{asked}: blocked ({VERDICT_NAMES[self.made.verdict[t]]})"
        if self.made.start[t] == NOWHERE:
            return f"{asked}: served on other lightpaths"
        return f"{asked}: served on {self.setting.path_names(int(self.made.path[t]))} from slot {self.made.start[t]}"


def film(
    config: ExperimentConfig,
    policy: str | Policy = "ksp-ff",
    *,
    requests: int = 300,
    warmup_requests: int = 0,
    seed: int | None = None,
    scenario: int = 0,
    setting: Setting | None = None,
) -> Film:
    """Serve a scenario's first traffic by a policy, and look at all the spectrum after every request.

    Args:
        config: network and scenarios.
        policy: a heuristic's name, a checkpoint, an address in the run store, or a policy found before.
        requests: to look at.
        warmup_requests: served before; 0: the film begins with the idle network.
        seed: of the traffic; None: execution.eval_seed.
        scenario: its position among the scenarios.
        setting: what the domain prepared from this configuration before; None: prepared now.

    Raises:
        FusionRLError: the policy is unknown, cannot be read, or does not fit the network.
    """
    setting = domain_of(config).prepare(config) if setting is None else setting
    found = chosen(config, policy)
    seed = config.execution.eval_seed if seed is None else seed
    deciding = as_heuristic(config, setting, found)
    walk = Walk(setting, deciding, seed=seed, scenario=scenario, requests=warmup_requests + requests)
    if warmup_requests:
        walk.serve(walk.take(warmup_requests))
    asked = walk.take(requests)
    made = room_for(requests)
    owner = np.full((requests, setting.world.link_length_km.size, setting.world.slots), FREE, np.int32)
    taken = np.zeros(owner.shape, np.bool_)
    for t in range(requests):
        one = asked._replace(**{name: getattr(asked, name)[t : t + 1] for name in _OF_EACH}, number=asked.number + t)
        walk.release(float(asked.arrival[t]))
        before = owners(setting, walk.state)
        made.verdict[t], made.path[t], made.start[t] = (done[0] for done in walk.serve(one))
        owner[t] = owners(setting, walk.state)
        taken[t] = (owner[t] != before) & (owner[t] != FREE)
    conditions = domain_of(config).conditions(setting, scenario) | {"policy": found.name, "seed": seed}
    return Film(found.name, setting, conditions | {"warmup_requests": warmup_requests}, asked, made, owner, taken)


def owners(setting: Setting, state: State, lane: int = 0) -> Ints:
    """The service, or shared lightpath, that has each slot of one lane; -1 where a slot is free, [L, S]."""
    if state.lightpaths is not None:
        return np.asarray(state.lightpaths.owner[lane].copy())
    world = setting.world
    found = np.full((world.link_length_km.size, world.slots), FREE, np.int32)
    for service in state.departing[lane, : state.live[lane, 0]]:
        path, start = state.service_path[lane, service], state.service_start[lane, service]
        links = world.path_links[world.link_first[path] : world.link_first[path + 1]]
        found[links, start : start + state.service_width[lane, service]] = service
    return found


def occupancy_figure(shown: Film, request: int) -> Figure:
    """Every slot of every link after a request: one colour a service, the slots that it took brought out.

    Raises:
        ConfigError: the film has no such request.
    """
    story, topology = shown.story(request), shown.setting.topology
    order = _rows(shown.setting)
    height_in = min(0.9 + _ROW_IN * len(order), _MOST_HEIGHT_IN)
    figure = frame(f"{shown.policy}: {story}", shown.conditions, height_in)
    slots, used = figure.subplots(1, 2, width_ratios=(12, 1), sharey=True)
    dress(slots).imshow(_picture(shown, request)[order], aspect="auto", interpolation="nearest")
    for row in range(1, len(order)):
        slots.axhline(row - 0.5, color="white", linewidth=0.8)
    named = range(0, len(order), -(-len(order) // _MOST_NAMED))
    arrow = "→" if topology.direction == "directed" else "–"
    links = [topology.links[order[row]] for row in named]
    slots.set_yticks(named, [f"{link.source}{arrow}{link.target}" for link in links], size=6.5)
    concerned = set(shown.links_of(request))
    for label, row in zip(slots.get_yticklabels(), named, strict=True):
        if order[row] in concerned:
            label.set(color=ACCENT, weight="bold")
    slots.set_xlabel("slot")
    share = (shown.owner[request] != FREE).mean(axis=1)[order]
    colours = [ACCENT if link in concerned else QUIET for link in order]
    dress(used).barh(range(len(order)), share, color=colours, height=0.7)
    used.set_xlim(0, 1)
    used.set_xticks([0, 1], ["0", "1"], size=7)
    used.set_xlabel("in use", size=8)
    used.tick_params(axis="y", length=0, labelleft=False)
    for side in ("left", "bottom"):
        slots.spines[side].set_visible(False)
    return figure


def blocked_table(shown: Film) -> pd.DataFrame:
    """The requests of a film that were blocked, one row each, with the share of all slots that were free."""
    world, nodes = shown.setting.world, shown.setting.topology.nodes
    rows = []
    for t in shown.blocked:
        pair = shown.requests.pair[t]
        row = {"from": nodes[world.pair_source[pair]], "to": nodes[world.pair_target[pair]]}
        gbps = float(world.class_gbps[shown.requests.bandwidth_class[t]])
        reason = VERDICT_NAMES[shown.made.verdict[t]]
        free = float((shown.owner[t] == FREE).mean())
        rows.append({"request": t, **row, "gbps": gbps, "reason": reason, "free share of all slots": free})
    columns = ["request", "from", "to", "gbps", "reason", "free share of all slots"]
    return pd.DataFrame(rows, columns=columns).set_index("request")


def browse(shown: Film) -> "VBox":
    """The spectrum with a slider for the request, a button that plays them, and one to the next that was blocked."""
    from ipywidgets import Button, HBox, Image, IntSlider, Layout, Play, VBox, jslink

    last = shown.made.verdict.size - 1
    at = IntSlider(0, 0, last, description="request", continuous_update=False, layout=Layout(width="55%"))
    play = Play(value=0, min=0, max=last, interval=700)
    onward = Button(description="next blocked", disabled=not shown.blocked)
    picture = Image(value=_png(shown, 0), format="png", width="1000px")

    def draw(change: Any) -> None:
        picture.value = _png(shown, change["new"])

    def go_on(_: Any) -> None:
        later = [t for t in shown.blocked if t > at.value]
        at.value = (later or shown.blocked)[0]

    at.observe(draw, "value")
    onward.on_click(go_on)
    jslink((play, "value"), (at, "value"))
    return VBox([HBox([play, at, onward]), picture])


def _png(shown: Film, request: int) -> bytes:
    occupancy_figure(shown, request).savefig(stream := BytesIO(), format="png")
    return stream.getvalue()


def _picture(shown: Film, request: int) -> Any:
    """Colours of the slots, [L, S, 3]."""
    owner = shown.owner[request]
    colours = np.array([to_rgb(colour) for colour in (*_SERVICES, _EMPTY, ACCENT)])
    kind = np.where(owner == FREE, len(_SERVICES), owner % len(_SERVICES))
    return colours[np.where(shown.taken[request], len(_SERVICES) + 1, kind)]


def _rows(setting: Setting) -> list[int]:
    """Link numbers so that the two directions of an edge are neighbours."""
    edges = len(setting.topology.edges)
    return sorted(range(len(setting.topology.links)), key=lambda link: (link % edges, link // edges))
