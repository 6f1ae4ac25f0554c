"""An ApiKey as it is kept in memory: JSON without what Keyturn never reads, a quarter of what the API server sends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from keyturn.base import names
from keyturn.cluster.raw import mapping_of, resource_version_of, uid_of

KEPT_METADATA: Final = ("name", "namespace", "uid", "generation", "deletionTimestamp")
KEPT_ANNOTATIONS: Final = (names.ROTATE_ANNOTATION, names.RECEIVED_ANNOTATION, names.PAUSED_ANNOTATION, names.HIGHEST_ANNOTATION)
LONGEST_ANNOTATION: Final = 253
"""Kubernetes allows 256 KiB. A longer one stands for itself by its hash: it is only ever compared, and ends up in the record."""


def compact_apikey(raw: Mapping[str, object]) -> tuple[bytes, int, str]:
    """What to keep of an ApiKey, its resourceVersion and its uid."""
    metadata = mapping_of(raw, "metadata")
    kept: dict[str, object] = {name: metadata[name] for name in KEPT_METADATA if name in metadata}
    written = mapping_of(metadata, "annotations")
    annotations = {name: _shortened(str(written[name])) for name in KEPT_ANNOTATIONS if name in written}
    if annotations:
        kept["annotations"] = annotations
    compact: dict[str, object] = {"metadata": kept, "spec": raw.get("spec") or {}}
    if raw.get("status"):
        compact["status"] = raw["status"]
    return json.dumps(compact, separators=(",", ":")).encode(), resource_version_of(raw), uid_of(raw)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_ANNOTATION else f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def adds_only_status(held: bytes, raw: Mapping[str, object], *, status: Mapping[str, object]) -> bool:
    """Whether an ApiKey is the compact one that is held, with exactly this status: same uid, spec and annotations."""
    return raw.get("status") == status and not differs_beyond_status(held, raw)


def differs_beyond_status(held: bytes, raw: Mapping[str, object]) -> bool:
    """Whether an ApiKey is another than the compact one that is held, or has another spec or other annotations."""
    before, after = (json.loads(compact) for compact in (held, compact_apikey(raw)[0]))
    return bool(before["metadata"] != after["metadata"] or before["spec"] != after["spec"])
