"""Credential Secrets: the plaintext, in its consumer's namespace. The narrow port to Secrets that are not records.

What is watched is metadata; a body is read only to check one that changed, or to render one anew, and kept by nobody.
Without the right to read Secrets, an empty patch reads one: it changes nothing, and admission refuses it for whatever is not Keyturn's.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.base import names
from keyturn.base.errors import Conflict
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.cluster.api_errors import Forbidden
from keyturn.cluster.cache import Entry
from keyturn.cluster.client import METADATA_ONLY, Client, Json
from keyturn.cluster.raw import key_of, mapping_of, resource_version_of, text_of, texts_of, uid_of
from keyturn.cluster.resource_path import path_part

CREDENTIAL_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.APIKEY_LABEL},!{names.NAMESPACE_LABEL}"

FENCE: Final = f"ValidatingAdmissionPolicy {names.SECRETS_POLICY}"
"""What refuses the operator every Secret that is not Keyturn's."""

VERSION_DIGITS: Final = 10
"""An int32 in decimal; anything longer was not written by us."""


class NotOurs(Conflict):
    """The fence refuses to let us at the Secret that stands there: it is somebody else's, or has lost the labels that make it ours."""


@dataclass(frozen=True, slots=True)
class CredentialMetadata:
    """What a credential Secret says about itself. `managed`: its labels are those by which the watch finds it (CREDENTIAL_SELECTOR)."""

    managed: bool
    apikey_name: str
    key_id: str
    version: int
    adoption_tag: str


@dataclass(frozen=True, slots=True)
class CredentialBody:
    """A credential Secret read whole. `owned_*`: the names that our field manager has written."""

    metadata: CredentialMetadata
    secret_type: str
    immutable: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner_uids: frozenset[str]
    foreign_owners: tuple[Mapping[str, object], ...]
    """Owner references that are not to an ApiKey, as they stand."""
    data: Mapping[str, Plaintext]
    owned_labels: frozenset[str]
    owned_annotations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Owner:
    """The ApiKey a credential Secret goes with."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class CredentialWrite:
    """What a credential Secret shall be. `drop_*`: names to take away."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    data: Mapping[str, Plaintext]
    owner: Owner | None
    foreign_owners: tuple[Mapping[str, object], ...] | None = None
    """Owner references of others that stay beside ours. None: owner references were not read, are right as they are and not touched."""
    drop_labels: frozenset[str] = frozenset()
    drop_annotations: frozenset[str] = frozenset()
    drop_data: frozenset[str] = frozenset()


def decode_credential_metadata(raw: Mapping[str, object]) -> tuple[Key, CredentialMetadata] | None:
    """Read a Secret's metadata, under its own namespace and name."""
    return key_of(raw), _metadata_of(mapping_of(raw, "metadata"))


def _metadata_of(metadata: Mapping[str, object]) -> CredentialMetadata:
    labels, annotations = texts_of(metadata, "labels"), texts_of(metadata, "annotations")
    version = annotations.get(names.VERSION_ANNOTATION, "")
    return CredentialMetadata(
        managed=labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
        and names.APIKEY_LABEL in labels
        and names.NAMESPACE_LABEL not in labels,
        apikey_name=labels.get(names.APIKEY_LABEL, ""),
        key_id=annotations.get(names.KEY_ID_ANNOTATION, ""),
        version=int(version) if version.isascii() and version.isdigit() and len(version) <= VERSION_DIGITS else 0,
        adoption_tag=annotations.get(names.ADOPTION_TAG_ANNOTATION, ""),
    )


