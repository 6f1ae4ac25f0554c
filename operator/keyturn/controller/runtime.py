"""What the reconcilers work with: the connection, the caches and the little that is remembered between two reconciles.

Everything remembered may be lost at any moment: it costs a request or a repeat, never a key. Made by `run.py`, given to
the handlers as Kopf's memo.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Generic, Self, TypeVar

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import Clock
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.base.settings import Settings
from keyturn.cluster.cache import Cache
from keyturn.cluster.client import Client
from keyturn.cluster.credential_secrets import CredentialSecrets
from keyturn.cluster.raw import resource_version_of, uid_of
from keyturn.cluster.record_secrets import RecordSecrets, StoredRecord
from keyturn.controller.apikey.manifest import adds_only_status, compact_apikey
from keyturn.controller.audit import AuditLog
from keyturn.controller.census import Census
from keyturn.controller.claims import Claims
from keyturn.controller.installation import Installation
from keyturn.controller.key_set import KeySet
from keyturn.controller.key_use import KeyUses
from keyturn.controller.known_secrets import KnownSecrets
from keyturn.controller.products import Products
from keyturn.controller.revocations import Revocations
from keyturn.controller.verifiers import Verifiers
from keyturn.controller.witnesses import Witnesses
from keyturn.controller.workqueue import WorkQueue
from keyturn.keys.record import Record, SecretFingerprint
from keyturn.lifecycle.announcement import EventText
from keyturn.lifecycle.contest import EditsUndone
from keyturn.lifecycle.pacing import RotationPacer
from keyturn.lifecycle.plan import Annotate, Step, Waiting
from keyturn.lifecycle.rollout_memory import RolloutFacts

T = TypeVar("T")

RECENT_LIMIT = 128
DELETED_UIDS_LIMIT = 4096
OWED_LIMIT = 16
RIVALS_WOKEN = 16
"""Of ApiKeys that want one Secret: a namespace with ten thousand of them shall not cost ten thousand looks at each change of it."""
CLOCK_SKEW_LIMIT = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class HeldToken:
    """A minted plaintext that was not delivered yet."""

    number: int
    plaintext: Plaintext
    digest: str


@dataclass(frozen=True, slots=True)
class CheckedSecret:
    """What reading a credential Secret's body told, for as long as its resourceVersion stands."""

    resource_version: int
    uid: str
    fingerprint: SecretFingerprint
    key_id: str
    intact: bool
    token_digest: str | None
    foreign: str | None = None


@dataclass(frozen=True, slots=True)
class ParsedApiKey:
    """An ApiKey read from its JSON; None: it is going. `status` is the JSON itself, to compare with."""

    apikey: ApiKey | None
    problem: str | None
    status: Mapping[str, object]


class Recent(Generic[T]):
    """The decoded form of the objects worked on last, by resourceVersion: several reconciles of one object decode it once."""

    __slots__ = ("_items", "_limit")

    def __init__(self, limit: int) -> None:
        self._items: OrderedDict[Key, tuple[int, T]] = OrderedDict()
        self._limit = limit

    def get(self, key: Key, version: int) -> T | None:
        """The decoded form of exactly this version."""
        found = self._items.get(key)
        return found[1] if found is not None and found[0] == version else None

    def put(self, key: Key, version: int, value: T) -> None:
        """Keep it, and let the oldest go."""
        self._items[key] = (version, value)
        self._items.move_to_end(key)
        while len(self._items) > self._limit:
            self._items.popitem(last=False)


