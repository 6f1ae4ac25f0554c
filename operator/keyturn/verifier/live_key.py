"""What a check must know of one key version, made from a verified record. Before it: `keys/record_signing.py`. After it: `check.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, NamedTuple

from keyturn.keys.digest import raw_digest
from keyturn.keys.record import PeriodQuota, Record, VersionEntry
from keyturn.verifier.limits import Limit

Network = IPv4Network | IPv6Network
FOREVER: Final = float("inf")
DIGEST_SIZE: Final = 32
NUMBER_SIZE: Final = 8
DEFAULT_STALENESS: Final = 900.0
"""Seconds a key is believed without news from the cluster, where its record names none."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Power:
    """What a key may do; thousands of keys share one."""

    audience: str
    product: str | None
    plan: str | None
    scopes: tuple[str, ...]
    networks: tuple[Network, ...]
    """From where; empty: from everywhere."""
    staleness: float
    """Seconds."""
    limit: Limit | None = None
    """How often; None: the verifier's default."""
    quota: PeriodQuota | None = None
    """How much in a period: known here, and not counted yet."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Terms:
    """Until when, and whether at all; with most keys the same, so that they share one. Instants are unix seconds."""

    not_after: float
    expiration: float
    disabled: bool
    power: Power
    believed_until: float = FOREVER
    """Where the record is gone from the cluster without a word: until when it counts all the same."""
    imported: bool = False
    """Made elsewhere, so that its text may have any form: found by its digest."""


class LiveKey(NamedTuple):
    """One version of an ApiKey that may be accepted. A tuple of five, since there may be 100,000 of them in 40 MB."""

    proof: bytes
    """SHA-256 of the token (32 bytes), then serial and highest number of the record it stands in (8 bytes each, big-endian)."""
    key_id: str
    record_name: str
    """`<namespace>.<name>` of the ApiKey."""
    version: int
    terms: Terms

    @property
    def digest(self) -> bytes:
        """SHA-256 of the token."""
        return self.proof[:DIGEST_SIZE]

    @property
    def serial(self) -> int:
        """Which writing of the record it comes from."""
        return int.from_bytes(self.proof[DIGEST_SIZE:-NUMBER_SIZE], "big")

    @property
    def highest(self) -> int:
        """The highest version number that was ever given out when that was written."""
        return int.from_bytes(self.proof[-NUMBER_SIZE:], "big")


def live_keys(record: Record, *, record_name: str) -> Iterator[LiveKey]:
    """The versions of a verified record. A digest in a form that is not known here makes no key: nothing would match it.

    Raises ValueError for a CIDR that is none: such a record must not be taken for one without limits.
    """
    power = _power_of(record)
    written = record.serial.to_bytes(NUMBER_SIZE, "big") + record.highest.to_bytes(NUMBER_SIZE, "big")
    expiration = record.expiration_time.timestamp() if record.expiration_time is not None else FOREVER
    for entry in record.versions:
        digest = raw_digest(entry.digest)
        if digest is not None:
            terms = Terms(_not_after(entry), expiration, record.disabled, power, imported=entry.imported)
            yield LiveKey(digest + written, entry.key_id, record_name, entry.number, terms)


def _power_of(record: Record) -> Power:
    return Power(
        audience=record.audience,
        product=record.product,
        plan=record.plan,
        scopes=record.scopes,
        networks=tuple(ip_network(cidr) for cidr in record.allowed_cidrs),
        staleness=DEFAULT_STALENESS if record.max_staleness_seconds is None else float(record.max_staleness_seconds),
        limit=None if record.limits is None else Limit(record.limits.requests_per_second, record.limits.burst),
        quota=record.quota,
    )


def _not_after(entry: VersionEntry) -> float:
    return entry.not_after.timestamp() if entry.not_after is not None else FOREVER
