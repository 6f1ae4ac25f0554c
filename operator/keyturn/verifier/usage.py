"""What this replica knows of the use of keys. Pure: the clock's reading goes in, texts for `service/use_report.py` come out.

A request costs one addition to a set (`note`); everything else is done for all requests of a second at once, by `collect`. So a use
is dated by the end of its second: later than it was, never earlier, and an old key's quiet never looks longer than it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Final

from keyturn.api.use_report import LARGEST, shard_of, write_days, write_retiring
from keyturn.verifier.live_key import LiveKey

SECONDS_A_DAY: Final = 86_400
UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).toordinal()


class Usage:
    """Belongs to one event loop or thread, as the store it is about; `note` may be called from any."""

    def __init__(self) -> None:
        self._touched: set[str] = set()
        self.note = self._touched.add
        """Tell of one accepted request, by its key ID: for `Guard.on_use`."""
        self.retiring = RetiringUse()
        self.days = DaysOfUse()
        self._last: dict[str, int] = {}
        """By key ID, of every version: which of them retires next is not known."""

    def __len__(self) -> int:
        """How many versions were used."""
        return len(self._last)

    def collect(self, live: Mapping[str, LiveKey], retiring: AbstractSet[str], *, now: float) -> None:
        """Take in what was noted since the last call. `retiring`: key IDs of the versions whose end is fixed."""
        touched = list(self._touched)
        self._touched.difference_update(touched)
        at = int(-(-now // 1))  # one object for all of them
        day = UNIX_EPOCH + at // SECONDS_A_DAY
        for key_id in touched:
            key = live.get(key_id)
            if key is not None:  # else it ended a moment ago
                self._last[key.key_id] = at  # the store's own text: a request's would be a second one
                self.days.note(key.record_name, day)
        self.retiring.follow(retiring, self._last)

    def forget_ended(self, live: Mapping[str, LiveKey]) -> None:
        """Drop what is about versions and ApiKeys that are no more; looks at every one of them, so call it rarely."""
        for key_id in self._last.keys() - live.keys():
            del self._last[key_id]
        self.days.keep({key.record_name for key in live.values()})

    def may_have_been_used(self, key_ids: Iterable[str], *, now: float) -> None:
        """An earlier process of this name knew these as Retiring and may have died with the last uses untold."""
        for key_id in key_ids:
            self._last.setdefault(key_id, int(-(-now // 1)))


class RetiringUse:
    """The last uses of the versions whose end is fixed, each of them named: what is not named here is not known as Retiring here."""

    def __init__(self) -> None:
        self._uses: dict[str, int | None] = {}
        self._written: dict[str, int | None] | None = None
        self._count = 1

    def follow(self, retiring: AbstractSet[str], last: Mapping[str, int]) -> None:
        """Take the present state."""
        self._uses = {key_id: last.get(key_id) for key_id in retiring}

    @property
    def changed(self) -> bool:
        """Whether it differs from what was written; True before anything was."""
        return self._uses != self._written

    def texts(self) -> list[str]:
        """What is to be written, by shard."""
        while True:
            parts: list[dict[str, int | None]] = [{} for _ in range(self._count)]
            for key_id, at in self._uses.items():
                parts[shard_of(key_id, self._count)][key_id] = at
            texts = [write_retiring(part) for part in parts]
            if max(map(len, texts)) <= LARGEST:
                return texts
            self._count *= 2

    def note_written(self) -> None:
        """The texts of this moment stand in the cluster."""
        self._written = self._uses

    def forget_written(self) -> None:
        """Whether they still do is not known."""
        self._written = None


class DaysOfUse:
    """The last day each ApiKey was used, in as many parts as ConfigMaps are needed."""

    def __init__(self) -> None:
        self._parts: list[dict[str, int]] = [{}]
        self._sizes = [0]
        self._news: set[int] = set()
        self._changed: set[int] = set()

    def __len__(self) -> int:
        """How many ApiKeys were used."""
        return sum(map(len, self._parts))

    def note(self, record_name: str, day: int) -> None:
        """It was used on that day."""
        shard = shard_of(record_name, len(self._parts))
        part = self._parts[shard]
        before = part.get(record_name)
        if before is not None and before >= day:
            return
        part[record_name] = day
        self._changed.add(shard)
        if before is None or before < day - 1:
            self._news.add(shard)
        if before is None:
            self._sizes[shard] += _line_length(record_name)
            if self._sizes[shard] > LARGEST:
                self._split()

    def keep(self, record_names: AbstractSet[str]) -> None:
        """Drop all others."""
        for shard, part in enumerate(self._parts):
            gone = part.keys() - record_names
            for record_name in gone:
                del part[record_name]
                self._sizes[shard] -= _line_length(record_name)
            if gone:
                self._changed.add(shard)

    @property
    def news(self) -> AbstractSet[int]:
        """Shards in which an ApiKey was used that was not for a day or more: somebody may wait to see it."""
        return self._news

    @property
    def changed(self) -> AbstractSet[int]:
        """Shards that differ from what was written, by the steady use of another day too."""
        return self._changed

    def take(self, shard: int) -> str:
        """What is to be written of a shard; it counts as written until `give_back`."""
        self._news.discard(shard)
        self._changed.discard(shard)
        return write_days(self._parts[shard])

    def give_back(self, shard: int) -> None:
        """It could not be written."""
        self._changed.add(shard)
        self._news.add(shard)

    def _split(self) -> None:
        """Twice as many parts: every one of them is written anew, which happens a few times in a replica's life."""
        known = {name: day for part in self._parts for name, day in part.items()}
        count = 2 * len(self._parts)
        self._parts = [{} for _ in range(count)]
        self._sizes = [0] * count
        for name, day in known.items():
            shard = shard_of(name, count)
            self._parts[shard][name] = day
            self._sizes[shard] += _line_length(name)
        self._changed = set(range(count))
        self._news = set(self._changed)


def _line_length(record_name: str) -> int:
    return len(record_name) + len(" 2026-11-24\n")
