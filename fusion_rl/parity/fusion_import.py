"""A FUSION configuration as the five concerns."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_rl.config.algorithm import ALGORITHM_MODELS
from fusion_rl.domains.optical.observations import OBSERVATIONS
from fusion_rl.domains.optical.topology import preset_names
from fusion_rl.errors import ConfigError, nearest_hint
from fusion_rl.parity.fusion import FORMATS, GBPS
from fusion_rl.parity.fusion_ini import Ini, Note

ALGORITHMS = {
    "ppo": "ppo",
    "a2c": "a2c",
    "dqn": "dqn",
    "qr_dqn": "qr-dqn",
    "q_learning": "q-learning",
    "epsilon_greedy_bandit": "epsilon-greedy",
    "ucb_bandit": "ucb",
}
TOPOLOGIES = {"nsfnet": "nsfnet-fusion"}  # where ours has another name
Reaches = Mapping[str, tuple[tuple[float, float, int], ...]]  # format -> (Gb/s, km, slots) of each bit rate


@dataclass(frozen=True)
class Imported:
    """An experiment as `config.load.load` takes it, and what became of every key of the file, in its order."""

    experiment: dict[str, Any]
    notes: tuple[Note, ...]

    @property
    def left_out(self) -> tuple[Note, ...]:
        """Keys that nothing was made of."""
        return tuple(note for note in self.notes if not note.setting)


def read_ini(file: str | Path, topology: str | None = None) -> Imported:
    """Read a FUSION configuration.

    Args:
        file: the ini.
        topology: name or file of the network; None: the one that the ini names.

    Raises:
        ConfigError: the file cannot be read, a value is not what its key takes, or the network is unknown here.
    """
    ini = Ini(Path(file))
    network = _network(ini, topology)
    experiment = {
        "name": Path(file).stem,
        "description": f"imported from {Path(file).name}, a configuration of FUSION",
        "network": network,
        "scenarios": _scenarios(ini),
        "algorithm": _algorithm(ini),
        "reward": {"name": "service", **ini.pick(reward=("success", float), penalty=("block", float), group="reward")},
        "execution": _execution(ini),
    }
    return Imported(experiment, ini.account())


def _network(ini: Ini, topology: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"topology": _topology(ini, topology), "links": "shared"}
    found |= ini.pick(
        "network",
        c_band=("slots", int),
        bw_per_slot=("slot_width_ghz", float),
        guard_slots=("guard_slots", int),
        k_paths=("k_paths", int),
    )
    found["reach_table"] = _reach_table(ini, found["slot_width_ghz"])
    found["path_order"] = _path_order(ini)
    ini.became("cores_per_link", "", "a link has one core here; loads are FUSION's, which are those of one core")
    segments = ini.value("max_segments", int) if ini.has("max_segments") else 1
    if segments > 1:
        split = "greedy" if ini.on("dynamic_lps") else "equal"
        found["slicing"] = {"max_segments": min(segments, 8), "split": split}
        ini.became("max_segments", "network.slicing.max_segments", "how FUSION sizes the parts is not the same")
        ini.became("dynamic_lps", "network.slicing.split")
    else:
        ini.became("max_segments", "network.slicing", "1: nothing is sliced")
        ini.became("dynamic_lps", "", "nothing is sliced")
    if ini.on("is_grooming_enabled"):
        found["grooming"] = {"max_parts": 8 if ini.on("can_partially_serve") else 1}
        ini.became("can_partially_serve", "network.grooming.max_parts", "a request is still served whole or not at all")
    else:
        ini.became("can_partially_serve", "", "nothing is groomed")
    ini.became("is_grooming_enabled", "network.grooming")
    return found


def _topology(ini: Ini, given: str | None) -> str:
    name = str(ini.value("network", str))
    if given is not None:
        ini.became("network", "network.topology", f"{given}, as asked for")
        return str(Path(given).absolute()) if Path(given).is_file() else given
    found = TOPOLOGIES.get(name.lower(), name.lower())
    if found not in preset_names():
        raise ConfigError(
            f"{ini.path}: network {name} is not a topology that is known here: {nearest_hint(found, preset_names())}; "
            "name one, or a file, with --topology"
        )
    ini.became("network", "network.topology")
    return found


def _path_order(ini: Ini) -> str:
    method = ini.text("route_method") if ini.has("route_method") else "k_shortest_path"
    known = method in ("k_shortest_path", "shortest_path")
    why = "" if known else f"{method} is not known here: candidate paths are the shortest"
    ini.became("route_method", "network.path_order" if known else "", why)
    by_hops = ini.on("const_link_weight") or (ini.has("path_ordering") and ini.text("path_ordering") == "hops")
    ini.became("const_link_weight", "network.path_order")
    ini.became("path_ordering", "network.path_order")
    return "hops" if by_hops else "km"


def _reach_table(ini: Ini, slot_width_ghz: float) -> list[dict[str, Any]]:
    """Formats with the reach that they have at the bit rate that is asked for most."""
    shares = _shares(ini)
    most = max(shares, key=lambda gbps: (shares[gbps], gbps))
    reaches, why = _format_table(ini)
    table = []
    for name, rows in reaches.items():
        efficiency = _efficiency(rows, slot_width_ghz)
        nearest = min(rows, key=lambda row: abs(row[0] - most))
        table.append({"name": name, "bits_per_s_per_hz": efficiency, "reach_km": nearest[1]})
    why += f"reaches are those of {most:g} Gb/s for all bit rates: a format here has one"
    ini.became("mod_assumption", "network.reach_table", why)
    return sorted(table, key=lambda form: -form["bits_per_s_per_hz"])


def _format_table(ini: Ini) -> tuple[Reaches, str]:
    """FUSION's table of formats, from the JSON file that it names where that is at hand; and what is to be said."""
    name = ini.text("mod_assumption")
    default = {
        form: tuple((gbps, reach, slots) for gbps, (reach, slots) in zip(GBPS, rows, strict=True))
        for form, rows in FORMATS.items()
    }
    if not ini.has("mod_assumption_path"):
        ini.became("mod_assumption_path", "", "names no file")
        return default, "" if name == "DEFAULT" else f"no file tells what {name} is, so DEFAULT's table stands in; "
    given = ini.value("mod_assumption_path", str).replace("\\", "/")
    places = [base / given for base in (ini.path.parent, Path())]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        ini.became("mod_assumption_path", "", "there is no such file, beside the ini or here")
        return default, "" if name == "DEFAULT" else f"the table {name} is not at hand, so DEFAULT's stands in; "
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))[name]
        found: dict[str, list[tuple[float, float, int]]] = {}
        for gbps, formats in rows.items():
            for form, entry in formats.items():
                if entry["max_length"]:  # 0 or null: not to be used at this bit rate
                    found.setdefault(form, []).append(
                        (float(gbps), float(entry["max_length"]), int(entry["slots_needed"]))
                    )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file} holds no table of formats named {name}: {error!r}") from error
    ini.became("mod_assumption_path", "network.reach_table")
    return {form: tuple(entries) for form, entries in found.items()}, ""


