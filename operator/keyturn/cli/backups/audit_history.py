"""What an audit log tells of each ApiKey: which of its versions are live, which ended, and the highest number. Pure.

The lines may come from several files, in any order, and repeat. Those of each installation are kept apart: another one's ApiKeys may have
the same names. Its key IDs are others, so that no key would end for them, but numbers would rise above those of a cluster that is not this.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.cluster.raw import objects_of, text_of

LIVE = frozenset({VersionState.STAGED, VersionState.ACTIVE, VersionState.RETIRING})


@dataclass(slots=True)
class KeyHistory:
    """One ApiKey, as far as its lines tell.

    A line proves that every number up to its highest is dead but for what it calls live. So the line with the highest number counts, and
    not the newest: an operator that went on from a restored backup has written lines of its own since.
    """

    highest: int = 0
    serial: int = -1
    live: dict[str, str] = field(default_factory=dict)
    """Key IDs and states of the versions that the line with the highest number calls live; of several such lines the newest."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Of every version that any line names, by key ID. One that was imported twice has two: the higher."""
    buried: dict[str, int] = field(default_factory=dict)
    """The numbers, by key ID, of the versions that any line calls dead; of two the higher."""

    @property
    def ended(self) -> frozenset[str]:
        """Key IDs of the versions that are dead; not of a key that was imported anew after its ApiKey was deleted."""
        dead = {key_id for key_id, number in self.buried.items() if key_id not in self.live or self.numbers[key_id] <= number}
        return frozenset(dead | (self.numbers.keys() - self.live.keys()))

    def is_superseded(self, key_id: str) -> bool:
        """Whether a live version was on its way out."""
        return self.live.get(key_id) == VersionState.RETIRING

    def take(self, serial: int, versions: Iterable[Mapping[str, object]]) -> None:
        """One line more."""
        live, highest = {}, 0
        for version in versions:
            key_id, state, number = text_of(version, "keyID"), text_of(version, "state"), version.get("number")
            if not key_id or not isinstance(number, int):
                continue
            self.numbers[key_id] = max(number, self.numbers.get(key_id, 0))
            highest = max(highest, number)
            if state in LIVE:
                live[key_id] = state
            else:
                self.buried[key_id] = max(number, self.buried.get(key_id, 0))
        if (highest, serial) > (self.highest, self.serial):
            self.highest, self.serial, self.live = highest, serial, live


@dataclass(slots=True)
class AuditHistory:
    """All of them."""

    keys: dict[tuple[str, Key], KeyHistory] = field(default_factory=dict)
    """By installation and ApiKey."""
    lines: int = 0
    unreadable: int = 0
    of_installation: Counter[str] = field(default_factory=Counter)
    """How many lines there are of each."""

    def take(self, lines: Iterable[bytes]) -> None:
        """Read some more; a line that is none is counted."""
        for line in lines:
            if line.strip():
                self.lines += 1
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            fields = None
        match fields:
            case {"installation": str(installation), "namespace": str(namespace), "name": str(name), "serial": int(serial)}:
                self.of_installation[installation] += 1
                history = self.keys.setdefault((installation, Key(namespace, name)), KeyHistory())
                history.take(serial, objects_of(fields, "versions"))
            case _:
                self.unreadable += 1
