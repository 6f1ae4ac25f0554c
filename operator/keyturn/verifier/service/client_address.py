"""Which address a client has, by what the gateway says of it. Pure.

Every proxy appends the address it was asked from at the right end of the header; what a client made up stands further left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClientAddress:
    """Where to read it."""

    header: bytes
    """In lower case; empty: nowhere."""
    hops: int = 1
    """Counted from the right: how many proxies wrote into the header."""

    def of(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The address, as text; None: the gateway did not say. Names in lower case. Never raises."""
        if not self.header:
            return None
        lines = [value for name, value in headers if name == self.header]
        if not lines:
            return None
        entries = (lines[0] if len(lines) == 1 else b",".join(lines)).rsplit(b",", self.hops)
        if len(entries) < self.hops:
            return None
        return _without_port(entries[-self.hops].strip().decode("latin-1"))


def _without_port(entry: str) -> str:
    """192.0.2.1:4711 and [2001:db8::1]:4711, as some gateways write them."""
    if entry.startswith("["):
        return entry[1:].partition("]")[0]
    return entry.partition(":")[0] if entry.count(":") == 1 else entry
