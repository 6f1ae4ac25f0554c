"""Each step of the plan becomes one write to the cluster. No policy here: minting is, since it is random.

Before it: `lifecycle/decide.py`. After it: the reconciler observes again. A step may run twice, or not at all, and a later
reconcile still ends well; so the first failure stops the plan.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from keyturn.api.v1alpha1.apikey import ApiKey, Delivery
from keyturn.base import metrics, names
from keyturn.base.errors import Conflict, OutcomeUnknown
from keyturn.base.log_output import get_logger
from keyturn.base.names import Key
from keyturn.base.version_state import Cause, VersionState
from keyturn.cluster.api_errors import Forbidden, Invalid, NotFound
from keyturn.cluster.apikeys import object_path
from keyturn.cluster.credential_secrets import NotOurs
from keyturn.cluster.raw import mapping_of, uid_of
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.cluster.workloads import annotate_workload
from keyturn.controller.apikey.announce import announce, owe, post
from keyturn.controller.apikey.credential_writer import CredentialWriter
from keyturn.controller.apikey.refusals import StepRefused
from keyturn.controller.apikey.seal import seal
from keyturn.controller.runtime import HeldToken, Runtime
from keyturn.controller.secret_answers import note_answer
from keyturn.keys.digest import digest_token
from keyturn.keys.mint import mint
from keyturn.keys.record import Record, VersionEntry
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import sign_record
from keyturn.lifecycle.announcement import loss_of
from keyturn.lifecycle.consent import prefix_for
from keyturn.lifecycle.contest import one_more
from keyturn.lifecycle.credential_secret import render
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.plan import Annotate, Announce, Change, Deliver, RenderSecret, SaveRecord, Seal, Stage, Step
from keyturn.lifecycle.revocation_hit import knowing

log = get_logger(__name__)


async def act(rt: Runtime, seen: Observed, steps: tuple[Step, ...]) -> None:
    """Carry the steps out, in order. Raises what stopped it: StepRefused, or Conflict after looking at the truth again.

    A workload that may not be restarted stops nothing else: the others are independent of it, and need the new key as well.
    """
    refused: StepRefused | None = None
    for step in steps:
        try:
            await _act(rt, seen, step)
        except (Forbidden, Invalid) as refusal:
            metrics.STEPS.labels(kind=type(step).__name__, result="failed").inc()
            refused = refused or StepRefused(step, refusal)
            if not isinstance(step, Annotate):
                raise refused from refusal
            continue
        except (Conflict, OutcomeUnknown, NotFound) as surprise:
            metrics.STEPS.labels(kind=type(step).__name__, result="conflict").inc()
            await refresh(rt, seen)
            raise Conflict(str(surprise)) from surprise
        metrics.STEPS.labels(kind=type(step).__name__, result="done").inc()
    if refused is not None:
        raise refused


async def _act(rt: Runtime, seen: Observed, step: Step) -> None:
    match step:
        case Announce(record):
            await announce(rt, seen, record)
        case Stage():
            await _stage(rt, seen, step)
        case SaveRecord(record, create, is_brake):
            signed = await save_record(rt, seen, record, create=create)
            if not is_brake:
                await announce(rt, seen, signed)
        case Deliver() | Seal() | RenderSecret():
            await _hand_over(rt, seen, step)
        case Annotate():
            workload = {"kind": step.kind, "name": step.name, "uid": step.uid}
            await annotate_workload(rt.client, seen.key.namespace, **workload, key_id=step.key_id, apikey_name=seen.key.name)
            log.info("Annotated workload", namespace=seen.key.namespace, name=seen.key.name, kind=step.kind, workload=step.name)


async def _hand_over(rt: Runtime, seen: Observed, step: Deliver | Seal | RenderSecret) -> None:
    match step:
        case Deliver():
            await _deliver(rt, seen, step)
        case Seal():
            await seal(rt, seen, step)
        case RenderSecret():
            await _render_again(rt, seen, step)


async def refresh(rt: Runtime, seen: Observed) -> None:
    """Our view was old, or a write's outcome is unknown: ask the API server what record and Secret are."""
    await _refresh_record(rt, seen.key)
    if seen.apikey is None or seen.apikey.spec.delivery is not Delivery.SECRET:
        return
    where = Key(seen.key.namespace, seen.apikey.secret_name)
    with suppress(NotOurs):  # the next look says so
        await note_answer(rt, where, rt.credential_secrets.read_metadata(where), wanted_by=(seen.key,))


async def _refresh_record(rt: Runtime, key: Key) -> None:
    held = rt.records.get(key)  # before asking: what the watch shows meanwhile is newer than the answer
    try:
        entry = await rt.record_secrets.read(key)
        if not rt.records.put(key, entry.value, entry.resource_version, entry.uid) and key not in rt.records:
            # It is there and the watch does not show it: somebody took its labels off. The same bytes again, with them.
            entry = await rt.record_secrets.replace(key, entry.value, uid=entry.uid, resource_version=entry.resource_version)
            rt.records.put(key, entry.value, entry.resource_version, entry.uid)
    except NotFound:
        if held is not None:
            rt.records.remove(key, held.resource_version)


