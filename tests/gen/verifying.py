"""Keys as a verifier knows them, and what clients send. Defaults are valid; a test says only what matters to it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import Record, VersionEntry
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import sign_record
from keyturn.keys.root_secret import RootSecret, SigningRing
from keyturn.keys.token_format import encode_base62, format_token
from keyturn.verifier.guard import Guard
from keyturn.verifier.live_key import LiveKey, live_keys
from keyturn.verifier.store import OfferedRecord, Store

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
KEY_ID = "Ab3dEf6hIj9k"
TOKEN = format_token("kt", key_id=KEY_ID, secret="s" * 43)
OTHER_TOKEN = format_token("kt", key_id="ZZZZZZZZZZZZ", secret="s" * 43)


@dataclass(frozen=True, slots=True)
class Known:
    """What a verifier knows, standing still."""

    live: Mapping[str, LiveKey] = field(default_factory=dict)
    imported: Mapping[bytes, LiveKey] = field(default_factory=dict)
    heard: float = NOW.timestamp()
    is_caught_up: bool = True


def record(*, token: str = TOKEN, number: int = 3, not_after: datetime | None = None, **fields: object) -> Record:
    """The record of team-a/billing with one Active version, whose token is TOKEN."""
    state = VersionState.ACTIVE if not_after is None else VersionState.RETIRING
    entry = VersionEntry(
        number=number,
        key_id=token[3:15],
        digest=digest_token(token),
        state=state,
        staged_time=NOW - timedelta(days=1),
        cause=Cause.SCHEDULED,
        not_after=not_after,
    )
    values: dict[str, Any] = {
        "installation": "i",
        "namespace": "team-a",
        "name": "billing",
        "uid": "u",
        "serial": 1,
        "change": "Activated",
        "highest": number,
        "versions": (entry,),
    }
    return Record(**{**values, **fields})


def foreign(token: str, *, key_id: str | None = None, **fields: object) -> Record:
    """The record of an ApiKey whose key was made elsewhere."""
    digest = digest_token(token)
    (entry,) = record().versions
    entry = replace(entry, key_id=key_id or derived_key_id(digest), digest=digest, cause=Cause.IMPORTED, imported=True)
    return record(**{"name": "imported", "versions": (entry,), **fields})


def known(*records: Record, **facts: object) -> Known:
    """A verifier that knows these records."""
    keys = [key for each in records for key in live_keys(each, record_name=f"{each.namespace}.{each.name}")]
    return Known(live={key.key_id: key for key in keys}, imported={key.digest: key for key in keys if key.terms.imported}, **facts)


def guard(*records: Record, **fields: object) -> Guard:
    """The door of an API, to a verifier that knows these records."""
    return Guard(known(*records), clock=lambda: NOW, **fields)


RING = SigningRing.of(RootSecret(b"r" * 32))


def offered(record: Record, *, ring: SigningRing = RING, at: str | None = None) -> OfferedRecord:
    """The record as the operator stores it; `at`: under another name than its own."""
    data = encode_record(record)
    return OfferedRecord(at or f"{record.namespace}.{record.name}", data, sign_record(data, ring=ring).encode())


def store(*records: Record) -> Store:
    """A verifier's memory, with these records in force."""
    made = Store(RING.verification_keys)
    for each in records:
        made.take(offered(each))
    return made


def token_of(name: str) -> str:
    """A token of its own for each name."""
    return format_token("kt", key_id=encode_base62(int.from_bytes(name.encode()) % 62**12, length=12), secret="s" * 43)


def secret_of(offered: OfferedRecord) -> dict[str, object]:
    """The Secret a record stands in, as the API server sends it."""
    data = {"record": base64.b64encode(offered.data).decode(), "signature": base64.b64encode(offered.signature).decode()}
    return {"metadata": {"name": offered.record_name, "resourceVersion": "10"}, "data": data}


@contextmanager
def scratch_file() -> Iterator[Path]:
    """A file of its own for one example of a property."""
    with TemporaryDirectory() as folder:
        yield Path(folder) / "file"
