"""Whole objects as JSON or YAML on standard output. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from keyturn.cluster.raw import mapping_of

Document = Mapping[str, object]


def as_list(items: Sequence[Document]) -> Document:
    """Several objects as kubectl puts them together."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(items)}


def without_managed_fields(item: Document) -> Document:
    """An object without the bookkeeping of field managers, as kubectl shows it."""
    return {**item, "metadata": {key: value for key, value in mapping_of(item, "metadata").items() if key != "managedFields"}}


def render(document: Document | Sequence[Document], form: str) -> str:
    """The text, without its last line end. `form`: json or yaml."""
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False)
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)).rstrip("\n")
