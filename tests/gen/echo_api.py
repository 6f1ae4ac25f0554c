"""An API behind a gateway that answers what it saw: method, target and headers, exactly as they came. A thread with a socket.

No library's idea of a request stands between: what a gateway would smuggle through is seen.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_MOST: Final = 1 << 20
_WEBSOCKET: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 section 1.3."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it reached the API."""

    line: str
    headers: tuple[tuple[str, str], ...]
    """In their order and spelling, repeats among them."""
    body: str

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
    return Seen(told["line"], tuple((name, value) for name, value in told["headers"]), told["body"])


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
                headers = _headers(head.decode("latin-1"))
                while len(buffer) < _length(headers):
                    buffer += connection.recv(65536)
                body, buffer = buffer[: _length(headers)], buffer[_length(headers) :]
                self.requests += 1
                connection.sendall(_answer(head.decode("latin-1").partition("\r\n")[0], headers, body))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def _headers(head: str) -> list[tuple[str, str]]:
    _, *rest = head.split("\r\n")
    return [(name, value.strip()) for name, _, value in (each.partition(":") for each in rest)]


def _length(headers: list[tuple[str, str]]) -> int:
    return sum(int(value) for name, value in headers if name.lower() == "content-length")


def _answer(line: str, headers: list[tuple[str, str]], body: bytes) -> bytes:
    named = {name.lower(): value for name, value in headers}
    if named.get("upgrade", "").lower() == "websocket":
        proof = base64.b64encode(hashlib.sha1((named["sec-websocket-key"] + _WEBSOCKET).encode(), usedforsecurity=False).digest())
        return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n" % proof
    told = json.dumps({"line": line, "headers": headers, "body": body.decode("latin-1")}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(told), told)


def _bare(name: str) -> str:
    return name.lower().replace("_", "-")
