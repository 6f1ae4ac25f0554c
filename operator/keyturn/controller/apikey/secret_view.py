"""What stands in the credential Secret's place: nothing, ours, or somebody else's. Part of `observe.py`.

The watch shows metadata; without one, what is known is presumed and looked at when it matters (`controller/known_secrets.py`). As long
as uid and resourceVersion are those of our own last write, nobody has touched the Secret; otherwise its body is read once, checked and
dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.errors import Conflict
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.base.verdict import Match
from keyturn.base.version_state import VersionState
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.cache import Entry
from keyturn.cluster.credential_secrets import CredentialBody, CredentialMetadata, NotOurs
from keyturn.controller.runtime import CheckedSecret, Runtime
from keyturn.controller.secret_answers import note_answer
from keyturn.keys.adoption_tag import tag_matches
from keyturn.keys.digest import digest_token
from keyturn.keys.record import Record, SecretFingerprint
from keyturn.lifecycle.credential_secret import (
    DRIFTED,
    Rendered,
    TokenInHand,
    keeps_previous,
    render,
    secret_digest,
    template_digest,
    value_digest,
)
from keyturn.lifecycle.observed import ForeignSecret, GoodRecord, NoSecret, OurSecret, RecordSeen, SecretSeen
from keyturn.lifecycle.plan import Change


async def see_secret(rt: Runtime, apikey: ApiKey, *, record: RecordSeen) -> SecretSeen:
    """Look at the credential Secret of a living ApiKey."""
    key, where = apikey.key, Key(apikey.metadata.namespace, apikey.secret_name)
    if where.name != key.name:
        rt.memory.note_owner(where, key.name)
    try:
        return await _see(rt, apikey, where, record=record)
    except NotOurs:
        rt.memory.unlabelled.add(key)
        return ForeignSecret(_not_written_by_us(apikey.secret_name))


async def _see(rt: Runtime, apikey: ApiKey, where: Key, *, record: RecordSeen) -> SecretSeen:
    key = apikey.key
    entry = await _find(rt, apikey, where, record=record)
    if entry is None:
        return NoSecret()
    noted = record.record.secret if isinstance(record, GoodRecord) else None
    if noted is not None and noted.uid == entry.uid and noted.resource_version == str(entry.resource_version):
        rt.memory.checked.pop(key, None)
        return OurSecret(fingerprint=noted, key_id=entry.value.key_id, intact=entry.value.version == noted.version)
    checked = rt.memory.checked.get(key)
    if checked is None or (checked.uid, checked.resource_version) != (entry.uid, entry.resource_version):
        checked = await check_secret(rt, apikey, record=record)
        if checked is None:
            return NoSecret()
        rt.memory.checked[key] = checked
    if checked.foreign is not None:
        return ForeignSecret(checked.foreign, works=checked.intact)
    # All of it from the one read: the watch may still show the version before.
    return OurSecret(fingerprint=checked.fingerprint, key_id=checked.key_id, intact=checked.intact, token_digest=checked.token_digest)


async def _find(rt: Runtime, apikey: ApiKey, where: Key, *, record: RecordSeen) -> Entry[CredentialMetadata] | None:
    """What the watch shows, or is presumed; where that may not be what stands there, what the API server says."""
    key, entry = apikey.key, rt.secrets.get(where) or _presumed(rt, apikey, where, record=record)
    if not (entry is None and key in rt.memory.unlabelled) and not _seems_lost(entry, record) and not _in_doubt(rt, apikey, where, record):
        rt.memory.unlabelled.discard(key)
        return entry
    found = await note_answer(rt, where, _ask(rt, key, where, record=record), wanted_by=(key,))
    rt.secrets.doubtful.discard(key)
    return found


async def _ask(rt: Runtime, key: Key, where: Key, *, record: RecordSeen) -> Entry[CredentialMetadata]:
    """The API server. What the fence keeps from us may be ours all the same, without its labels: by its uid it gets them back."""
    try:
        return await rt.credential_secrets.read_metadata(where)
    except NotOurs as refused:
        noted = record.record.secret if isinstance(record, GoodRecord) else None
        if noted is None:
            raise
        try:
            return await rt.credential_secrets.put_labels_back(where, apikey_name=key.name, uid=noted.uid)
        except Conflict:  # another Secret
            raise refused from None


def _presumed(rt: Runtime, apikey: ApiKey, where: Key, *, record: RecordSeen) -> Entry[CredentialMetadata] | None:
    """What the record says of the Secret, as long as nobody has looked. The record of an earlier ApiKey may mean another Secret."""
    if not isinstance(record, GoodRecord) or record.record.uid != apikey.metadata.uid or not rt.secrets.is_unknown(where):
        return None
    noted = record.record.secret
    version = record.record.version(noted.version) if noted is not None else None
    if noted is None or version is None:
        return None
    value = CredentialMetadata(
        managed=True, apikey_name=apikey.metadata.name, key_id=version.key_id, version=version.number, adoption_tag=""
    )
    entry = Entry(value, int(noted.resource_version), noted.uid)
    rt.secrets.presume(where, entry)
    return entry


def _in_doubt(rt: Runtime, apikey: ApiKey, where: Key, record: RecordSeen) -> bool:
    """Where no watch tells: whether what is known may not be so, and much would follow from it.

    Somebody touched the ApiKey; a write of ours may have been hidden by a crash; the key is older than its record; the record knows more
    than a store that was restored; or an old version will end because a newer one is presumed to have been delivered.
    """
    if rt.secrets.rounds is None:
        return False
    if apikey.key in rt.secrets.doubtful:
        return True
    if not isinstance(record, GoodRecord):
        return apikey.status is not None and rt.secrets.is_unknown(where)
    much_follows = record.record.in_state(VersionState.RETIRING) or record.record.change == Change.RECOVERED
    return _has_orphan(rt, apikey.key, record.record) or (bool(much_follows) and rt.secrets.is_presumed(where))


def _has_orphan(rt: Runtime, key: Key, record: Record) -> bool:
    """Whether a version is on its way whose plaintext this process does not hold: another may have delivered it."""
    held = rt.memory.held.get(key, {})
    return any(staged.not_after is None and staged.number not in held for staged in record.in_state(VersionState.STAGED))


def _seems_lost(entry: Entry[CredentialMetadata] | None, record: RecordSeen) -> bool:
    """Whether a version would end because of what the watch shows: it may lag behind the record's, so the API server itself is asked."""
    if not isinstance(record, GoodRecord):
        return False
    active, staged = record.record.active, record.record.in_state(VersionState.STAGED)
    if active is None or (staged and staged[-1].not_after is None):
        return False  # nothing ends: a version is on its way, or there is none
    return entry is None or (entry.value.version, entry.value.key_id) != (active.number, active.key_id)


