"""What a verifier knows of the cluster's keys, in memory: records in, a `View` for `check.py` out. No I/O and no clock.

Before it: a watch of the records' namespace, or a snapshot. Three things that a cache of Kubernetes objects would get wrong:

- Only what the operator signed counts, and a record is checked before what is held of it is given up.
- A record that is older than the one held is a replay, or a restored backup: it is ignored, and said. So is one that was written over
  such a record: dead stays dead, whatever a ledger says that lost its memory.
- A record that vanishes stays in force for a while: who can delete Secrets must not be able to stop an API at once. The end of a key is a
  record that says so; one that only vanished is believed for as long as a silent cluster would be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from keyturn.base.names import Key
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Damaged, Forged, Genuine, TooNew, UnknownSigner, verify_record
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.live_key import FOREVER, LiveKey, Power, Terms, live_keys

T = TypeVar("T", Power, Terms)


class Taken(StrEnum):
    """What became of a record that was offered: a label for metrics. All but the first two are alarms."""

    APPLIED = "applied"
    """It is in force."""
    SAME = "same"
    """It was in force already."""
    OLDER = "older"
    """Its serial is lower than the one in force: a replay, or a restored backup."""
    FORKED = "forked"
    """Newer, and written over an older one: it forgot numbers, or calls a version live that the one in force proves dead."""
    FORGED = "forged"
    """Not what the operator signed, or not for this ApiKey."""
    UNKNOWN_SIGNER = "unknown_signer"
    """Signed by a key that is not published here."""
    TOO_NEW = "too_new"
    """Written by a newer operator, in a format that must not be guessed at."""
    DAMAGED = "damaged"
    """Signed, but not readable."""


@dataclass(frozen=True, slots=True)
class OfferedRecord:
    """A record as it stands in its Secret."""

    record_name: str
    data: bytes
    signature: bytes

    @property
    def key(self) -> Key:
        """Whose record it claims to be."""
        return Key.of_record(self.record_name)


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one record, whoever asks: a proof that every number up to `highest` is dead but for those of `live`."""

    serial: int = 0
    highest: int = 0
    live: frozenset[str] = frozenset()
    """Key IDs."""


NOTHING: Final = Held()


