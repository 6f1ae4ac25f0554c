"""Each step of the plan becomes one write to the cluster. No policy here: minting is, since it is random.

Before it: `lifecycle/decide.py`. After it: the reconciler observes again. A step may run twice, or not at all, and a later
reconcile still ends well; so the first failure stops the plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import metrics, names
from keyturn.base.errors import Conflict, OutcomeUnknown
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.base.version_state import VersionState
from keyturn.cluster.api_errors import AlreadyExists, NotFound
from keyturn.cluster.cache import Entry
from keyturn.cluster.credential_secrets import CredentialMetadata, CredentialWrite, Owner
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.cluster.workloads import annotate_workload
from keyturn.controller.apikey.announce import announce
from keyturn.controller.apikey.secret_view import Leftovers, leftovers, previous_in
from keyturn.controller.runtime import CheckedSecret, HeldToken, Runtime
from keyturn.keys.adoption_tag import adoption_tag
from keyturn.keys.digest import digest_token
from keyturn.keys.mint import mint
from keyturn.keys.record import Record, SecretFingerprint, VersionEntry
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import sign_record
from keyturn.lifecycle.credential_secret import Rendered, TokenInHand, render, secret_digest, template_digest, value_digest
from keyturn.lifecycle.observed import GoodRecord, Observed, OurSecret
from keyturn.lifecycle.plan import Annotate, Announce, Change, Deliver, RenderSecret, SaveRecord, Stage, Step

log = get_logger(__name__)


async def act(rt: Runtime, seen: Observed, steps: tuple[Step, ...]) -> None:
    """Carry the steps out, in order. Raises what stopped it; Conflict and OutcomeUnknown only after looking at the truth again."""
    for step in steps:
        try:
            await _act(rt, seen, step)
        except (Conflict, OutcomeUnknown, NotFound) as surprise:
            metrics.STEPS.labels(kind=type(step).__name__, result="conflict").inc()
            await refresh(rt, seen)
            raise Conflict(str(surprise)) from surprise
        metrics.STEPS.labels(kind=type(step).__name__, result="done").inc()


async def _act(rt: Runtime, seen: Observed, step: Step) -> None:
    match step:
        case Announce(record):
            await announce(rt, seen, record)
        case Stage():
            await _stage(rt, seen, step)
        case SaveRecord(record, create):
            await save_record(rt, seen, record, create=create)
        case Deliver():
            await _deliver(rt, seen, step)
        case RenderSecret():
            await _render_again(rt, seen, step)
        case Annotate():
            workload = {"kind": step.kind, "name": step.name, "uid": step.uid}
            await annotate_workload(rt.client, seen.key.namespace, **workload, key_id=step.key_id, apikey_name=seen.key.name)
            log.info("Annotated workload", namespace=seen.key.namespace, name=seen.key.name, kind=step.kind, workload=step.name)


async def refresh(rt: Runtime, seen: Observed) -> None:
    """Our view was old, or a write's outcome is unknown: ask the API server what record and Secret are."""
    try:
        entry = await rt.record_secrets.read(seen.key)
        rt.records.put(seen.key, entry.value, entry.resource_version, entry.uid)
    except NotFound:
        held = rt.records.get(seen.key)
        if held is not None:
            rt.records.remove(seen.key, held.resource_version)
    if seen.apikey is None:
        return
    where = Key(seen.key.namespace, seen.apikey.secret_name)
    try:
        found = await rt.credential_secrets.read_metadata(where)
    except NotFound:
        known = rt.credentials.get(where)
        if known is not None:
            rt.credentials.remove(where, known.resource_version)
        return
    if found.value.managed:
        rt.credentials.put(where, found.value, found.resource_version, found.uid)
    else:
        rt.memory.unlabelled.add(seen.key)


async def _stage(rt: Runtime, seen: Observed, step: Stage) -> None:
    if step.paced:
        rt.pacer.take(seen.key, now=seen.now)
    minted = mint(rt.settings.key_prefix)
    entry = VersionEntry(
        number=step.number,
        key_id=minted.key_id,
        digest=minted.digest,
        state=VersionState.STAGED,
        staged_time=seen.now,
        cause=step.cause,
    )
    base = step.base
    record = replace(base, versions=(*base.versions, entry), highest=max(base.highest, step.number), change=Change.STAGED, ended_time=None)
    # Held before the write: where its answer gets lost but it had its effect, the key can still be delivered.
    rt.memory.hold(seen.key, HeldToken(step.number, minted.plaintext, minted.digest))
    await save_record(rt, seen, record, create=step.create)
    metrics.ROTATIONS.labels(cause=str(step.cause)).inc()


async def save_record(rt: Runtime, seen: Observed, record: Record, *, create: bool) -> None:
    """Sign and write the record over the one that was seen (R4), and tell of it. A crash in between: the next reconcile tells."""
    key, now = seen.key, seen.now
    signed = record.with_serial(now_ms=int(now.timestamp() * 1000))
    data = encode_record(signed)
    stored = StoredRecord(data, sign_record(data, ring=rt.installation.signing_ring).encode())
    entry = rt.records.get(key)
    if create or entry is None:
        written = await rt.record_secrets.create(key, stored)
    else:
        written = await rt.record_secrets.replace(key, stored, seen=entry)
    rt.records.put(key, stored, written.resource_version, written.uid)
    rt.memory.decoded.put(key, written.resource_version, signed)
    rt.memory.keep_held(key, (each.number for each in signed.in_state(VersionState.STAGED)))
    await announce(rt, seen, signed)


