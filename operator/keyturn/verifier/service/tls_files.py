"""TLS from files that others swap: cert-manager and the kubelet write a new certificate long before the old one ends.

The files are looked at every few seconds; who connects after a change meets the new ones. What cannot be read is said, and changes nothing.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger

LOOK_INTERVAL: Final = 5.0
"""Seconds."""

log = get_logger(__name__)


class TlsUnusable(KeyturnError):
    """The files make no TLS. The message says which, and what to do."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where they are."""

    certificate: Path
    """With the chain, PEM."""
    key: Path
    gateway_ca: Path | None = None
    """Who signs gateways' certificates; None: they are not asked for one."""

    def context(self, protocol: str) -> ssl.SSLContext:
        """To listen with. A gateway without a certificate connects all the same: it is told what to do (`gatekeeper.py`).

        Raises TlsUnusable.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols([protocol])
        try:
            context.load_cert_chain(self.certificate, self.key)
            if self.gateway_ca is not None:
                context.load_verify_locations(self.gateway_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:  # an ssl.SSLError is one
            raise TlsUnusable(
                f"{self.certificate}, {self.key} and {self.gateway_ca or 'no CA'} make no TLS ({error}): write PEM that belongs together"
            ) from None
        return context

    @property
    def state(self) -> tuple[tuple[int, int, int], ...]:
        """Changes when a file does, also by a link that points elsewhere."""
        found = (path.stat() for path in (self.certificate, self.key, self.gateway_ca) if path is not None)
        return tuple((stat.st_ino, stat.st_size, stat.st_mtime_ns) for stat in found)


class Tls:
    """One door's. Raises TlsUnusable where the files are of no use at the start."""

    def __init__(self, files: TlsFiles, *, protocol: str) -> None:
        self._files, self._protocol = files, protocol
        self._newest = files.context(protocol)
        self._seen = files.state
        self.listening = files.context(protocol)
        """What to listen with: it hands each handshake to the newest one."""
        self.listening.sni_callback = self._hand_over

    def renew(self) -> None:
        """Look at the files."""
        try:
            state = self._files.state
            if state == self._seen:
                return
            self._newest = self._files.context(self._protocol)
        except (OSError, TlsUnusable) as error:
            log.warning("Kept the old certificate", problem=str(error))
            return
        self._seen = state
        log.info("Took a new certificate", file=str(self._files.certificate))

    async def keep_renewing(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            self.renew()

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        """Called for every handshake, also for those that name no server."""
        connection.context = self._newest
