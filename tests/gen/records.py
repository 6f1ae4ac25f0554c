"""Hypothesis strategies for records: `records()` gives any valid ledger.

What matters is drawn, so that it shrinks: which states, how many tombstones, which fields are there, one free text. What only has
to differ (ids, hashes, instants) is spun from one drawn seed, which keeps a record cheap: unit tests have ten seconds in all.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st

from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.digest import digest_token
from keyturn.keys.record import DeadEntry, Limits, PeriodQuota, Record, SecretFingerprint, VersionEntry
from keyturn.keys.token_format import KEY_ID_LENGTH, encode_base62
from keyturn.lifecycle.plan import Change

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CENTURY_MILLISECONDS = 3_155_760_000_000

LIVE_STATES = (
    (),
    (VersionState.STAGED,),
    (VersionState.ACTIVE,),
    (VersionState.ACTIVE, VersionState.STAGED),
    (VersionState.RETIRING, VersionState.ACTIVE),
    (VersionState.RETIRING, VersionState.ACTIVE, VersionState.STAGED),
    (VersionState.RETIRING, VersionState.ACTIVE, VersionState.STAGED, VersionState.STAGED),
)
"""What a ledger's live versions can be, lowest number first: at most one Active, one older, and an orphan with its successor."""

DEAD_STATES = (VersionState.RETIRED, VersionState.REVOKED)


def key_ids() -> st.SearchStrategy[str]:
    return st.integers(min_value=0, max_value=62**KEY_ID_LENGTH - 1).map(lambda number: encode_base62(number, length=KEY_ID_LENGTH))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """Any valid record: 0 to 4 live versions, up to 6 tombstones below them, everything else there or not."""
    spun = _Spun(draw(st.integers(min_value=0, max_value=2**64)))
    states = draw(st.sampled_from(LIVE_STATES))
    dead_count = draw(st.integers(min_value=0, max_value=6))
    there = _Mask(draw(st.integers(min_value=0, max_value=2**22 - 1)))
    text = draw(st.text(max_size=20))
    first = spun.number(1000) + 1
    highest = first + dead_count + len(states) - 1
    return Record(
        installation=spun.uid(),
        namespace=spun.one_of(("n", "team-a", "team-b")),
        name=spun.one_of(("a", "billing", "billing.api")),  # unlike a namespace, a name may have dots
        uid=spun.uid(),
        serial=spun.number(2**53),
        change=spun.one_of(tuple(Change)),
        highest=highest + spun.number(2),
        versions=tuple(_version(spun, number=first + dead_count + place, state=state) for place, state in enumerate(states)),
        dead_through=there.maybe(first + dead_count - 1) or 0,
        dead=tuple(_tombstone(spun, number=first + place, reason=text) for place in range(dead_count)),
        audience=there.maybe("https://api.example.com") or "default",
        product=there.maybe("apis/payments"),
        plan=there.maybe(text),
        scopes=there.maybe(("payments.read", text)) or (),
        allowed_cidrs=there.maybe(("192.0.2.0/24", "2001:db8::/32")) or (),
        max_staleness_seconds=there.maybe(spun.number(86_400)),
        expiration_time=there.maybe(spun.time()),
        disabled=there.maybe(item=True) or False,
        retained=there.maybe(item=True) or False,
        retain_on_delete=there.maybe(item=True) or False,
        trigger=there.maybe(text),
        rotate_requested_at=there.maybe(text),
        min_version=there.maybe(spun.number(highest + 1)),
        secret=there.maybe(_fingerprint(spun, version=highest)),
        ended_time=None if states else spun.time(),
        limits=there.maybe(Limits(spun.number(1000) + 1, spun.number(1000) + 1)),
        access_lost_time=there.maybe(spun.time()),
        revoked_before=there.maybe(spun.time()),
        revoked_through=there.maybe(spun.number(highest + 1)) or 0,
        quota=there.maybe(PeriodQuota(spun.number(1000) + 1, spun.one_of(("Hour", "Day", "Month")))),
        ended_digests=there.maybe((digest_token("kt_0"),)) or (),
        restored_time=there.maybe(spun.time()),
    )


def _version(spun: _Spun, *, number: int, state: VersionState) -> VersionEntry:
    staged = spun.time()
    cause = spun.one_of(tuple(Cause))
    return VersionEntry(
        number=number,
        key_id=spun.key_id(),
        digest=digest_token(f"kt_{number}"),
        state=state,
        staged_time=staged,
        cause=cause,
        active_time=None if state is VersionState.STAGED else staged + timedelta(seconds=5),
        not_after=staged + timedelta(days=7) if state is VersionState.RETIRING else None,
        imported=cause is Cause.IMPORTED,
    )


def _tombstone(spun: _Spun, *, number: int, reason: str) -> DeadEntry:
    cause = spun.one_of(tuple(Cause))
    return DeadEntry(
        number=number,
        key_id=spun.key_id(),
        end_time=spun.time(),
        state=spun.one_of(DEAD_STATES),
        reason=reason,
        cause=cause,
        digest=digest_token(f"kt_{number}") if cause is Cause.IMPORTED else "",
    )


def _fingerprint(spun: _Spun, *, version: int) -> SecretFingerprint:
    return SecretFingerprint(
        uid=spun.uid(),
        resource_version=str(spun.number(10**9)),
        version=version,
        digest=f"{spun.number(2**256):064x}",
        template_digest=f"{spun.number(2**256):064x}",
        previous_version=spun.one_of((None, version)),
    )


class _Spun:
    """Values without meaning, all from one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def number(self, below: int) -> int:
        self._count += 1
        return int.from_bytes(sha256(f"{self._seed}/{self._count}".encode()).digest()) % below

    def one_of(self, choices: tuple[T, ...]) -> T:
        return choices[self.number(len(choices))]

    def uid(self) -> str:
        return str(UUID(int=self.number(2**128)))

    def key_id(self) -> str:
        return encode_base62(self.number(62**KEY_ID_LENGTH), length=KEY_ID_LENGTH)

    def time(self) -> datetime:
        """A whole millisecond, as everything in a record is; every fourth one a whole second, which is written differently."""
        step = self.one_of((1, 1, 1, 1000))
        return EPOCH + timedelta(milliseconds=self.number(CENTURY_MILLISECONDS) // step * step)


class _Mask:
    """One bit for each field: there or not."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def maybe(self, item: T) -> T | None:
        self._bits, is_there = divmod(self._bits, 2)
        return item if is_there else None
