"""One key, one life: the law of keys that were made elsewhere, listed by several ApiKeys, whoever lists, deletes and restarts when."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from gen.lifecycle import NOW, observed
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.names import Key
from keyturn.cluster.cache import Cache
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.controller.claims import Claims
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.plan import SaveRecord

NAMES = (Key("shop", "first"), Key("shop", "second"), Key("mail", "first"))
DIGESTS = tuple(digest_token(f"sk-{number}") for number in range(3))
OVERLAP = {"gracePeriod": "1h", "overlapLimit": "4h"}
NAME, DIGEST = st.sampled_from(NAMES), st.sampled_from(DIGESTS)


@dataclass(slots=True)
class Stored:
    """A record with the version of its last write; R4 rests on it."""

    record: Record
    version: int


@dataclass(slots=True)
class Decided:
    """A write that was decided, and is not done yet."""

    key: Key
    record: Record
    over: int


class Operator:
    """One process: what its watch has shown, and the claims it made of that."""

    def __init__(self, records: dict[Key, Stored]) -> None:
        self.seen = dict(records)
        self._cache = Cache[StoredRecord]()
        for key, each in self.seen.items():
            self._cache.put(key, StoredRecord(encode_record(each.record), b""), each.version, str(key))
        self.claims = Claims(records=self._cache, read=self.read)

    def read(self, key: Key) -> Record | None:
        stored = self.seen.get(key)
        return stored.record if stored is not None else None

    def learn(self, key: Key, stored: Stored) -> None:
        self.seen[key] = stored
        self._cache.put(key, StoredRecord(encode_record(stored.record), b""), stored.version, str(key))
        self.claims.note(key, stored.record)


@dataclass(slots=True)
class Cluster:
    """ApiKeys and records, and which keys ended."""

    now: datetime = NOW
    apikeys: dict[Key, ApiKey] = field(default_factory=dict)
    records: dict[Key, Stored] = field(default_factory=dict)
    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    died: set[str] = field(default_factory=set)

    def live(self) -> list[str]:
        return [entry.digest for each in self.records.values() for entry in each.record.versions]

    def list(self, key: Key, digests: tuple[str, ...]) -> None:
        """The ApiKey as its author wants it now, a new one if there was none."""
        known = self.apikeys.get(key)
        uid = known.metadata.uid if known is not None else f"uid-{next(self.versions)}"
        metadata = {"name": key.name, "namespace": key.namespace, "uid": uid, "generation": 1}
        spec = {"delivery": "None", "digests": [{"digest": each} for each in digests], "rotation": OVERLAP}
        self.apikeys[key] = ApiKey.model_validate({"metadata": metadata, "spec": spec})

    def decide(self, operator: Operator, key: Key) -> Decided | None:
        """What an operator would write next, by what it has seen."""
        apikey, known = self.apikeys.get(key), operator.seen.get(key)
        elsewhere = operator.claims.elsewhere(apikey, now=self.now) if apikey is not None else {}
        record = known.record if known is not None else None
        seen = observed(record, key=key, now=self.now, apikey=apikey, elsewhere=elsewhere)
        step = next(iter(decide(seen).steps), None)
        return Decided(key, step.record, known.version if known is not None else 0) if isinstance(step, SaveRecord) else None

    def write(self, operator: Operator, decided: Decided) -> None:
        """Write it, unless the record is another one by now."""
        stored = self.records.get(decided.key)
        if (stored.version if stored is not None else 0) == decided.over:
            before = set(self.live())
            signed = decided.record.with_serial(now_ms=int(self.now.timestamp() * 1000))
            stored = self.records[decided.key] = Stored(signed, next(self.versions))
            self.died |= before - set(self.live())
        if stored is not None:
            operator.learn(decided.key, stored)


class SeveralNames(RuleBasedStateMachine):
    """Three ApiKeys that list the same keys, the operator that leads, and one that woke up from a long sleep."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.leader = Operator({})
        self.sleeper = Operator({})
        self.late: list[Decided] = []
        self.has_raced = False

    @rule(key=NAME, digests=st.lists(DIGEST, min_size=1, max_size=2, unique=True))
    def it_is_listed(self, key: Key, digests: list[str]) -> None:
        self.cluster.list(key, tuple(digests))

    @rule(key=NAME)
    def an_apikey_is_deleted(self, key: Key) -> None:
        self.cluster.apikeys.pop(key, None)

    @rule(key=NAME, seconds=st.sampled_from([1, 6]))
    def the_leader_works(self, key: Key, seconds: int) -> None:
        for _ in range(4):
            decided = self.cluster.decide(self.leader, key)
            if decided is not None:
                self.cluster.write(self.leader, decided)
            self.cluster.now += timedelta(seconds=seconds)

    @rule(key=NAME)
    def an_apikey_is_gone_for_long(self, key: Key) -> None:
        """Until its tombstones are."""
        self.an_apikey_is_deleted(key)
        self.the_leader_works(key, 1)
        self.cluster.now += timedelta(days=91)
        self.the_leader_works(key, 1)

    @rule()
    def the_leader_is_started_anew(self) -> None:
        self.leader = Operator(self.cluster.records)

    @rule(key=NAME)
    def the_sleeper_decides(self, key: Key) -> None:
        decided = self.cluster.decide(self.sleeper, key)
        self.late += [decided] if decided is not None else []

    @rule(looks=st.booleans())
    def the_sleeper_wakes(self, looks: bool) -> None:
        """What it had decided is written now, where the record is still the one it saw."""
        self.has_raced = self.has_raced or bool(self.late)
        for decided in self.late:
            self.cluster.write(self.sleeper, decided)
            self.leader.learn(decided.key, self.cluster.records[decided.key])
        self.late.clear()
        if looks:
            self.sleeper = Operator(self.cluster.records)

    @invariant()
    def what_ended_stays_dead(self) -> None:
        """At every moment, as long as one operator works at a time; and in the end, whoever did."""
        live = self.cluster.live()
        if not self.has_raced:
            assert not self.cluster.died & set(live)
            assert len(live) == len(set(live)), "one key stands in two records"

    def teardown(self) -> None:
        for _ in range(6):
            for key in NAMES:
                self.the_leader_works(key, 6)
        self.has_raced = False
        self.what_ended_stays_dead()


SeveralNames.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSeveralNames = SeveralNames.TestCase
