"""Requests that no library would send: any bytes as target and headers, over a plain socket."""

from __future__ import annotations

import http.client
import socket
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back. Header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def ask(
    port: int,
    target: str = "/",
    *headers: tuple[str, str],
    method: str = "GET",
    body: str = "",
    version: str = "HTTP/1.1",
    host: str = "api.example.com",
    address: str = "127.0.0.1",
    patience: float = PATIENCE,
) -> Answered:
    """Send one request from `address` to a port of the loopback, exactly as written here. No Host header where `host` is empty.

    Raises ConnectionError where the connection ends without an answer.
    """
    named = [*([("Host", host)] if host else []), *headers, *([("Content-Length", str(len(body)))] if body else [])]
    text = f"{method} {target} {version}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in named) + f"\r\n{body}"
    with socket.create_connection(("127.0.0.1", port), timeout=patience, source_address=(address, 0)) as connection:
        connection.sendall(text.encode("latin-1"))
        return _read(connection, method=method)


def ask_in_turn(port: int, *requests: tuple[tuple[str, str], ...]) -> list[Answered]:
    """Requests with these headers one after the other on one connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        answers = []
        for headers in requests:
            named = "".join(f"{name}: {value}\r\n" for name, value in (("Host", "api.example.com"), *headers))
            connection.sendall(f"GET /orders/1 HTTP/1.1\r\n{named}\r\n".encode("latin-1"))
            answers.append(_read(connection, method="GET"))
        return answers


def bearer(token: str) -> tuple[str, str]:
    """The usual header."""
    return "Authorization", f"Bearer {token}"


def _read(connection: socket.socket, *, method: str) -> Answered:
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    body = b"" if response.status == http.client.SWITCHING_PROTOCOLS else response.read()
    return Answered(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