class Store:
    """Changed by one event loop or thread at a time; a check may run at any moment, in any other too."""

    def __init__(self, keys: VerificationKeys) -> None:
        self.keys = keys
        """The public keys whose signatures count. Replace them when new ones are published."""
        self.heard = float("-inf")
        """When the cluster was last heard from, in unix seconds."""
        self.is_complete = False
        """Whether every record was read once."""
        self.is_waited_for: Callable[[], bool] = lambda: True
        """Whether no key is given out before it is known here. Where there is nobody to wait (a test, a snapshot by hand), always."""
        self.retiring: set[str] = set()
        """Key IDs of the live versions whose end is fixed: they were replaced."""
        self.vanished: dict[str, float] = {}
        """Records that are gone from the cluster without a word, and since when, in unix seconds. They stay in force here for a while."""
        self._live: dict[str, LiveKey] = {}
        self._imported: dict[bytes, LiveKey] = {}
        self._held: dict[str, tuple[LiveKey, ...] | LiveKey | Held] = {}
        """By record name: its live versions, or the rest alone where it has none. One version, by far the most frequent: itself."""
        self._powers: WeakValueDictionary[Power, Power] = WeakValueDictionary()
        self._terms: WeakValueDictionary[Terms, Terms] = WeakValueDictionary()

    @property
    def live(self) -> Mapping[str, LiveKey]:
        """Every version that may be accepted, by key ID."""
        return self._live

    @property
    def imported(self) -> Mapping[bytes, LiveKey]:
        """Those of them that were made elsewhere, by digest."""
        return self._imported

    @property
    def is_caught_up(self) -> bool:
        """Whether a key that is not known here does not exist. Asked for unknown keys only."""
        return self.is_complete and self.is_waited_for()

    def __len__(self) -> int:
        """How many records are held."""
        return len(self._held)

    def names(self) -> frozenset[str]:
        """Of all records held, tombstones too."""
        return frozenset(self._held)

    def serial_of(self, record_name: str) -> int:
        """The serial of the record in force; 0: there is none."""
        return self.held(record_name).serial

    def held(self, record_name: str) -> Held:
        """What the record in force says; all zero: there is none."""
        held = self._held.get(record_name, NOTHING)
        if isinstance(held, Held):
            return held
        versions = _versions(held)
        return Held(versions[0].serial, versions[0].highest, frozenset(version.key_id for version in versions))

    def take(self, offered: OfferedRecord) -> Taken:
        """Put a record in force, if it is genuine and not older than the one held. Never raises, whatever it holds."""
        verdict = verify_record(offered.data, signature=offered.signature, keys=self.keys, expected=offered.key, installation=None)
        match verdict:
            case Genuine(record):
                return self._take_genuine(offered.record_name, record)
            case Forged():
                return Taken.FORGED
            case UnknownSigner():
                return Taken.UNKNOWN_SIGNER
            case TooNew():
                return Taken.TOO_NEW
            case Damaged():
                return Taken.DAMAGED

    def note_vanished(self, record_name: str, *, at: float) -> bool:
        """A record is gone from the cluster since `at`; True if that is news of live versions. They count on until they are stale.

        Where it held none it was a tombstone, whose serial is kept: an old record of that name must not come back.
        """
        held = self._held.get(record_name, NOTHING)
        if isinstance(held, Held) or record_name in self.vanished:
            return False
        self.vanished[record_name] = at
        self._put(record_name, tuple(self._believed(version, since=at) for version in _versions(held)), otherwise=NOTHING)
        return True

    def note_listed(self, record_names: AbstractSet[str], *, at: float) -> None:
        """A whole list was taken: whatever was not in it has vanished."""
        for record_name in self._held.keys() - record_names:
            self.note_vanished(record_name, at=at)

    def _take_genuine(self, record_name: str, record: Record) -> Taken:
        held = self.held(record_name)
        if record.serial < held.serial:
            return Taken.OLDER
        if record.serial == held.serial and record_name not in self.vanished:
            return Taken.SAME
        try:
            versions = tuple(self._shared(version) for version in live_keys(record, record_name=record_name))
        except (ValueError, OverflowError):  # a CIDR that is none, a serial beyond 64 bits
            return Taken.DAMAGED
        if record.highest < held.highest or any(_is_revived(version, held) for version in versions):
            return Taken.FORKED
        self.vanished.pop(record_name, None)
        self._put(record_name, versions, otherwise=Held(record.serial, record.highest))
        return Taken.APPLIED if record.serial > held.serial else Taken.SAME

    def _put(self, record_name: str, versions: tuple[LiveKey, ...], *, otherwise: Held) -> None:
        before = self._held.get(record_name, NOTHING)
        for version in versions:  # first: a key that goes on counting must not be unknown in between, to another thread
            self._index(version)
        self._held[record_name] = _compact(versions, otherwise=otherwise)
        self._drop(before)

    def _drop(self, held: tuple[LiveKey, ...] | LiveKey | Held) -> None:
        if isinstance(held, Held):
            return
        for version in _versions(held):
            # Not where the record still has it, nor where two records name one key ID: the later one has it.
            if self._live.get(version.key_id) is version:
                del self._live[version.key_id]
                self.retiring.discard(version.key_id)
            if self._imported.get(version.digest) is version:
                del self._imported[version.digest]

    def _index(self, version: LiveKey) -> None:
        """The ID of an imported key is what somebody wrote into a spec: it takes no other record's place."""
        if version.terms.imported:
            self._imported[version.digest] = version
            if self._live.get(version.key_id, version).record_name != version.record_name:
                return
        self._live[version.key_id] = version
        (self.retiring.discard if version.terms.not_after == FOREVER else self.retiring.add)(version.key_id)

    def _believed(self, version: LiveKey, *, since: float) -> LiveKey:
        return self._shared(version._replace(terms=replace(version.terms, believed_until=since + version.terms.power.staleness)))

    def _shared(self, version: LiveKey) -> LiveKey:
        """The same with what thousands of keys have in common held once."""
        terms = replace(version.terms, power=_one_of(self._powers, version.terms.power))
        return version._replace(terms=_one_of(self._terms, terms))


def _is_revived(version: LiveKey, held: Held) -> bool:
    """Whether the record that is held proves this version dead."""
    return version.version <= held.highest and version.key_id not in held.live


def _one_of(known: WeakValueDictionary[T, T], item: T) -> T:
    return known.setdefault(item, item)


def _versions(held: tuple[LiveKey, ...] | LiveKey) -> tuple[LiveKey, ...]:
    return (held,) if isinstance(held, LiveKey) else held  # a LiveKey is a tuple as well


def _compact(versions: tuple[LiveKey, ...], *, otherwise: Held) -> tuple[LiveKey, ...] | LiveKey | Held:
    match versions:
        case ():
            return otherwise
        case (only,):
            return only
        case _:
            return versions
