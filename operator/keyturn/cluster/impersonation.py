"""Whom a kubeconfig's user acts as: what kubectl's --as and --as-group say, kept in the file. Our library reads none of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

_ONLY_BESIDE_A_NAME: Final = ("as-uid", "as-groups", "as-user-extra")

Headers = tuple[tuple[str, str], ...]


def headers_of(user: Mapping[str, object]) -> Headers:
    """The headers of every request; none: we act as ourselves. Raises ValueError for what kubectl refuses too.

    Not to be left out: who narrows their own rights in the file would act with all of them.
    """
    name = user.get("as")
    if not name:
        alone = [key for key in _ONLY_BESIDE_A_NAME if user.get(key)]
        if alone:
            raise ValueError(f"its user has {alone[0]} without as")
        return ()
    uid, groups, extra = (user.get(key) for key in _ONLY_BESIDE_A_NAME)
    return (
        ("Impersonate-User", str(name)),
        *((("Impersonate-Uid", str(uid)),) if uid else ()),
        *(("Impersonate-Group", str(group)) for group in (groups if isinstance(groups, list) else ())),
        *_extra_headers(extra if isinstance(extra, Mapping) else {}),
    )


def _extra_headers(extra: Mapping[object, object]) -> Headers:
    return tuple(
        (f"Impersonate-Extra-{quote(str(key), safe='')}", str(value))
        for key, values in extra.items()
        for value in (values if isinstance(values, list) else ())
    )
