"""What a check must know of one key version, made from a verified record. Before it: `keys/record_signing.py`. After it: `check.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final

from keyturn.base.names import Key
from keyturn.keys.digest import raw_digest
from keyturn.keys.record import Record, VersionEntry

Network = IPv4Network | IPv6Network
FOREVER: Final = float("inf")
DEFAULT_STALENESS: Final = 900.0
"""Seconds a key is believed without news from the cluster, where its record names none."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class LiveKey:
    """One version of an ApiKey that may be accepted. Instants are unix seconds."""

    digest: bytes
    """SHA-256 of the token: 32 bytes."""
    not_after: float
    expiration: float
    key: Key
    version: int
    disabled: bool
    power: Power


def live_keys(record: Record) -> Iterator[tuple[str, LiveKey]]:
    """The versions of a verified record by key ID. A digest in a form that is not known here makes no key: nothing would match it."""
    power = power_of(record)
    key = Key(record.namespace, record.name)
    expiration = record.expiration_time.timestamp() if record.expiration_time is not None else FOREVER
    for entry in record.versions:
        digest = raw_digest(entry.digest)
        if digest is not None:
            yield entry.key_id, LiveKey(digest, _not_after(entry), expiration, key, entry.number, record.disabled, power)


def power_of(record: Record) -> Power:
    """What the record grants. Raises ValueError for a CIDR that is none: such a record must not be taken for one without limits."""
    return Power(
        audience=record.audience,
        product=record.product,
        plan=record.plan,
        scopes=record.scopes,
        networks=tuple(ip_network(cidr) for cidr in record.allowed_cidrs),
        staleness=DEFAULT_STALENESS if record.max_staleness_seconds is None else float(record.max_staleness_seconds),
    )


def _not_after(entry: VersionEntry) -> float:
    return entry.not_after.timestamp() if entry.not_after is not None else FOREVER
