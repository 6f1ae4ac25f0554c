"""The installation's root secret and what follows from it; namespaces and published keys. Set up once, at the start of `run.py`.

The root secret is created by POST, once, and never again while records exist that it must verify.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.errors import UserMustAct
from keyturn.base.log_output import get_logger
from keyturn.base.settings import Settings
from keyturn.cluster.api_errors import AlreadyExists, Forbidden, NotFound
from keyturn.cluster.client import METADATA_ONLY, Client
from keyturn.cluster.raw import mapping_of, texts_of
from keyturn.cluster.record_secrets import RECORD_SELECTOR
from keyturn.cluster.root_objects import published_keys_manifest, root_secret_manifest
from keyturn.keys.mint import mint_root_secret
from keyturn.keys.root_secret import ROOT_LENGTH, RootSecret, SigningRing, TagRing
from keyturn.keys.verification_keys import CONFIG_MAP_NAME, VerificationKeys

ROOT_DATA_KEY: Final = "root"
PREVIOUS_ROOT_DATA_KEY: Final = "previous-root"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Installation:
    """What tells this installation's records and Secrets from everybody else's."""

    id: str
    signing_ring: SigningRing
    tag_ring: TagRing
    verification_keys: VerificationKeys
    roots: tuple[RootSecret, ...]
    """What all of it follows from, the one that signs first: kept, so that a Secret that is deleted can be written again."""

    @classmethod
    def of(cls, first: RootSecret, *others: RootSecret) -> Installation:
        """Derive everything. During a change of roots the oldest one keeps naming the installation."""
        ring, tags = SigningRing.of(first, *others), TagRing.of(first, *others)
        keys = ring.verification_keys
        return cls(id=installation_id(keys), signing_ring=ring, tag_ring=tags, verification_keys=keys, roots=(first, *others))


def installation_id(keys: VerificationKeys) -> str:
    """Of the installation that publishes these, one at least: the oldest stands last."""
    return hashlib.sha256(b"keyturn.dev/installation\0" + keys.keys[-1].key_id.encode()).hexdigest()[:16]


async def set_up(client: Client, settings: Settings) -> Installation:
    """Namespaces, root secret, published verification keys. Raises UserMustAct, RetryLater."""
    for namespace in (settings.namespace, settings.records_namespace):
        await _ensure_namespace(client, namespace)
    installation = await _load_root(client, settings)
    await _publish(client, settings, installation.verification_keys)
    return installation


async def _ensure_namespace(client: Client, name: str) -> None:
    try:
        await client.get(f"/api/v1/namespaces/{name}")
    except Forbidden:
        return  # we may not look; what is missing will say so itself
    except NotFound:
        labels = {"app.kubernetes.io/part-of": "keyturn"}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        try:
            await client.post("/api/v1/namespaces", body)
        except AlreadyExists:
            return
        except Forbidden as refused:
            message = f"Namespace {name} does not exist and may not be created: kubectl create namespace {name}"
            raise UserMustAct(message, reason=Reason.PERMISSION_MISSING) from refused
        log.info("Created namespace", namespace=name)


async def _load_root(client: Client, settings: Settings) -> Installation:
    path = f"/api/v1/namespaces/{settings.namespace}/secrets"
    try:
        return _read_root(await client.get(f"{path}/{settings.root_secret}"), settings)
    except NotFound:
        await _refuse_if_records_exist(client, settings)
    root = mint_root_secret()
    try:
        await client.post(path, _root_manifest((root,), settings))
    except AlreadyExists:
        return _read_root(await client.get(f"{path}/{settings.root_secret}"), settings)
    log.info("Created root secret", namespace=settings.namespace, name=settings.root_secret)
    return Installation.of(root)


async def keep_root(client: Client, settings: Settings, installation: Installation) -> None:
    """Look whether the root secret is still there, and write the same one again where it is not. Raises KeyturnError.

    A POST, which writes over nothing: whoever put another one in its place meanwhile has decided. That the same one is written again gives
    nobody more power than this process has: it signs with it all the same, until it ends, and could not start again without it.
    """
    path = f"/api/v1/namespaces/{settings.namespace}/secrets"
    try:
        await client.get(f"{path}/{settings.root_secret}", accept=METADATA_ONLY)
    except NotFound:
        try:
            await client.post(path, _root_manifest(installation.roots, settings))
        except AlreadyExists:
            return
        where = {"namespace": settings.namespace, "name": settings.root_secret, "reason": str(Reason.ROOT_SECRET_MISSING)}
        log.error("The root secret was missing and was written again", **where)


def _root_manifest(roots: tuple[RootSecret, ...], settings: Settings) -> dict[str, object]:
    data = zip((ROOT_DATA_KEY, PREVIOUS_ROOT_DATA_KEY), roots, strict=False)
    encoded = {name: base64.b64encode(root.reveal()).decode() for name, root in data}
    return root_secret_manifest(encoded, namespace=settings.namespace, name=settings.root_secret)


async def _refuse_if_records_exist(client: Client, settings: Settings) -> None:
    query = {"labelSelector": RECORD_SELECTOR, "limit": "1"}
    listed = await client.get(f"/api/v1/namespaces/{settings.records_namespace}/secrets", query=query)
    if not listed.get("items"):
        return
    raise UserMustAct(
        f"Secret {settings.namespace}/{settings.root_secret} is missing while verifier records exist. Restore it from your backup; a new"
        " root secret could verify none of them. If it is lost for good, delete the records: every key is then issued anew",
        reason=Reason.ROOT_SECRET_MISSING,
    )


def _read_root(raw: Mapping[str, object], settings: Settings) -> Installation:
    data = texts_of(raw, "data")
    roots = [_root_of(data[name], settings) for name in (ROOT_DATA_KEY, PREVIOUS_ROOT_DATA_KEY) if name in data]
    if ROOT_DATA_KEY not in data:
        raise _unreadable(settings)
    return Installation.of(*roots)


def _root_of(text: str, settings: Settings) -> RootSecret:
    try:
        return RootSecret(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise _unreadable(settings) from None


def _unreadable(settings: Settings) -> UserMustAct:
    return UserMustAct(
        f"Secret {settings.namespace}/{settings.root_secret} must hold {ROOT_LENGTH} random bytes under the key {ROOT_DATA_KEY!r}",
        reason=Reason.ROOT_SECRET_MISSING,
    )


async def _publish(client: Client, settings: Settings, keys: VerificationKeys) -> None:
    path = f"/api/v1/namespaces/{settings.namespace}/configmaps/{CONFIG_MAP_NAME}"
    try:
        current = await client.get(path)
    except NotFound:
        current = {}
    if dict(mapping_of(current, "data")) == keys.to_data():
        return
    await client.apply(path, published_keys_manifest(keys.to_data(), namespace=settings.namespace))
    log.info("Published verification keys", namespace=settings.namespace, name=CONFIG_MAP_NAME)
