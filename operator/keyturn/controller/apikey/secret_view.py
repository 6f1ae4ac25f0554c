"""What stands in the credential Secret's place: nothing, ours, or somebody else's. Part of `observe.py`.

The watch shows metadata. As long as uid and resourceVersion are those of our own last write, nobody has touched the Secret; otherwise
its body is read once, checked and dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base import names
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.base.verdict import Match
from keyturn.base.version_state import VersionState
from keyturn.cluster.api_errors import NotFound
from keyturn.cluster.cache import Entry
from keyturn.cluster.credential_secrets import CredentialBody, CredentialMetadata
from keyturn.controller.runtime import CheckedSecret, Runtime
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


async def see_secret(rt: Runtime, apikey: ApiKey, *, record: RecordSeen) -> SecretSeen:
    """Look at the credential Secret of a living ApiKey."""
    key, where = apikey.key, Key(apikey.metadata.namespace, apikey.secret_name)
    if where.name != key.name:
        rt.memory.note_owner(where, key.name)
    entry = await _find(rt, key, where, record=record)
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


async def _find(rt: Runtime, key: Key, where: Key, *, record: RecordSeen) -> Entry[CredentialMetadata] | None:
    """What the watch shows; where it may not show what stands there, what the API server says."""
    entry = rt.credentials.get(where)
    if not (entry is None and key in rt.memory.unlabelled) and not _seems_lost(entry, record):
        rt.memory.unlabelled.discard(key)
        return entry
    try:
        found = await rt.credential_secrets.read_metadata(where)
    except NotFound:
        rt.memory.unlabelled.discard(key)
        if entry is not None:
            rt.credentials.remove(where, entry.resource_version)
        return None
    if found.value.managed:
        rt.credentials.put(where, found.value, found.resource_version, found.uid)
    else:
        rt.memory.unlabelled.add(key)
    return found


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
    held = rt.credentials.get(where)
    try:
        entry, body = await rt.credential_secrets.read(where)
    except NotFound:
        if held is not None:
            rt.credentials.remove(where, held.resource_version)
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
        return (
            f"Secret {secret_name} exists and was not written by Keyturn; it was left untouched. Delete or rename it,"
            " or create the ApiKey with another spec.secretName"
        )
    if body.secret_type != names.CREDENTIAL_TYPE:
        wrong = f"Secret {secret_name} has type {body.secret_type}, not {names.CREDENTIAL_TYPE}"
        return f"{wrong}, and a type cannot be changed. Delete the Secret"
    if body.immutable:
        return f"Secret {secret_name} was made immutable, so no key can be put into it. Delete the Secret"
    return None


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
