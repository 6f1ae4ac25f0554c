"""ApiKeys whose key stands in no Secret: for a person (delivery Sealed), or made elsewhere (delivery None). As `lifecycle.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from gen.lifecycle import HOUR, NOW, SECOND, apikey, key_id, record
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import DeadEntry, Record, VersionEntry

ANNA = "age1kvkh6hjpctxr9rkrwvjrq28s5y8u35lcg9t895d6vem7u6wvuefshyykz8"
BELA = "age1ea65estn59awh5a79upmg385wr8dz7t3hke76dk3amrmqt8ykvcqfwjgyg"
OLD, NEW, NEWEST = (digest_token(f"sk-{name}-0123456789") for name in ("old", "new", "newest"))


def ledger(*versions: VersionEntry, dead: tuple[DeadEntry, ...] = ()) -> Record:
    """A record beside which there is no Secret."""
    return replace(record(*versions, dead=dead), secret=None)


def wanting(
    *, of: int | None = None, recipient: str = ANNA, received: int | None = None, asked: str = "", to: str = ANNA, **spec: object
) -> ApiKey:
    """An ApiKey for Anna. `of`: whose ciphertext its status holds, for `recipient`; `received`: what she says that she has."""
    annotations = {"keyturn.dev/received": key_id(received)} if received else {}
    annotations |= {"keyturn.dev/rotate-requested-at": asked} if asked else {}
    status: Mapping[str, object] | None = None
    if of is not None:
        end = "2026-03-02T13:00:00Z"
        status = {"sealed": {"keyID": key_id(of), "version": of, "recipient": recipient, "ciphertext": "age", "expirationTime": end}}
    return apikey({"delivery": "Sealed", "sealed": {"recipient": to}, **spec}, annotations=annotations, status=status)


def listing(*digests: str, **spec: object) -> ApiKey:
    """An ApiKey whose keys were made elsewhere."""
    return apikey({"delivery": "None", "digests": [{"digest": digest} for digest in digests], **spec})


def imported(number: int, digest: str, state: VersionState, *, ago: timedelta = HOUR, not_after: timedelta | None = None) -> VersionEntry:
    """A version that was made of a listed digest."""
    return VersionEntry(
        number=number,
        key_id=derived_key_id(digest),
        digest=digest,
        state=state,
        staged_time=NOW - ago - 5 * SECOND,
        cause=Cause.IMPORTED,
        active_time=None if state is VersionState.STAGED else NOW - ago,
        not_after=NOW + not_after if not_after is not None else None,
        imported=True,
    )
