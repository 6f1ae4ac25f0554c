"""The two objects that make an installation: its root Secret and its published keys. Written by the operator, and from a backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn.base import names
from keyturn.keys.verification_keys import CONFIG_MAP_NAME

_KEEP: Final = {"helm.sh/resource-policy": "keep"}


def root_secret_manifest(data: Mapping[str, str], *, namespace: str, name: str) -> dict[str, object]:
    """`data`: base64, as in the Secret. Helm must not take it along when the release goes."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, "app.kubernetes.io/part-of": "keyturn"}
    metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": _KEEP}
    return {"apiVersion": "v1", "kind": "Secret", "type": names.ROOT_TYPE, "metadata": metadata, "data": dict(data)}


def published_keys_manifest(data: Mapping[str, str], *, namespace: str) -> dict[str, object]:
    """The ConfigMap that verifiers read their public keys from."""
    metadata = {"name": CONFIG_MAP_NAME, "namespace": namespace, "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}
