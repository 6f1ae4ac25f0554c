"""An API behind a gateway that answers what it saw: method, target and headers, exactly as they came. A thread with a socket.

No library's idea of a request stands between: what a gateway would smuggle through is seen.
"""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_MOST: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it reached the API."""

    line: str
    headers: tuple[tuple[str, str], ...]
    """In their order and spelling, repeats among them."""

    @property
    def target(self) -> str:
        """What stands between method and version."""
        return self.line.split(" ")[1]

    def values(self, *names: str) -> list[str]:
        """Of the headers of these names, in whatever spelling: as an application sees them that knows no dashes (CGI, WSGI)."""
        wanted = {_bare(name) for name in names}
        return [value for name, value in self.headers if _bare(name) in wanted]

    def names(self) -> set[str]:
        """The names of its headers, all spelled the same way."""
        return {_bare(name) for name, _ in self.headers}


def seen_in(body: bytes) -> Seen:
    """What the API saw, out of its answer."""
    told = json.loads(body)
    return Seen(told["line"], tuple((name, value) for name, value in told["headers"]))


class EchoApi:
    """Listens on a free port of the loopback from its start on; `requests` counts what reached it."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listening.getsockname()[1]
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            buffer = b""
            while True:
                while b"\r\n\r\n" not in buffer:
                    more = connection.recv(65536)
                    if not more or len(buffer) > _MOST:
                        return
                    buffer += more
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                self.requests += 1
                connection.sendall(_answer(head.decode("latin-1")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _answer(head: str) -> bytes:
    line, *rest = head.split("\r\n")
    headers = [[name, value.strip()] for name, _, value in (each.partition(":") for each in rest)]
    if any(name.lower() == "upgrade" and value.lower() == "websocket" for name, value in headers):
        return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    body = json.dumps({"line": line, "headers": headers}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _bare(name: str) -> str:
    return name.lower().replace("_", "-")