def _efficiency(rows: tuple[tuple[float, float, int], ...], slot_width_ghz: float) -> float:
    """Bits/s/Hz that give a format's widths in slots: a whole number where one does."""
    low = max(gbps / (slot_width_ghz * slots) for gbps, _, slots in rows)
    high = min((gbps / (slot_width_ghz * (slots - 1)) for gbps, _, slots in rows if slots > 1), default=math.inf)
    return float(math.ceil(low)) if math.ceil(low) < high else low


def _shares(ini: Ini) -> dict[float, float]:
    def read(text: str) -> dict[float, float]:
        shares = {float(gbps): float(share) for gbps, share in json.loads(text).items()}
        if not any(share > 0 for share in shares.values()):
            raise ValueError("no bit rate has a share")
        return {gbps: share for gbps, share in shares.items() if share > 0}

    found: dict[float, float] = ini.value("request_distribution", read)
    return found


def _scenarios(ini: Ini) -> list[dict[str, Any]]:
    """A scenario for each load, from erlang_start to erlang_stop, which is one of them."""
    start = ini.value("erlang_start", float)
    stop = ini.value("erlang_stop", float) if ini.has("erlang_stop") else start
    step = ini.value("erlang_step", float) if ini.has("erlang_step") else 100.0
    if step <= 0 or (stop - start) / step > 1000:
        raise ConfigError(f"{ini.path}: erlang_step {step:g} makes no list of loads from {start:g} to {stop:g}")
    loads = [start + i * step for i in range(max(1, int((stop - start) / step + 1e-9) + 1))]
    for key in ("erlang_start", "erlang_stop", "erlang_step"):
        ini.became(key, "scenarios.*.load_erlang", "a scenario for each load, the last one included")
    shares = _shares(ini)
    ini.became("request_distribution", "scenarios.*.bandwidth", "shares are chances here, and exact counts in FUSION")
    same = ini.pick(
        "scenarios.*", holding_time=("mean_holding_time", float), num_requests=("requests_per_episode", int)
    )
    return [
        {
            "name": f"erlang-{load:g}".replace(".", "-"),
            "load_erlang": load,
            **same,
            "bandwidth": {"kind": "weighted", "values_gbps": list(shares), "weights": list(shares.values())},
        }
        for load in loads
    ]