async def check_secret(rt: Runtime, apikey: ApiKey, *, record: RecordSeen) -> CheckedSecret | None:
    """Read the body and judge it; None if it is gone."""
    where = Key(apikey.metadata.namespace, apikey.secret_name)
    held = rt.secrets.get(where)
    try:
        entry, body = await rt.credential_secrets.read(where)
    except NotFound:
        rt.secrets.remove(where, held)
        return None
    return judge(rt, apikey, entry=entry, body=body, record=record.record if isinstance(record, GoodRecord) else None)


def judge(rt: Runtime, apikey: ApiKey, *, entry: Entry[CredentialMetadata], body: CredentialBody, record: Record | None) -> CheckedSecret:
    """Say whose Secret it is, whether it holds what it says, and whether it is what the template renders to."""
    token = body.data.get(names.TOKEN_DATA_KEY)
    digest = digest_token(token.reveal()) if token is not None else ""
    about = body.metadata
    tagged = _is_tagged(rt, apikey.key, about, digest)
    pointed_at = record is not None and record.secret is not None and record.secret.uid == entry.uid
    foreign = _why_foreign(body, ours=tagged or pointed_at, secret_name=apikey.secret_name)
    fingerprint = _fingerprint(apikey, entry=entry, body=body, record=record)
    return CheckedSecret(
        resource_version=entry.resource_version,
        uid=entry.uid,
        fingerprint=fingerprint,
        key_id=about.key_id,
        intact=tagged and about.managed and about.apikey_name == apikey.metadata.name,
        token_digest=digest,
        foreign=foreign,
    )


