"""The smallest JSON merge patch (RFC 7386) between two objects: what a status write sends."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel


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


def model_patch(before: BaseModel | None, after: BaseModel) -> dict[str, object]:
    """The same between two statuses as the API server keeps them; None: there is none yet."""
    return merge_patch({} if before is None else _as_json(before), _as_json(after))


def _as_json(model: BaseModel) -> dict[str, object]:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)
