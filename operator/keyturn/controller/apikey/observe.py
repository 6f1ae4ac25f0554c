"""Every read for one reconcile, into one frozen `Observed` with the one `now`. Decides nothing.

Before it: `reconcile.py`. After it: `lifecycle/decide.py`. Usually nothing is asked of the API server: the caches know.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from keyturn.api.rules import explain_invalid
from keyturn.api.v1alpha1.apikey import ApiKey, Delivery
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.api.workloads import RolloutView
from keyturn.base import metrics
from keyturn.base.names import Key
from keyturn.cluster import workloads
from keyturn.cluster.api_errors import Forbidden, NotFound
from keyturn.cluster.apikeys import object_path
from keyturn.cluster.cache import Entry
from keyturn.cluster.raw import mapping_of
from keyturn.cluster.record_secrets import StoredRecord
from keyturn.controller.apikey.manifest import compact_apikey
from keyturn.controller.apikey.refusals import explain_refusal
from keyturn.controller.apikey.secret_view import see_secret
from keyturn.controller.runtime import ParsedApiKey, Runtime
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Damaged, Forged, Genuine, TooNew, UnknownSigner, verify_record
from keyturn.lifecycle.consent import ProductSeen
from keyturn.lifecycle.decide import decide, situation
from keyturn.lifecycle.observed import (
    BadRecord,
    GoodRecord,
    NoRecord,
    NoSecret,
    Observed,
    RecordMark,
    RecordSeen,
    SecretSeen,
    UnreadableSecret,
)
from keyturn.lifecycle.old_key_use import NOBODY_REPORTS
from keyturn.lifecycle.overlap import Look, current_rollout, look_wanted, remember
from keyturn.lifecycle.rollout import targets_of
from keyturn.lifecycle.situation import Situation
from keyturn.lifecycle.withdrawal import product_in_question

if TYPE_CHECKING:
    from collections.abc import Mapping


async def observe(rt: Runtime, key: Key, *, now: datetime) -> Observed:
    """Gather what is known of one ApiKey."""
    parsed = await see_apikey(rt, key)
    apikey = parsed.apikey
    stored = rt.records.get(key)
    record = NoRecord() if stored is None else see_record(rt, key, stored)
    seen = Observed(
        now=now,
        key=key,
        apikey=apikey,
        record=record,
        secret=await _see_secret(rt, apikey, record=record),
        attestations=rt.witnesses.of(key),
        product=_see_product(rt, key, parsed, record),
        settings=rt.settings,
        installation=rt.installation.id,
        record_mark=RecordMark(stored.uid, stored.resource_version) if stored is not None else None,
        verifiers=rt.verifiers.live,
        held=frozenset((token.number, token.plaintext.key_id) for token in rt.memory.held.get(key, {}).values()),
        elsewhere={} if apikey is None else rt.claims.elsewhere(apikey, now=now),
        revocations=rt.revocations.of(record.record) if isinstance(record, GoodRecord) else (),
        newest_revocations=rt.revocations.newest,
        use=rt.uses.of(key, record.record) if isinstance(record, GoodRecord) else NOBODY_REPORTS,
        rollout=rt.memory.rollouts.get(key),
        pacer_time=rt.pacer_time(key.namespace, now),
        conflicts=rt.memory.unlabelled.count(key.namespace),
        edits_undone=rt.memory.edits_undone_lately(key, now),
        announced_serial=rt.memory.announced_serial(key),
        clock_is_off=rt.clock_is_off,
        spec_problem=parsed.problem,
    )
    return await _with_rollout(rt, seen)


async def see_apikey(rt: Runtime, key: Key) -> ParsedApiKey:
    """The ApiKey as the watch last showed it."""
    entry = rt.apikeys.get(key)
    if entry is None:
        # Kopf may not have listed it yet, and a key is revoked for good when its ApiKey is gone: ask.
        try:
            raw = await rt.client.get(object_path(key.namespace, key.name))
        except NotFound as missing:
            if not missing.object_is_gone and key not in rt.memory.deleted_uids.values():
                raise  # its kind is not served for the moment: that says nothing about the ApiKey
            return ParsedApiKey(None, None, {})
        rt.keep_apikey(key, raw)
        entry = Entry(*compact_apikey(raw))
    parsed = rt.memory.parsed.get(key, entry.resource_version)
    if parsed is None:
        parsed = parse_apikey(json.loads(entry.value))
        rt.memory.parsed.put(key, entry.resource_version, parsed)
    return parsed


def parse_apikey(raw: Mapping[str, object]) -> ParsedApiKey:
    """Read an ApiKey; one that is being deleted counts as gone."""
    problem: str | None = None
    try:
        apikey = ApiKey.model_validate(raw)
    except ValidationError as error:
        problem = "; ".join(explain_invalid(error))
        apikey = ApiKey.model_validate({"metadata": raw.get("metadata"), "spec": {}, "status": raw.get("status")})
    status = mapping_of(raw, "status")
    return ParsedApiKey(None, None, status) if apikey.metadata.deletion_timestamp is not None else ParsedApiKey(apikey, problem, status)


async def _see_secret(rt: Runtime, apikey: ApiKey | None, *, record: RecordSeen) -> SecretSeen:
    if apikey is None or apikey.spec.delivery is not Delivery.SECRET:
        return NoSecret()
    try:
        return await see_secret(rt, apikey, record=record)
    except Forbidden as refused:
        return UnreadableSecret(explain_refusal(refused))


def _see_product(rt: Runtime, key: Key, parsed: ParsedApiKey, seen: RecordSeen) -> ProductSeen | None:
    record = seen.record if isinstance(seen, GoodRecord) else None
    where = product_in_question(parsed.apikey, record, spec_is_readable=parsed.problem is None)
    return rt.products.see(key, where, record, is_gone=parsed.apikey is None)


def read_record(rt: Runtime, key: Key) -> Record | None:
    """The record as the watch last showed it; None: there is none, or none to believe."""
    stored = rt.records.get(key)
    seen = see_record(rt, key, stored) if stored is not None else None
    return seen.record if isinstance(seen, GoodRecord) else None


def see_record(rt: Runtime, key: Key, entry: Entry[StoredRecord]) -> RecordSeen:
    """A record as the watch showed it, with its signature checked."""
    known = rt.memory.decoded.get(key, entry.resource_version)
    return GoodRecord(known) if known is not None else _verified(rt, key, entry)


def _verified(rt: Runtime, key: Key, entry: Entry[StoredRecord]) -> RecordSeen:
    stored = entry.value
    verdict = verify_record(
        stored.data, signature=stored.signature, keys=rt.installation.verification_keys, expected=key, installation=rt.installation.id
    )
    if isinstance(verdict, Genuine):
        rt.memory.decoded.put(key, entry.resource_version, verdict.record)
        rt.claims.note(key, verdict.record)
        return GoodRecord(verdict.record)
    _note_damage(rt, key, entry)
    match verdict:
        case TooNew(number):
            message = f"The record has format {number}, written by a newer Keyturn. Upgrade this operator; nothing was changed"
            return BadRecord(Reason.RECORD_TOO_NEW, message, replaceable=False)
        case UnknownSigner(key_id):
            message = f"The record is signed by {key_id}, which is not this installation's root secret. Restore that root secret"
            return BadRecord(Reason.UNKNOWN_SIGNER, message, replaceable=False)
        case Forged(reason) | Damaged(reason):
            return BadRecord(Reason.RECORD_DAMAGED, f"The record cannot be believed: {reason}", replaceable=True)


def _note_damage(rt: Runtime, key: Key, entry: Entry[StoredRecord]) -> None:
    if rt.memory.damaged.get(key) != entry.resource_version:
        rt.memory.damaged[key] = entry.resource_version
        metrics.RECORDS_DAMAGED.inc()


async def _with_rollout(rt: Runtime, seen: Observed) -> Observed:
    if seen.apikey is None or not isinstance(seen.record, GoodRecord) or seen.spec_problem is not None:
        return seen
    case = situation(seen, apikey=seen.apikey, record=seen.record.record)
    look = look_wanted(case)
    if look is Look.NOTHING:
        if current_rollout(case) is None:
            rt.memory.rollouts.pop(seen.key, None)
        return seen
    blind = replace(seen, rollout=None)
    if decide(blind).steps:
        return blind  # an end by intent, say: it must not wait for a long list, or for the right to read it
    try:
        facts = remember(case, await _look(rt, case, look))
    except Forbidden as refused:
        return replace(blind, rollout_unseen=explain_refusal(refused))
    if facts is None:
        return seen
    rt.memory.rollouts[seen.key] = replace(facts, view=None)
    return replace(seen, rollout=facts)


async def _look(rt: Runtime, case: Situation, look: Look) -> RolloutView:
    namespace, secret, name = case.seen.key.namespace, case.apikey.secret_name, case.seen.key.name
    last = case.seen.rollout is not None and case.seen.rollout.memory.complete
    everything = bool(targets_of(case.apikey))
    pods = await workloads.list_pods(rt.client, namespace, secret_name=secret, apikey_name=name, everything=everything, consistent=last)
    if look is Look.PODS and not everything:
        return RolloutView(workloads=None, pods=pods)
    listed = await workloads.list_workloads(rt.client, namespace, secret_name=secret, apikey_name=name, has_rollouts=rt.has_argo_rollouts)
    return RolloutView(workloads=listed, pods=pods)