async def _deliver(rt: Runtime, seen: Observed, step: Deliver) -> None:
    apikey, token = _living(seen), rt.memory.held[seen.key][step.number]
    writer = _Writer(rt, apikey)
    in_hand = writer.in_hand(step.number, token)
    if step.create:
        await writer.create(render(apikey, in_hand, previous=None))
        return
    await writer.replace(seen, in_hand, previous_number=step.previous_number)


async def _render_again(rt: Runtime, seen: Observed, step: RenderSecret) -> None:
    apikey = _living(seen)
    writer = _Writer(rt, apikey)
    _, body = await rt.credential_secrets.read(writer.where)
    token = body.data[names.TOKEN_DATA_KEY]
    held = HeldToken(step.number, token, digest_token(token.reveal()))
    await writer.replace(seen, writer.in_hand(step.number, held, key_id=step.key_id), previous_number=step.previous_number)


def _living(seen: Observed) -> ApiKey:
    if seen.apikey is None:
        raise ValueError("only a living ApiKey has a credential Secret")
    return seen.apikey


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes one ApiKey's credential Secret, and notes what was written."""

    rt: Runtime
    apikey: ApiKey

    @property
    def where(self) -> Key:
        return Key(self.apikey.metadata.namespace, self.apikey.secret_name)

    def in_hand(self, number: int, token: HeldToken, *, key_id: str | None = None) -> TokenInHand:
        key_id = key_id or token.plaintext.key_id
        tag = adoption_tag(
            self.rt.installation.tag_ring.first,
            installation=self.rt.installation.id,
            namespace=self.apikey.metadata.namespace,
            name=self.apikey.metadata.name,
            key_id=key_id,
            version=number,
            token_digest=token.digest,
        )
        return TokenInHand(number, key_id, tag, token.plaintext)

    async def create(self, rendered: Rendered) -> None:
        try:
            entry = await self.rt.credential_secrets.create(self.where, self._write(rendered, Leftovers()))
        except AlreadyExists:
            # The watch shows our own only: from now on look at this name itself until it is free.
            self.rt.memory.unlabelled.add(self.apikey.key)
            raise
        self._note(entry, rendered, previous_version=None)

    async def replace(self, seen: Observed, in_hand: TokenInHand, *, previous_number: int | None) -> None:
        """Write over the very Secret that was seen; what we wrote once and want no more goes."""
        if not isinstance(seen.secret, OurSecret):
            raise Conflict("the credential Secret is not the one that was seen")
        body = None
        if previous_number is not None or self._shape_moves(seen.secret):
            _, body = await self.rt.credential_secrets.read(self.where)
        previous: Plaintext | None = None
        if previous_number is not None and body is not None:
            previous = self._previous(seen.secret, body.data, previous_number, in_hand) or previous_in(body, _record(seen))[0]
        rendered = render(self.apikey, in_hand, previous=previous)
        away = leftovers(rendered, body) if body is not None else Leftovers()
        fingerprint = seen.secret.fingerprint
        entry = await self.rt.credential_secrets.replace(
            self.where, self._write(rendered, away), uid=fingerprint.uid, resource_version=fingerprint.resource_version
        )
        self._note(entry, rendered, previous_version=previous_number if previous is not None else None)

    def _shape_moves(self, secret: OurSecret) -> bool:
        fingerprint = secret.fingerprint
        return fingerprint.previous_version is not None or fingerprint.template_digest != template_digest(self.apikey)

    @staticmethod
    def _previous(secret: OurSecret, data: object, number: int, in_hand: TokenInHand) -> Plaintext | None:
        # On a switch, what is current becomes the previous one; on a new rendering of the same version, it stays where it is.
        if secret.version != number or in_hand.version == number or not isinstance(data, dict):
            return None
        found = data.get(names.TOKEN_DATA_KEY)
        return found if isinstance(found, Plaintext) else None

    def _write(self, rendered: Rendered, away: Leftovers) -> CredentialWrite:
        metadata = self.apikey.metadata
        return CredentialWrite(
            labels=rendered.labels,
            annotations=rendered.annotations,
            data=rendered.data,
            owner=Owner(metadata.name, metadata.uid) if rendered.owned else None,
            drop_labels=away.labels,
            drop_annotations=away.annotations,
            drop_data=away.data,
        )

    def _note(self, entry: Entry[CredentialMetadata], rendered: Rendered, *, previous_version: int | None) -> None:
        digest = secret_digest(
            secret_type=names.CREDENTIAL_TYPE,
            labels=rendered.labels,
            annotations=rendered.annotations,
            data_digests={name: value_digest(value) for name, value in rendered.data.items()},
        )
        fingerprint = SecretFingerprint(
            uid=entry.uid,
            resource_version=str(entry.resource_version),
            version=entry.value.version,
            digest=digest,
            template_digest=template_digest(self.apikey),
            previous_version=previous_version,
        )
        token = digest_token(rendered.data[names.TOKEN_DATA_KEY].reveal())
        self.rt.memory.checked[self.apikey.key] = CheckedSecret(
            entry.resource_version, entry.uid, fingerprint, intact=True, token_digest=token
        )
        self.rt.credentials.put(self.where, entry.value, entry.resource_version, entry.uid)


def _record(seen: Observed) -> Record | None:
    return seen.record.record if isinstance(seen.record, GoodRecord) else None
