"""A world in memory for the laws of the life cycle: one ApiKey, its record and its Secret, and any number of operators.

It is no mock of Kubernetes: it knows of the API server only what the rules R1 to R5 rest on, namely that a write of an
object whose resourceVersion moved is refused. Every decision is made by the product's own `decide`.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from gen.verifier_memory import Memory
from gen.world_parts import Actor, Luck, Reports, Stored, StoredSecret
from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeyStatus, Delivery, SealedKey
from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import Record, SecretFingerprint, VersionEntry
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.credential_secret import keeps_previous, template_digest
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import GoodRecord, NoRecord, NoSecret, Observed, OurSecret
from keyturn.lifecycle.old_key_use import NOBODY_REPORTS, KeyUse, ReplicaLife, ReplicaUse
from keyturn.lifecycle.plan import Annotate, Announce, Change, Deliver, Plan, RenderSecret, SaveRecord, Seal, Stage, Step
from keyturn.lifecycle.revocation_hit import NewestRevocations, RevocationHit, hit_on, knowing
from keyturn.lifecycle.rotation_timing import effective_rotation
from keyturn.lifecycle.versions import delivered

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Key("shop", "billing")
INSTALLATION = "0123456789abcdef"
BY_INTENT = ("MinVersion", "Expired", "ApiKeyDeleted", "OldRecordRestored", "Leaked", "Revoked")
"""Ends that do not wait for the Secret to hold another key."""


@lru_cache(maxsize=256)
def _parsed(text: str) -> ApiKey:
    return ApiKey.model_validate_json(text)


@dataclass(slots=True)
class World:
    """The cluster, and everything the laws must remember of its past."""

    settings: Settings
    spec: dict[str, object] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    uid: str = "uid-1"
    exists: bool = True
    now: datetime = NOW
    status: ApiKeyStatus | None = None
    record: Stored | None = None
    secret: Stored | None = None
    versions: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    minted: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    died: dict[str, str] = field(default_factory=dict)
    """Key IDs that ended, and why."""
    numbers: dict[int, str] = field(default_factory=dict)
    """Which key ID each number was given to."""
    not_after: dict[str, datetime] = field(default_factory=dict)
    writes: int = 0
    tampered: bool = False
    """Somebody wrote to record or Secret behind the operators' backs since the last rest."""
    complaints: list[str] = field(default_factory=list)
    revocations: list[ApiKeyRevocation] = field(default_factory=list)
    memory: Memory | None = None
    """A verifier that remembers, and tells; None: nobody does."""
    asked: set[str] = field(default_factory=set)
    """Key IDs that revocations named, deleted ones too."""
    born: set[str] = field(default_factory=set)
    meant: set[str] = field(default_factory=set)
    """Key IDs that there were when a revocation of all that was minted before was created: what is minted later is a successor."""
    condemned: dict[str, frozenset[str]] = field(default_factory=dict)
    """Key IDs that there were when each revocation was created that means all of them at once."""
    revoked: set[str] = field(default_factory=set)
    """Key IDs that a revocation ended. No verifier may ever be told to accept one again."""
    reports: Reports = Reports.NONE
    last_use: dict[str, datetime] = field(default_factory=dict)
    """When clients last used each key ID."""
    sealed: set[str] = field(default_factory=set)
    """Key IDs that stood in the status, encrypted: their person may have them."""
    received: set[str] = field(default_factory=set)
    """Key IDs of which somebody said that they have them."""

    @property
    def apikey(self) -> ApiKey | None:
        if not self.exists:
            return None
        metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": self.uid, "generation": 1, "annotations": self.annotations}
        text = json.dumps({"metadata": metadata, "spec": self.spec})
        return _parsed(text).model_copy(update={"status": self.status})

    @property
    def delivery(self) -> Delivery:
        return Delivery(str(self.spec.get("delivery", Delivery.SECRET)))

    # ------------------------------------------------------------------ what an operator does

    def look(self, actor: Actor) -> None:
        """Refresh an actor's view."""
        actor.record, actor.secret, actor.status = self.record, self.secret, self.status

    def observed(self, actor: Actor) -> Observed:
        record, apikey = actor.record.value if actor.record else None, self.apikey
        if apikey is not None and self.delivery is Delivery.SEALED:  # what stands there alone: a view of it may be old as well
            apikey = apikey.model_copy(update={"status": actor.status})
        return Observed(
            now=self.now + actor.skew,
            key=KEY,
            apikey=apikey,
            record=GoodRecord(record) if isinstance(record, Record) else NoRecord(),
            secret=self._secret_seen(actor),
            settings=self.settings,
            installation=INSTALLATION,
            held=frozenset(actor.held.items()),
            revocations=self._hits(record) if isinstance(record, Record) else (),
            newest_revocations=self._newest_revocations,
            use=self._use_seen(record) if isinstance(record, Record) else NOBODY_REPORTS,
            announced_serial=actor.announced,
            attestations=self.memory.says(record if isinstance(record, Record) else None) if self.memory is not None else (),
        )

    def revoke(self, spec: dict[str, object]) -> None:
        """Security creates an ApiKeyRevocation. The API server's clock is the world's, and cuts the time to whole seconds."""
        created = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = f"leak-{next(self.versions)}"
        metadata = {"name": name, "uid": f"{name}-uid", "generation": 1, "creationTimestamp": created}
        self.asked.update(map(str, spec.get("keyIDs", ())))  # type: ignore[call-overload]
        if "keyIDs" not in spec:
            self.meant |= self.born
        if "keyIDs" not in spec and spec.get("mode") == "Immediate":
            self.condemned[name] = frozenset(self.born)
        self.revocations.append(ApiKeyRevocation.model_validate({"metadata": metadata, "spec": {"reason": "Leaked", **spec}}))

    @property
    def _newest_revocations(self) -> NewestRevocations | None:
        newest: NewestRevocations | None = None
        for each in self.revocations:
            created = each.metadata.creation_timestamp
            assert created is not None
            newest = (newest or NewestRevocations(created, frozenset())).with_another(created=created, uid=each.metadata.uid)
        return newest

    def _hits(self, record: Record) -> tuple[RevocationHit, ...]:
        found = (hit_on(each, record) for each in self.revocations)
        return tuple(hit for hit in found if hit is not None)

    def ledger(self) -> Record:
        """The record as it is."""
        assert self.record is not None
        assert isinstance(self.record.value, Record)
        return self.record.value

    def secret_version(self) -> int:
        """Which version the Secret holds; 0: none."""
        return self.secret.value.version if self.secret is not None and isinstance(self.secret.value, StoredSecret) else 0

    def holds_an_accepted_key(self) -> bool:
        """Whether whoever reads the Secret now is let in now."""
        entry = self.ledger().version(self.secret_version())
        return entry is not None and (entry.not_after is None or entry.not_after > self.now)

    def use_old_key(self) -> None:
        """A client that has not moved is still let in."""
        record = self.record.value if self.record else None
        for entry in record.in_state(VersionState.RETIRING) if isinstance(record, Record) else ():
            self.last_use[entry.key_id] = self.now

    def _use_seen(self, record: Record) -> KeyUse:
        old = record.in_state(VersionState.RETIRING)
        if not old or self.reports is Reports.NONE:
            return NOBODY_REPORTS
        if self.reports is Reports.NOTHING:
            return KeyUse(retiring=(ReplicaUse("v", ReplicaLife("v"), knows_version=False),))
        life = ReplicaLife("v", reported_time=self.now)
        return KeyUse(self.now.date(), (ReplicaUse("v", life, last_use_time=self.last_use.get(old[-1].key_id)),))

    def _secret_seen(self, actor: Actor) -> OurSecret | NoSecret:
        stored = actor.secret.value if actor.secret else None
        if not isinstance(stored, StoredSecret) or actor.secret is None or not self.exists:
            return NoSecret()
        fingerprint = SecretFingerprint(
            uid=stored.uid,
            resource_version=str(actor.secret.resource_version),
            version=stored.version,
            digest="d",
            template_digest=stored.template_digest,
            previous_version=stored.previous_version,
        )
        return OurSecret(fingerprint, stored.key_id, intact=stored.intact, token_digest=f"digest-{stored.token_of}")

    def plan(self, actor: Actor) -> Plan:
        return decide(self.observed(actor))

    def step(self, actor: Actor, luck: Luck) -> bool:
        """One actor decides by its view and carries out one step; False: it had nothing to do."""
        seen = self.observed(actor)
        plan = decide(seen)
        if not plan.steps:
            if seen.apikey is not None:
                self._write_status(actor, seen.apikey.status or ApiKeyStatus(), conclude(seen, plan, Outcome()))
            return False
        if luck is Luck.CRASH_BEFORE:
            actor.crash()
            return True
        if luck is not Luck.NO_ANSWER_NOT_DONE:
            self._carry_out(actor, plan.steps[0])
        if luck is Luck.CRASH_AFTER:
            actor.crash()
        if luck is not Luck.FINE:
            self.look(actor)
        return True

    def _write_status(self, actor: Actor, before: ApiKeyStatus, wanted: ApiKeyStatus) -> None:
        """A merge patch of the difference, without a resourceVersion: it goes over whatever stands there."""
        news = {name: value for name in ApiKeyStatus.model_fields if (value := getattr(wanted, name)) != getattr(before, name)}
        self.status = actor.status = (self.status or ApiKeyStatus()).model_copy(update=news)

    def _carry_out(self, actor: Actor, step: Step) -> None:
        match step:
            case Announce(record):
                actor.announced = record.serial
            case Stage():
                self._stage(actor, step)
            case SaveRecord(record, create):
                self._save(actor, record, create=create)
            case Deliver():
                self._deliver(actor, step)
            case Seal():
                self._seal(actor, step)
            case RenderSecret():
                self._render(actor, step)
            case Annotate():
                raise AssertionError("there are no workloads here")

    def _stage(self, actor: Actor, step: Stage) -> None:
        key_id = f"key{next(self.minted):04}"
        entry = VersionEntry(
            number=step.number,
            key_id=key_id,
            digest=f"digest-{key_id}",
            state=VersionState.STAGED,
            staged_time=self.now + actor.skew,
            cause=step.cause,
        )
        entry = knowing(entry, self._newest_revocations, now=self.now + actor.skew)
        actor.held[step.number] = key_id
        self.born.add(key_id)
        highest = max(step.base.highest, step.number)
        record = replace(step.base, versions=(*step.base.versions, entry), highest=highest, change=Change.STAGED, ended_time=None)
        self._save(actor, record, create=step.create)

    def _save(self, actor: Actor, record: Record, *, create: bool) -> None:
        seen = actor.record.resource_version if actor.record and not create else None
        actual = self.record.resource_version if self.record else None
        if seen != actual:
            self.look(actor)  # a 409
            return
        before = self.record.value if self.record else None
        self.born.update(entry.key_id for entry in record.versions)
        signed = record.with_serial(now_ms=int((self.now + actor.skew).timestamp() * 1000))
        self._check_record_write(before if isinstance(before, Record) else None, signed, actor)
        self.record = Stored(signed, next(self.versions))
        if self.memory is not None:
            self.memory.take(signed, self.complaints)
        self.writes += 1
        actor.record = self.record
        staged = {entry.number for entry in signed.in_state(VersionState.STAGED)}
        actor.held = {number: key_id for number, key_id in actor.held.items() if number in staged}
        self.check_laws()

    def _seal(self, actor: Actor, step: Seal) -> None:
        key_id = actor.held.pop(step.number)
        view = actor.record.value if actor.record else None
        if not isinstance(view, Record) or view.version(step.number) is None:
            self.complaints.append(f"R2: version {step.number} was sealed, which the writer's view of the record does not hold")
        sealed = SealedKey(
            key_id=key_id, version=step.number, recipient=step.recipient, ciphertext="age", expiration_time=step.expiration_time
        )
        self._write_status(actor, actor.status or ApiKeyStatus(), (actor.status or ApiKeyStatus()).model_copy(update={"sealed": sealed}))
        self.sealed.add(key_id)
        self.check_laws()

    def _deliver(self, actor: Actor, step: Deliver) -> None:
        key_id = actor.held[step.number]
        self._write_secret(actor, step.number, key_id, create=step.create, previous=step.previous_number)

    def _render(self, actor: Actor, step: RenderSecret) -> None:
        self._write_secret(actor, step.number, step.key_id, create=False, previous=step.previous_number)

    def _write_secret(self, actor: Actor, version: int, key_id: str, *, create: bool, previous: int | None) -> None:
        seen = actor.secret.resource_version if actor.secret and not create else None
        actual = self.secret.resource_version if self.secret else None
        if seen != actual:
            self.look(actor)
            return
        old = self.secret.value if self.secret else None
        if isinstance(old, StoredSecret) and old.intact and version < old.version:
            self.complaints.append(f"R1: the Secret went from version {old.version} back to {version}")
        view = actor.record.value if actor.record else None
        if not isinstance(view, Record) or view.version(version) is None:
            self.complaints.append(f"R2: the Secret moved to {version}, which the writer's view of the record does not hold")
        apikey = self.apikey
        assert apikey is not None
        uid = old.uid if isinstance(old, StoredSecret) else f"secret-{next(self.versions)}"
        kept = previous if keeps_previous(apikey) else None
        self.secret = Stored(StoredSecret(uid, version, key_id, key_id, template_digest(apikey), kept), next(self.versions))
        self.writes += 1
        actor.secret = self.secret
        self.check_laws()

    # ------------------------------------------------------------------ the laws

    def _check_record_write(self, before: Record | None, after: Record, actor: Actor) -> None:
        live = {entry.key_id for entry in after.versions}
        if self.tampered:
            self._forget_what_was_wiped_out(before)
        was_live = {entry.key_id for entry in before.versions} if before else set()
        for entry in after.versions:
            if entry.key_id not in was_live:
                self._check_birth(entry)
            self._check_not_after(entry)
        for entry in before.versions if before else ():
            if entry.key_id not in live:
                self._check_end(entry, after, actor)
        self._check_memory(live)
        if len(after.in_state(VersionState.ACTIVE)) > 1:
            self.complaints.append("two versions are Active")
        if before is not None:
            self._check_succession(before, after, kept=was_live & live)

    def _check_memory(self, live: set[str]) -> None:
        if self.memory is not None and live & self.memory.dead:
            self.complaints.append(f"{sorted(live & self.memory.dead)} ended under a verifier's eyes, and was written as live")

    def _check_succession(self, before: Record, after: Record, *, kept: set[str]) -> None:
        if before.uid != after.uid and not (before.retained or before.retain_on_delete) and kept:
            self.complaints.append("another ApiKey of the same name got a key that was not retained")
        if after.serial <= before.serial:
            self.complaints.append("the serial did not grow")

    def _check_birth(self, entry: VersionEntry) -> None:
        owner = self.numbers.setdefault(entry.number, entry.key_id)
        if owner != entry.key_id:
            self.complaints.append(f"number {entry.number} was given to {owner} and again to {entry.key_id}")
        if entry.key_id in self.died:
            self.complaints.append(f"{entry.key_id} is dead ({self.died[entry.key_id]}) and was revived")

    def _check_not_after(self, entry: VersionEntry) -> None:
        if entry.not_after is None or self.tampered:
            return
        if entry.not_after > self.not_after.get(entry.key_id, entry.not_after):
            self.complaints.append(f"notAfter of {entry.key_id} grew")
        self.not_after[entry.key_id] = entry.not_after

    def _forget_what_was_wiped_out(self, before: Record | None) -> None:
        """Who deletes the record, or puts an old one back, deletes the memory of what only the record knew."""
        if self.memory is not None:
            return  # it is remembered elsewhere
        secret = self.secret.value if self.secret else None
        known = [before.highest if before else 0]
        known += [secret.version] if isinstance(secret, StoredSecret) and secret.intact else []
        known += [entry.number for entry in self.status.versions] if self.status else []
        self.numbers = {number: key_id for number, key_id in self.numbers.items() if number <= max(known)}
        remembered = {entry.key_id for entry in before.dead} if before else set()
        self.died = {key_id: why for key_id, why in self.died.items() if key_id in remembered}

    def _check_end(self, entry: VersionEntry, after: Record, actor: Actor) -> None:
        grave = next((dead for dead in after.dead if dead.key_id == entry.key_id), None)
        if grave is None:
            self.complaints.append(f"{entry.key_id} vanished without a tombstone")
            return
        if self.memory is not None and entry.key_id in self.memory.dead:
            self.died[entry.key_id] = grave.reason
            return  # it was dead already, and an old record had called it live
        view = actor.secret.value if actor.secret else None
        if self.delivery is Delivery.SECRET:
            below = isinstance(view, StoredSecret) and entry.number < view.version
        else:  # the record alone says what consumers have
            below = after.active is not None and entry.number < after.active.number
        if grave.state is VersionState.RETIRED and not below and grave.reason not in ("SecretLost", "SecretTampered", "OverlapLimit"):
            self.complaints.append(f"R3: {entry.key_id} was retired and is not below the Secret's version")
        if grave.reason == "Superseded" and not self._grace_was_over(after, grave.end_time):
            self.complaints.append(f"{entry.key_id} was retired within its grace period")
        if grave.reason == "Superseded" and not self._was_quiet(after, entry):
            self.complaints.append(f"{entry.key_id} was retired while it was in use, or while nobody knew")
        self.died[entry.key_id] = grave.reason
        if grave.reason in ("Leaked", "Revoked"):
            self.revoked.add(entry.key_id)
            self._check_revocation(entry)

    def _check_revocation(self, entry: VersionEntry) -> None:
        if entry.key_id not in self.asked | self.meant:
            self.complaints.append(f"{entry.key_id} was revoked, and is the successor of what was meant")

    def _was_quiet(self, after: Record, entry: VersionEntry) -> bool:
        active = after.active
        by_intent = active is not None and (active.cause in (Cause.MIN_VERSION, Cause.REPLACED) or active.not_after is not None)
        if by_intent or self.reports is Reports.NONE:
            return True
        last = self.last_use.get(entry.key_id)
        return self.reports is Reports.UP_TO_NOW and (last is None or self.now >= last + self.settings.quiet_period)

    def _grace_was_over(self, after: Record, end_time: datetime) -> bool:
        apikey, active = self.apikey, after.active
        if apikey is None or active is None or active.active_time is None:
            return True
        return end_time >= active.active_time + effective_rotation(apikey.spec.rotation, settings=self.settings).grace_period

    def check_laws(self) -> None:
        """The laws that hold between any two writes."""
        record = self.record.value if self.record else None
        secret = self.secret.value if self.secret else None
        if not isinstance(record, Record):
            return
        handed_out = {entry.key_id for entry in delivered(record)} | {e.key_id for e in record.versions if e.key_id in self.sealed}
        if len(handed_out) > 2:
            self.complaints.append("R5: more than two delivered versions are accepted")
        if len([entry for entry in record.in_state(VersionState.STAGED) if entry.key_id in self.sealed and entry.not_after is None]) > 1:
            self.complaints.append("a version that its person may have lives on beside the one that took its place")
        if self.delivery is not Delivery.SECRET and secret is not None:
            self.complaints.append("there is a Secret of a key that nobody wants in one")
        if self.delivery is Delivery.SEALED and not {entry.key_id for entry in delivered(record)} <= self.received:
            self.complaints.append("a version is in force of which nobody said that they have it")
        if isinstance(secret, StoredSecret) and secret.intact and not self.tampered and self.exists:
            accepted = {entry.key_id for entry in record.versions}
            has_expired = record.expiration_time is not None and record.expiration_time <= self.now
            ended_by_intent = has_expired or self.died.get(secret.key_id) in BY_INTENT
            if secret.key_id not in accepted and not ended_by_intent:
                self.complaints.append(f"the Secret holds {secret.key_id}, which no verifier accepts")

    def rest(self, actor: Actor, *, steps: int = 60) -> None:
        """Leave one operator alone, with fresh views and time going by, until nothing is left to do.

        Whoever waits for a report that never comes looks again every few seconds, for days: each look that finds nothing is
        followed by a later one.
        """
        late = timedelta(0)
        for _ in range(steps):
            self.look(actor)
            if self.step(actor, Luck.FINE):
                late = timedelta(0)
                continue
            due = self.plan(actor).look_again_time
            if due is None or due > self.now + timedelta(days=30):
                return
            self.now = max(self.now, due - actor.skew) + late
            late = 2 * late + timedelta(seconds=1)
        raise AssertionError(f"no rest after {steps} steps: {self.plan(actor)}")
