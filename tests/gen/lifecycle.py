"""Builders for what `decide` sees: valid by default, and only what matters is said.

seen = observed(record(active(2, hours_ago=1), retiring(1)), ours(2))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.api.workloads import Pending, PendingReason, Pod, RolloutView, Workload
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import DeadEntry, Record, SecretFingerprint, VersionEntry
from keyturn.lifecycle.credential_secret import template_digest
from keyturn.lifecycle.observed import GoodRecord, NoRecord, NoSecret, Observed, OurSecret, RecordSeen, SecretSeen
from keyturn.lifecycle.plan import Change
from keyturn.lifecycle.rollout_memory import RolloutFacts, RolloutMemory

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
KEY = Key("shop", "billing")
UID = "0a0a0a0a-0000-4000-8000-000000000001"
SETTINGS = Settings()
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def apikey(
    spec: Mapping[str, object] | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
    uid: str = UID,
    status: Mapping[str, object] | None = None,
) -> ApiKey:
    """An ApiKey as the API server has it."""
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": uid, "generation": 3, "annotations": dict(annotations or {})}
    return ApiKey.model_validate({"metadata": metadata, "spec": dict(spec or {}), **({"status": dict(status)} if status else {})})


def staged(number: int, *, seconds_ago: float = 0, cause: Cause = Cause.SCHEDULED) -> VersionEntry:
    """A version that waits for its delivery."""
    return _entry(number, VersionState.STAGED, staged_time=NOW - timedelta(seconds=seconds_ago), cause=cause)


def active(number: int, *, ago: timedelta = 10 * 24 * HOUR, cause: Cause = Cause.SCHEDULED) -> VersionEntry:
    """The version in the Secret, switched to `ago`."""
    return _entry(number, VersionState.ACTIVE, staged_time=NOW - ago - 5 * SECOND, active_time=NOW - ago, cause=cause)


def retiring(number: int, *, left: timedelta = 6 * 24 * HOUR) -> VersionEntry:
    """The version before, with that much time left."""
    return _entry(number, VersionState.RETIRING, staged_time=NOW - 99 * 24 * HOUR, active_time=NOW - 98 * 24 * HOUR, not_after=NOW + left)


def _entry(number: int, state: VersionState, *, staged_time: datetime, cause: Cause = Cause.SCHEDULED, **times: datetime) -> VersionEntry:
    return VersionEntry(
        number=number, key_id=key_id(number), digest=f"digest-{number}", state=state, staged_time=staged_time, cause=cause, **times
    )


def key_id(number: int) -> str:
    """The key ID that the builders give to a version."""
    return f"key{number}"


def tombstone(number: int, *, ago: timedelta = HOUR, cause: Cause = Cause.SCHEDULED, reason: str = "Superseded") -> DeadEntry:
    """A version that ended."""
    return DeadEntry(number, key_id(number), NOW - ago, VersionState.RETIRED, reason, cause)


def record(*versions: VersionEntry, dead: tuple[DeadEntry, ...] = (), highest: int | None = None, of: ApiKey | None = None) -> Record:
    """A ledger whose Secret is untouched, of an ApiKey with an empty spec or of `of`."""
    numbers = [entry.number for entry in versions] + [entry.number for entry in dead]
    current = next((entry.number for entry in versions if entry.state is VersionState.ACTIVE), None)
    return Record(
        installation="installation",
        namespace=KEY.namespace,
        name=KEY.name,
        uid=UID,
        serial=1000,
        change=Change.ACTIVATED,
        highest=highest if highest is not None else max(numbers, default=0),
        versions=versions,
        dead=dead,
        dead_through=max((entry.number for entry in dead), default=0),
        secret=fingerprint(current, of=of) if current is not None else None,
    )


def fingerprint(version: int, *, of: ApiKey | None = None, previous: int | None = None) -> SecretFingerprint:
    """The Secret as we wrote it last."""
    return SecretFingerprint("secret-uid", "77", version, "digest", template_digest(of or apikey()), previous)


def ours(version: int, *, of: ApiKey | None = None, intact: bool = True, previous: int | None = None) -> OurSecret:
    """The credential Secret, holding that version."""
    return OurSecret(fingerprint(version, of=of, previous=previous), key_id(version), intact=intact, token_digest=f"digest-{version}")


def observed(
    ledger: Record | RecordSeen | None = None,
    secret: SecretSeen | None = None,
    *,
    of: ApiKey | None = None,
    held: tuple[int, ...] = (),
    now: datetime = NOW,
    **more: object,
) -> Observed:
    """Everything one decision may look at. All that was written has been told already."""
    living = of or apikey()
    seen: RecordSeen = GoodRecord(ledger) if isinstance(ledger, Record) else ledger or NoRecord()
    base = Observed(
        now=now,
        key=KEY,
        apikey=living,
        record=seen,
        secret=secret or NoSecret(),
        settings=SETTINGS,
        installation="installation",
        held=frozenset((number, key_id(number)) for number in held),
        announced_serial=10**15,
    )
    return replace(base, **more)  # type: ignore[arg-type]


def rollout(*pending: Pending, version: int = 2, view: RolloutView | None = None, looked: datetime = NOW) -> RolloutFacts:
    """The last look at the consumers of a version; nothing pending: the rollout is complete."""
    return RolloutFacts(RolloutMemory(key_id(version), looked, pending, total=max(1, len(pending))), view=view)


def pending(name: str = "web", *, kind: str = "Deployment", reason: PendingReason = PendingReason.PROGRESSING) -> Pending:
    """A workload that still runs old pods."""
    return Pending(kind, name, reason)


def view_of_old_deployment(name: str = "web") -> RolloutView:
    """A Deployment that uses the Secret, with one pod from long ago."""
    workload = Workload(kind="Deployment", name=name, uid=f"{name}-uid", references=True)
    pod = Pod(
        name=f"{name}-5d8f-x", uid="pod", created=NOW - 24 * HOUR, references=True, controller_kind="Deployment", controller_name=name
    )
    return RolloutView((workload,), (pod,))