def _algorithm(ini: Ini) -> dict[str, Any]:
    given = ini.text("path_algorithm") if ini.has("path_algorithm") else ""
    name = ALGORITHMS.get(given, "maskable-ppo")
    if given in ALGORITHMS:
        ini.became("path_algorithm", "algorithm.name", "what the file does not say is that of our preset")
    else:
        ini.became("path_algorithm", "", f"no agent that is known here, so {name}: {nearest_hint(given, ALGORITHMS)}")
    fields = ALGORITHM_MODELS[name].model_fields
    found: dict[str, Any] = {"preset": name}
    if ini.has("allocation_method"):
        first_fit = ini.text("allocation_method") == "first_fit"
        why = "the agent's path gets its lowest free block" if first_fit else "a path gets its lowest free block here"
        ini.became("allocation_method", "algorithm.action" if first_fit else "", why)
    for key, setting, kind in (
        ("gamma", "gamma", float), ("conf_param", "confidence", float), ("path_levels", "congestion_levels", int)
    ):  # fmt: skip
        if setting in fields:
            found |= ini.pick("algorithm", **{key: (setting, kind)})
        else:
            ini.became(key, "", f"{name} has no such setting")
    if "net_arch" not in fields:
        ini.became("obs_space", "", f"{name} sees what its table is over")
    elif ini.has("obs_space"):
        observation = ini.text("obs_space")
        if observation in OBSERVATIONS:
            found["observation"] = observation
            ini.became("obs_space", "algorithm.observation")
        else:
            ini.became("obs_space", "", f"no such observation: {nearest_hint(observation, OBSERVATIONS)}")
    for prefix, setting in (("alpha", "learning_rate"), ("epsilon", "exploration")):
        law = _law(ini, prefix)
        for key in (f"{prefix}_start", f"{prefix}_end", f"{prefix}_update"):
            fits = setting in fields and law is not None
            ini.became(key, f"algorithm.{setting}" if fits else "", "" if fits else f"{name} has no {setting}")
        if setting in fields and law is not None:
            found[setting] = law
    return found


def _law(ini: Ini, prefix: str) -> Any:
    """A value that falls from start to end over training; a number where it does not, None where none is given."""
    if not ini.has(f"{prefix}_start"):
        return None
    start = ini.value(f"{prefix}_start", float)
    end = ini.value(f"{prefix}_end", float) if ini.has(f"{prefix}_end") else start
    if start == end:
        return start
    exponential = ini.has(f"{prefix}_update") and ini.text(f"{prefix}_update") == "exp_decay"
    if exponential and 0 < end < start:
        return {"kind": "exponential", "start": start, "decay_rate": math.log(start / end), "floor": end}
    return {"kind": "linear", "start": start, "end": end}


def _execution(ini: Ini) -> dict[str, Any]:
    episodes = ini.value("max_iters", int) if ini.has("max_iters") else 1
    found = {"timesteps": episodes * ini.value("num_requests", int)}
    ini.became("max_iters", "execution.timesteps", f"{episodes} episodes of num_requests")
    found |= ini.pick("execution", seed=("seed", int))
    if ini.has("device"):
        device = ini.text("device")
        if device in ("cpu", "cuda", "auto"):
            found["device"] = device
        ini.became("device", "execution.device" if "device" in found else "", "" if "device" in found else "not here")
    return found
