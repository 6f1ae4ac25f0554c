"""An ApiKey as it is kept in memory: JSON without what Keyturn never reads, a quarter of what the API server sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from keyturn.cluster.raw import mapping_of, resource_version_of, uid_of

KEPT_METADATA: Final = ("name", "namespace", "uid", "generation", "deletionTimestamp")
KEPT_ANNOTATION_PREFIX: Final = "keyturn.dev/"


def compact_apikey(raw: Mapping[str, object]) -> tuple[bytes, int, str]:
    """What to keep of an ApiKey, its resourceVersion and its uid."""
    metadata = mapping_of(raw, "metadata")
    kept: dict[str, object] = {name: metadata[name] for name in KEPT_METADATA if name in metadata}
    annotations = {k: v for k, v in mapping_of(metadata, "annotations").items() if k.startswith(KEPT_ANNOTATION_PREFIX)}
    if annotations:
        kept["annotations"] = annotations
    compact: dict[str, object] = {"metadata": kept, "spec": raw.get("spec") or {}}
    if raw.get("status"):
        compact["status"] = raw["status"]
    return json.dumps(compact, separators=(",", ":")).encode(), resource_version_of(raw), uid_of(raw)


def adds_only_status(held: bytes, raw: Mapping[str, object], *, status: Mapping[str, object]) -> bool:
    """Whether an ApiKey is the compact one that is held, with exactly this status: same uid, spec and annotations."""
    return raw.get("status") == status and not differs_beyond_status(held, raw)


def differs_beyond_status(held: bytes, raw: Mapping[str, object]) -> bool:
    """Whether an ApiKey is another than the compact one that is held, or has another spec or other annotations."""
    before, after = (json.loads(compact) for compact in (held, compact_apikey(raw)[0]))
    return bool(before["metadata"] != after["metadata"] or before["spec"] != after["spec"])