@dataclass(slots=True)
class Memory:
    """What this process knows beside the cluster."""

    held: dict[Key, dict[int, HeldToken]] = field(default_factory=dict)
    checked: dict[Key, CheckedSecret] = field(default_factory=dict)
    rollouts: dict[Key, RolloutFacts] = field(default_factory=dict)
    announced: dict[Key, int] = field(default_factory=dict)
    untold: dict[Key, int] = field(default_factory=dict)
    """Records written, or about to be, and not told of yet: the lowest such serial of each."""
    owed_events: dict[Key, tuple[tuple[str, EventText], ...]] = field(default_factory=dict)
    """Events, with their ApiKey's uid, that the API server would not take yet, oldest first."""
    announced_before: int = 0
    """Records with a serial up to this one were announced by an earlier process."""
    status_on_its_way: dict[Key, Mapping[str, object]] = field(default_factory=dict)
    """What is being written as status at this moment: its echo may arrive before its answer."""
    unlabelled: KeySet = field(default_factory=KeySet)
    """ApiKeys whose Secret's name is taken by something the watch does not show."""
    secret_owners: dict[Key, dict[str, None]] = field(default_factory=dict)
    """ApiKey names by Secret, where the two differ. Several: only one of them owns it, the others wait for it."""
    buried: dict[Key, int] = field(default_factory=dict)
    """Records, by resourceVersion, whose ApiKey is gone and which need nothing more."""
    decoded: Recent[Record] = field(default_factory=lambda: Recent(RECENT_LIMIT))
    """Records being worked on, decoded and believed."""
    deleted_uids: OrderedDict[str, Key] = field(default_factory=OrderedDict)
    """Of ApiKeys deleted lately."""
    census: Census = field(default_factory=Census)
    edits_undone: dict[Key, EditsUndone] = field(default_factory=dict)
    """Edits of others beside the key, undone lately."""
    damaged: dict[Key, int] = field(default_factory=dict)
    """Records that cannot be believed, by resourceVersion: counted once each."""
    parsed: Recent[ParsedApiKey] = field(default_factory=lambda: Recent(RECENT_LIMIT))
    """ApiKeys being worked on."""

    def announced_serial(self, key: Key) -> int:
        """Up to which serial this record's changes were told."""
        return self.announced.get(key, self.announced_before)

    def will_tell(self, key: Key, serial: int) -> None:
        """A record is about to be written, or was by somebody who may not have told of it."""
        self.untold[key] = min(serial, self.untold.get(key, serial))

    def told(self, key: Key, serial: int) -> None:
        """Audit line and Event of a record's state are out."""
        self.announced[key] = serial
        self.untold.pop(key, None)

    def owe_event(self, key: Key, uid: str, text: EventText) -> None:
        """An Event is to be posted; a repeat is the same one."""
        owed = [each for each in self.owed_events.get(key, ()) if each[1].seed != text.seed]
        self.owed_events[key] = (*owed, (uid, text))[-OWED_LIMIT:]

    def event_is_posted(self, key: Key, text: EventText) -> None:
        """One less to post."""
        left = tuple(each for each in self.owed_events.get(key, ()) if each[1].seed != text.seed)
        if left:
            self.owed_events[key] = left
        else:
            self.owed_events.pop(key, None)

    def told_through(self, now: int) -> int:
        """The serial up to which everything is told, where `now` (unix milliseconds) is told unless something is known to be missing."""
        return min(self.untold.values(), default=now + 1) - 1

    def note_refusal(self, key: Key, step: Step, why: Waiting) -> None:
        """A step was refused. Of a workload it is told until the next look, whatever else wakes the key."""
        facts = self.rollouts.get(key)
        if isinstance(step, Annotate) and facts is not None:
            self.rollouts[key] = replace(facts, refused=why)

    def edits_undone_lately(self, key: Key, now: datetime) -> EditsUndone | None:
        """What was undone in a key's Secret, for as long as that counts."""
        undone = self.edits_undone.get(key)
        if undone is None or now < undone.over_time:
            return undone
        del self.edits_undone[key]
        return None

    def hold(self, key: Key, token: HeldToken) -> None:
        """Keep a plaintext until it is delivered."""
        self.held.setdefault(key, {})[token.number] = token

    def keep_held(self, key: Key, numbers: Iterable[int]) -> None:
        """Drop every held plaintext but these."""
        tokens = self.held.get(key)
        if tokens is None:
            return
        wanted = set(numbers)
        for number in [number for number in tokens if number not in wanted]:
            del tokens[number]
        if not tokens:
            del self.held[key]

    def note_owner(self, where: Key, name: str) -> None:
        """An ApiKey wants its key in a Secret of another name."""
        self.secret_owners.setdefault(where, {})[name] = None

    def forget(self, key: Key) -> None:
        """The ApiKey and its record are settled for good."""
        for remembered in (self.held, self.checked, self.rollouts, self.announced, self.owed_events, self.damaged, self.edits_undone):
            remembered.pop(key, None)
        self.unlabelled.discard(key)
        self.census.forget(key)


