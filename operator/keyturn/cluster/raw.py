"""Reading the API server's JSON without trusting its shape."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from keyturn.base.clock import parse_time
from keyturn.base.names import Key


def mapping_of(raw: Mapping[str, object], name: str) -> Mapping[str, object]:
    """A nested object; empty if it is absent or something else."""
    value = raw.get(name)
    return value if isinstance(value, Mapping) else {}


def text_of(raw: Mapping[str, object], name: str) -> str:
    """A text; empty if it is absent or something else."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def texts_of(raw: Mapping[str, object], name: str) -> dict[str, str]:
    """A map of texts: labels, annotations, data."""
    return {key: value for key, value in mapping_of(raw, name).items() if isinstance(value, str)}


def objects_of(raw: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    """A list of objects; empty if it is absent or something else."""
    value = raw.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def instant_of(raw: Mapping[str, object], name: str) -> datetime | None:
    """An RFC 3339 instant; None if it is absent or something else."""
    try:
        return parse_time(text_of(raw, name))
    except ValueError:
        return None


def key_of(raw: Mapping[str, object]) -> Key:
    """The object's namespace and name."""
    metadata = mapping_of(raw, "metadata")
    return Key(text_of(metadata, "namespace"), text_of(metadata, "name"))


def resource_version_of(raw: Mapping[str, object]) -> int:
    """The object's resourceVersion, as the integer it is (KEP-5504)."""
    return int(text_of(mapping_of(raw, "metadata"), "resourceVersion") or "0")


def uid_of(raw: Mapping[str, object]) -> str:
    """The object's uid."""
    return text_of(mapping_of(raw, "metadata"), "uid")