class CredentialSecrets:
    """Reads and writes credential Secrets one at a time. `by_patch`: reads without the right to read."""

    def __init__(self, client: Client, *, by_patch: bool) -> None:
        self._client = client
        self._by_patch = by_patch

    async def create(self, where: Key, write: CredentialWrite) -> Entry[CredentialMetadata]:
        """Create the Secret. Raises AlreadyExists: nothing of anybody's is ever overwritten by this."""
        metadata: dict[str, object] = {"name": where.name, "namespace": where.namespace}
        metadata |= {"labels": dict(write.labels), "annotations": dict(write.annotations)}
        metadata["ownerReferences"] = _owner_references(write.owner, foreign=())
        body = {"apiVersion": "v1", "kind": "Secret", "type": names.CREDENTIAL_TYPE, "metadata": metadata, "data": _encoded(write)}
        return _entry(await self._client.post(_collection(where), body, accept=METADATA_ONLY))

    async def replace(self, where: Key, write: CredentialWrite, *, uid: str, resource_version: str) -> Entry[CredentialMetadata]:
        """Change the very Secret that was seen. Raises Conflict if it is not the newest any more."""
        metadata: dict[str, object] = {
            "uid": uid,
            "resourceVersion": resource_version,
            "labels": {names.NAMESPACE_LABEL: None, **dict.fromkeys(write.drop_labels), **write.labels},
            "annotations": {**dict.fromkeys(write.drop_annotations), **write.annotations},
        }
        if write.foreign_owners is not None:
            metadata["ownerReferences"] = _owner_references(write.owner, foreign=write.foreign_owners)
        body = {"metadata": metadata, "data": {**dict.fromkeys(write.drop_data), **_encoded(write)}}
        return _entry(await self._client.patch_merge(_path(where), body, accept=METADATA_ONLY))

    async def put_labels_back(self, where: Key, *, apikey_name: str, uid: str) -> Entry[CredentialMetadata]:
        """Make the very Secret that we wrote once findable again, as far as that is missing. Raises NotOurs, Conflict, NotFound."""
        labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.APIKEY_LABEL: apikey_name, names.NAMESPACE_LABEL: None}
        return _entry(await self._patch(where, {"metadata": {"uid": uid, "labels": labels}}, accept=METADATA_ONLY))

    async def read_metadata(self, where: Key) -> Entry[CredentialMetadata]:
        """Ask the API server itself what stands there now. Raises NotFound, NotOurs."""
        return _entry(await self._read(where, accept=METADATA_ONLY))

    async def read(self, where: Key) -> tuple[Entry[CredentialMetadata], CredentialBody]:
        """Read the whole Secret, plaintext and all. Raises NotFound, NotOurs."""
        raw = await self._read(where)
        return _entry(raw), _body_of(raw)

    async def _read(self, where: Key, *, accept: str | None = None) -> Json:
        if not self._by_patch:
            return await self._client.get(_path(where), accept=accept)
        return await self._patch(where, {}, accept=accept)

    async def _patch(self, where: Key, body: object, *, accept: str | None) -> Json:
        try:
            return await self._client.patch_merge(_path(where), body, accept=accept)
        except Forbidden as refused:
            if refused.denied_by == FENCE:
                raise NotOurs(str(refused)) from refused
            raise


def _entry(raw: Mapping[str, object]) -> Entry[CredentialMetadata]:
    return Entry(_metadata_of(mapping_of(raw, "metadata")), resource_version_of(raw), uid_of(raw))


def _body_of(raw: Mapping[str, object]) -> CredentialBody:
    metadata = mapping_of(raw, "metadata")
    about = _metadata_of(metadata)
    owners = metadata.get("ownerReferences")
    listed = [owner for owner in owners if isinstance(owner, Mapping)] if isinstance(owners, list) else []
    return CredentialBody(
        metadata=about,
        secret_type=text_of(raw, "type"),
        immutable=raw.get("immutable") is True,
        labels=texts_of(metadata, "labels"),
        annotations=texts_of(metadata, "annotations"),
        owner_uids=frozenset(text_of(owner, "uid") for owner in listed),
        foreign_owners=tuple(owner for owner in listed if not _is_apikey(owner)),
        data={name: Plaintext(about.key_id, _decoded(value)) for name, value in texts_of(raw, "data").items()},
        owned_labels=_owned(metadata, "f:labels"),
        owned_annotations=_owned(metadata, "f:annotations"),
    )


def _owned(metadata: Mapping[str, object], field: str) -> frozenset[str]:
    managers = metadata.get("managedFields")
    ours = [m for m in managers if isinstance(m, Mapping) and m.get("manager") == names.FIELD_MANAGER] if isinstance(managers, list) else []
    fields = [mapping_of(mapping_of(mapping_of(manager, "fieldsV1"), "f:metadata"), field) for manager in ours]
    return frozenset(name.removeprefix("f:") for found in fields for name in found if name.startswith("f:"))


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "replace")
    except binascii.Error:
        return ""


def _encoded(write: CredentialWrite) -> dict[str, str]:
    return {name: base64.b64encode(value.reveal().encode()).decode() for name, value in write.data.items()}


def _is_apikey(owner: Mapping[str, object]) -> bool:
    return owner.get("kind") == "ApiKey" and text_of(owner, "apiVersion").partition("/")[0] == names.GROUP


def _owner_references(owner: Owner | None, *, foreign: tuple[Mapping[str, object], ...]) -> list[object]:
    """All of them; an object has one controlling owner at the most, and whoever is it stays it.

    One that was left by an ApiKey of before is not kept: where ours is not wanted, the garbage collector would take the Secret for it.
    """
    if owner is None:
        return list(foreign)
    controller = not any(each.get("controller") is True for each in foreign)
    ours = {"apiVersion": f"{names.GROUP}/v1alpha1", "kind": "ApiKey", "name": owner.name, "uid": owner.uid, "controller": controller}
    return [*foreign, ours]


def _collection(where: Key) -> str:
    return f"/api/v1/namespaces/{path_part(where.namespace)}/secrets"


def _path(where: Key) -> str:
    return f"{_collection(where)}/{path_part(where.name)}"