@dataclass(slots=True)
class Runtime:
    """One operator process."""

    settings: Settings
    clock: Clock
    client: Client
    installation: Installation
    apikeys: Cache[bytes]
    """ApiKeys as JSON, without what Keyturn never reads."""
    records: Cache[StoredRecord]
    secrets: KnownSecrets
    record_secrets: RecordSecrets
    credential_secrets: CredentialSecrets
    pacer: RotationPacer
    audit: AuditLog
    is_leading: Callable[[], bool]
    has_argo_rollouts: bool = False
    follows_revocations: bool = True
    memory: Memory = field(default_factory=Memory)
    queue: WorkQueue = field(init=False)
    verifiers: Verifiers = field(init=False)
    uses: KeyUses = field(init=False)
    products: Products = field(init=False)
    revocations: Revocations = field(init=False)
    claims: Claims = field(init=False)
    witnesses: Witnesses = field(init=False)

    def __copy__(self) -> Self:
        """Kopf copies the memo for every object; there is one runtime."""
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    @property
    def clock_is_off(self) -> bool:
        """Whether the API server's clock and ours differ too much for steps that depend on the time."""
        skew = self.client.clock_skew
        return skew is not None and abs(skew) > CLOCK_SKEW_LIMIT

    def keep_apikey(self, key: Key, raw: Mapping[str, object]) -> bool:
        """Take an ApiKey that a watch or an answer delivered; False if it is no news, or of an ApiKey that was deleted since."""
        held = self.apikeys.get(key)
        if uid_of(raw) in self.memory.deleted_uids or (held is not None and resource_version_of(raw) <= held.resource_version):
            return False
        return self.apikeys.put(key, *compact_apikey(raw))

    def is_own_echo(self, key: Key, raw: Mapping[str, object]) -> bool:
        """Whether an ApiKey that a watch delivered differs from what is held by nothing but the status that is being written."""
        wanted, held = self.memory.status_on_its_way.get(key), self.apikeys.get(key)
        return wanted is not None and held is not None and adds_only_status(held.value, raw, status=wanted)

    def drop_apikey(self, key: Key, raw: Mapping[str, object]) -> bool:
        """Take a deletion. A late answer to a write of ours must not bring the ApiKey back, so its uid is remembered for a while."""
        uid = uid_of(raw)
        self.memory.deleted_uids[uid] = key
        while len(self.memory.deleted_uids) > DELETED_UIDS_LIMIT:
            self.memory.deleted_uids.popitem(last=False)
        self.secrets.doubtful.discard(key)
        held = self.apikeys.get(key)
        if held is not None and held.uid == uid:
            self.apikeys.remove(key, held.resource_version)
        return True

    def pacer_time(self, namespace: str, now: datetime) -> datetime | None:
        """When the next scheduled rotation of a namespace may start; None: at once."""
        earliest = self.pacer.earliest(namespace, now=now)
        return earliest if earliest > now else None

    def apikeys_of_secret(self, where: Key) -> tuple[Key, ...]:
        """Which living ApiKeys want their key to stand there: whose it is, and a few of many; the others look again by themselves."""
        entry = self.secrets.get(where)
        wanting = self.memory.secret_owners.get(where, {})
        named = [where.name, *([entry.value.apikey_name] if entry is not None and entry.value.apikey_name in wanting else [])]
        for name in list(islice(wanting, RIVALS_WOKEN)):
            if Key(where.namespace, name) in self.apikeys:
                named.append(name)
            else:
                del wanting[name]
        if not wanting:
            self.memory.secret_owners.pop(where, None)
        found = (Key(where.namespace, name) for name in dict.fromkeys(named))
        return tuple(key for key in found if key in self.apikeys)
