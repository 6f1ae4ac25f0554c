"""The smallest JSON merge patch (RFC 7386) between two objects: what a status write sends."""

from __future__ import annotations

from collections.abc import Mapping


def merge_patch(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, object]:
    """What turns `before` into `after`; empty: nothing to do. `after` holds no nulls. Lists are replaced whole."""
    patch: dict[str, object] = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            nested = merge_patch(old, value)
            if nested:
                patch[name] = nested
        elif old != value:
            patch[name] = value
    return patch
