"""The front for Envoy with keys that stand still, as a process of its own: no cluster behind it.

with GrpcServer.start() as server:
    server.port, server.pid; server.ask_to_stop(); server.wait()
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import uvloop

from gen.verifying import guard, record
from keyturn.base.stop_signals import stop_on_signals
from keyturn.verifier.service.doors import OwnDoor
from keyturn.verifier.service.grpc_door.grpc_front import ALPN, GrpcFront

DRAIN_SECONDS: Final = 5.0
_TESTS: Final = Path(__file__).parents[1]


class GrpcServer:
    """One process. Made by `GrpcServer.start`."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process, self.port = process, port

    @classmethod
    def start(cls, *, port: int = 0, tls: tuple[Path, Path] | None = None) -> Self:
        """Start one and wait until it listens. `tls`: certificate and key."""
        command = [sys.executable, "-m", "gen.grpc_server", str(port), *map(str, tls or ())]
        process = subprocess.Popen(command, cwd=_TESTS, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise ConnectionError(f"the front did not start: exit status {process.wait()}")
        return cls(process, int(address.rpartition(":")[2]))

    @property
    def pid(self) -> int:
        """To account for its CPU time."""
        return self._process.pid

    def ask_to_stop(self) -> None:
        """SIGTERM: it drains."""
        self._process.terminate()

    def wait(self, *, seconds: float = 60.0) -> int:
        """Its exit status."""
        return self._process.wait(timeout=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def _serve(port: int, tls: ssl.SSLContext | None) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    front = GrpcFront(guard(record()), is_ready=lambda: True)
    door = OwnDoor(socket.create_server(("127.0.0.1", port), reuse_port=True))  # others listen there too
    await front.start(door, tls=tls)
    print(door.address, flush=True)
    await stop.wait()
    await front.drain(seconds=DRAIN_SECONDS)


def _context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols([ALPN])
    return context


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), _context(*sys.argv[2:4]) if sys.argv[2:] else None))