async def _stage(rt: Runtime, seen: Observed, step: Stage) -> None:
    if step.cause is Cause.SECRET_LOST:
        await _tell_of_loss(rt, seen, step)
    if step.paced:
        rt.pacer.take(seen.key, now=seen.now)
    minted = mint(prefix_for(seen.product, settings=rt.settings))
    entry = VersionEntry(
        number=step.number,
        key_id=minted.key_id,
        digest=minted.digest,
        state=VersionState.STAGED,
        staged_time=seen.now,
        cause=step.cause,
    )
    entry, base = knowing(entry, seen.newest_revocations, now=seen.now), step.base
    record = replace(base, versions=(*base.versions, entry), highest=max(base.highest, step.number), change=Change.STAGED, ended_time=None)
    # Held before the write: where its answer gets lost but it had its effect, the key can still be delivered.
    rt.memory.hold(seen.key, HeldToken(step.number, minted.plaintext, minted.digest))
    await announce(rt, seen, await save_record(rt, seen, record, create=step.create))
    metrics.ROTATIONS.labels(cause=str(step.cause)).inc()


async def _tell_of_loss(rt: Runtime, seen: Observed, step: Stage) -> None:
    """A version minted for an ApiKey that goes together with its Secret is for nobody.

    The watches are no order: an ApiKey's deletion may be seen after its Secret's, so the API server itself is asked. And a namespace that
    is deleted loses its Secrets before its ApiKeys. The Event finds that out: nothing can be created there any more, and no right to read
    namespaces is needed.
    """
    apikey = _living(seen)
    await _confirm_alive(rt, apikey)
    if not await post(rt, seen.key, apikey.metadata.uid, loss_of(apikey, number=step.number), now=seen.now):
        raise Forbidden(f"create secrets {seen.key.namespace}: the namespace is being deleted", namespace_terminating=True)


async def _confirm_alive(rt: Runtime, apikey: ApiKey) -> None:
    """Raise Conflict, with the cache put right, where the ApiKey is gone, going or another one."""
    key, metadata = apikey.key, apikey.metadata
    try:
        raw = await rt.client.get(object_path(key.namespace, key.name))
    except NotFound as missing:
        if not missing.object_is_gone:
            raise
        rt.drop_apikey(key, {"metadata": {"uid": metadata.uid}})
        raise Conflict(f"ApiKey {key} is gone") from missing
    rt.keep_apikey(key, raw)
    if uid_of(raw) != metadata.uid or "deletionTimestamp" in mapping_of(raw, "metadata"):
        raise Conflict(f"ApiKey {key} is going, or another one by now")


async def save_record(rt: Runtime, seen: Observed, record: Record, *, create: bool) -> Record:
    """Sign and write the record over the one that was seen (R4); answers it as written, to tell of. Untold, the next reconcile tells.

    Over the one that was seen, not over the newest that the watch has shown since: the decision knew nothing of that one.
    """
    key, now, mark = seen.key, seen.now, seen.record_mark
    if isinstance(seen.record, GoodRecord) and seen.record.record.serial > seen.announced_serial:
        owe(rt, seen, seen.record.record)  # a revocation's, say: what is urgent goes over it before anybody was told
    signed = record.with_serial(now_ms=int(now.timestamp() * 1000))
    data = encode_record(signed)
    stored = StoredRecord(data, sign_record(data, ring=rt.installation.signing_ring).encode())
    rt.memory.will_tell(key, signed.serial)  # before the write: where its answer gets lost, somebody must still tell
    if create or mark is None:
        written = await rt.record_secrets.create(key, stored)
    else:
        written = await rt.record_secrets.replace(key, stored, uid=mark.uid, resource_version=mark.resource_version)
    rt.records.put(key, stored, written.resource_version, written.uid)
    rt.memory.decoded.put(key, written.resource_version, signed)
    rt.claims.note(key, signed)
    rt.memory.keep_held(key, (each.number for each in signed.in_state(VersionState.STAGED)))
    return signed


async def _deliver(rt: Runtime, seen: Observed, step: Deliver) -> None:
    apikey, token = _living(seen), rt.memory.held[seen.key][step.number]
    writer = CredentialWriter(rt, apikey)
    in_hand = writer.in_hand(step.number, token)
    if step.create:
        await writer.create(render(apikey, in_hand, previous=None))
        return
    await writer.replace(seen, in_hand, previous_number=step.previous_number)


async def _render_again(rt: Runtime, seen: Observed, step: RenderSecret) -> None:
    apikey = _living(seen)
    if step.undoes_edit:  # counted before the write: one that meets the next edit is as dear as one that succeeds
        rt.memory.edits_undone[seen.key] = one_more(rt.memory.edits_undone.get(seen.key), now=seen.now)
        metrics.SECRET_EDITS_UNDONE.inc()
    writer = CredentialWriter(rt, apikey)
    _, body = await rt.credential_secrets.read(writer.where)
    token = body.data[names.TOKEN_DATA_KEY]
    held = HeldToken(step.number, token, digest_token(token.reveal()))
    await writer.replace(seen, writer.in_hand(step.number, held, key_id=step.key_id), previous_number=step.previous_number)


def _living(seen: Observed) -> ApiKey:
    if seen.apikey is None:
        raise ValueError("only a living ApiKey has a credential Secret")
    return seen.apikey