def _is_tagged(rt: Runtime, key: Key, about: CredentialMetadata, digest: str) -> bool:
    comparison = tag_matches(
        rt.installation.tag_ring,
        tag=about.adoption_tag,
        installation=rt.installation.id,
        namespace=key.namespace,
        name=key.name,
        key_id=about.key_id,
        version=about.version,
        token_digest=digest,
    )
    return isinstance(comparison, Match)


def _why_foreign(body: CredentialBody, *, ours: bool, secret_name: str) -> str | None:
    if not ours:
        return _not_written_by_us(secret_name)
    if body.secret_type != names.CREDENTIAL_TYPE:
        wrong = f"Secret {secret_name} has type {body.secret_type}, not {names.CREDENTIAL_TYPE}"
        return f"{wrong}, and a type cannot be changed. Delete the Secret"
    if body.immutable:
        return f"Secret {secret_name} was made immutable, so no key can be put into it. Delete the Secret"
    return None


def _not_written_by_us(secret_name: str) -> str:
    return (
        f"Secret {secret_name} exists and was not written by Keyturn; it was left untouched. Delete or rename it,"
        " or create the ApiKey with another spec.secretName"
    )


def _fingerprint(apikey: ApiKey, *, entry: Entry[CredentialMetadata], body: CredentialBody, record: Record | None) -> SecretFingerprint:
    expected, previous_version = _expected(apikey, body, record)
    fits = expected is not None and conforms(expected, apikey, body)
    labels = expected.labels if expected is not None else {}
    annotations = expected.annotations if expected is not None else {}
    digest = secret_digest(
        secret_type=body.secret_type,
        labels={name: body.labels.get(name, "") for name in labels},
        annotations={name: body.annotations.get(name, "") for name in annotations},
        data_digests={name: value_digest(value) for name, value in body.data.items()},
    )
    return SecretFingerprint(
        uid=entry.uid,
        resource_version=str(entry.resource_version),
        version=body.metadata.version,
        digest=digest,
        template_digest=template_digest(apikey) if fits else DRIFTED,
        previous_version=previous_version,
    )


def _expected(apikey: ApiKey, body: CredentialBody, record: Record | None) -> tuple[Rendered | None, int | None]:
    token = body.data.get(names.TOKEN_DATA_KEY)
    if token is None:
        return None, None
    about = body.metadata
    in_hand = TokenInHand(about.version, about.key_id, about.adoption_tag, token)
    previous, number = previous_in(body, record) if keeps_previous(apikey) else (None, None)
    return render(apikey, in_hand, previous=previous), number


def previous_in(body: CredentialBody, record: Record | None) -> tuple[Plaintext | None, int | None]:
    """The retiring plaintext that the Secret holds beside the new one, and its version."""
    previous = body.data.get(names.PREVIOUS_TOKEN_DATA_KEY)
    if previous is None or record is None:
        return None, None
    digest = digest_token(previous.reveal())
    entry = next((each for each in record.versions if each.digest == digest), None)
    return (previous, entry.number) if entry is not None else (None, None)


def conforms(expected: Rendered, apikey: ApiKey, body: CredentialBody) -> bool:
    """Whether the Secret is what the template renders to; labels and annotations of others do not matter."""
    return (
        dict(body.data) == dict(expected.data)
        and all(body.labels.get(name) == value for name, value in expected.labels.items())
        and all(body.annotations.get(name) == value for name, value in expected.annotations.items())
        and (apikey.metadata.uid in body.owner_uids) == expected.owned
        and not stale_names(expected, body)
    )


def stale_names(expected: Rendered, body: CredentialBody) -> frozenset[str]:
    """Labels and annotations that we wrote once and want no more."""
    return (body.owned_labels - expected.labels.keys()) | (body.owned_annotations - expected.annotations.keys())


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Names in a Secret that the next write takes away."""

    labels: frozenset[str] = frozenset()
    annotations: frozenset[str] = frozenset()
    data: frozenset[str] = frozenset()


def leftovers(expected: Rendered, body: CredentialBody) -> Leftovers:
    """What a write of `expected` must take away: all other data, and what we ourselves wrote besides."""
    return Leftovers(
        labels=body.owned_labels - expected.labels.keys(),
        annotations=body.owned_annotations - expected.annotations.keys(),
        data=frozenset(body.data.keys() - expected.data.keys()),
    )
