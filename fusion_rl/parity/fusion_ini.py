"""A FUSION configuration file (ini): its keys, and an account of what becomes of each.

FUSION reads all sections into one set of keys; so does this reader, whatever the sections are called. Keys and
default values are those of FUSION 6 (SDNNetSim on GitHub): its schema and its template default.ini.
"""

import configparser
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fusion_rl.errors import ConfigError
from fusion_rl.parity.fusion_keys import LEFT_OUT

# of keys that must have a value, FUSION's default.ini
DEFAULTS = {
    "network": "NSFNet",
    "c_band": "320",
    "bw_per_slot": "12.5",
    "guard_slots": "1",
    "k_paths": "4",
    "holding_time": "0.2",
    "num_requests": "500",
    "erlang_start": "300",
    "request_distribution": '{"25": 0.10, "50": 0.10, "100": 0.50, "200": 0.20, "400": 0.10}',
    "mod_assumption": "DEFAULT",
}


@dataclass(frozen=True)
class Note:
    """What became of one key.

    Attributes:
        section: where it stands; empty where it does not, and FUSION's default is used.
        setting: ours, which its value went into; empty where there is none.
        why: what is not the same, or why there is none; empty where nothing is to be said.
    """

    section: str
    key: str
    value: str
    setting: str
    why: str


class Ini:
    """The keys of a file, and what became of those that were looked at.

    Raises:
        ConfigError: the file cannot be read, or holds nothing.
    """

    def __init__(self, path: Path) -> None:
        parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=(";", "#"), strict=False)
        try:
            parser.read_string(path.read_text(encoding="utf-8-sig"), source=path.name)
        except FileNotFoundError:
            raise ConfigError(f"no such file: {path}") from None
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            raise ConfigError(f"{path} cannot be read as an ini file: {error}") from error
        self.path = path
        self._given = {(section, key): text for section in parser.sections() for key, text in parser[section].items()}
        if not self._given:
            raise ConfigError(f"{path} holds no settings")
        self._section = {key: section for section, key in self._given}  # of two, FUSION takes the later
        self._notes: dict[tuple[str, str], Note] = {}

    def has(self, key: str) -> bool:
        """Whether the file gives a value, and not None."""
        return key in self._section and self.text(key).lower() != "none"

    def text(self, key: str) -> str:
        """A key's value as it stands, or FUSION's default."""
        return self._given[self._section[key], key] if key in self._section else DEFAULTS[key]

    def on(self, key: str) -> bool:
        """Whether a switch is on; one that is not there is off."""
        return self.has(key) and bool(self.value(key, _switch))

    def value(self, key: str, kind: Callable[[str], Any]) -> Any:
        """A key's value, or FUSION's default."""
        try:
            return kind(self.text(key).strip("'\""))
        except (ValueError, TypeError) as error:
            where = self._section.get(key, "")
            raise ConfigError(f"{self.path}: [{where}] {key} cannot be {self.text(key)!r}: {error}") from error

    def became(self, key: str, setting: str, why: str = "") -> None:
        """Note what a key's value went into, or (no setting) why into nothing; a key that is not there says so."""
        if key in self._section:
            section = self._section[key]
            self._notes[section, key] = Note(section, key, self.text(key), setting, why)
        elif key in DEFAULTS and setting:
            because = "not in the file: the value of FUSION's default.ini" + (f"; {why}" if why else "")
            self._notes["", key] = Note("", key, DEFAULTS[key], setting, because)

    def pick(self, group: str, **wanted: tuple[str, Callable[[str], Any]]) -> dict[str, Any]:
        """Settings of a group whose values are taken as they are: key=(setting, kind)."""
        found = {}
        for key, (setting, kind) in wanted.items():
            if key in DEFAULTS or self.has(key):
                found[setting] = self.value(key, kind)
                self.became(key, f"{group}.{setting}")
        return found

    def account(self) -> tuple[Note, ...]:
        """What became of every key: first those of the file in its order, then defaults that were needed."""
        notes = []
        for (section, key), text in self._given.items():
            if section != self._section[key]:
                why = f"given again in [{self._section[key]}], which counts"
            elif key in LEFT_OUT:
                why = LEFT_OUT[key]
            else:
                why = "not a key of FUSION's that is known here"
            notes.append(self._notes.pop((section, key), Note(section, key, text, "", why)))
        return (*notes, *self._notes.values())


def _switch(text: str) -> bool:
    if text.lower() not in ("true", "false", "yes", "no", "1", "0", "none"):
        raise ValueError("expected True or False")
    return text.lower() in ("true", "yes", "1")
