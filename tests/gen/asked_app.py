"""Asks an ASGI or WSGI application as a server would: whatever bytes a client sends, repeated headers among them, and no socket.

answer = await ask_asgi(app, "/orders", headers=[(b"authorization", b"Bearer ...")])
answer = await ask_wsgi(app, "/orders", headers=[...])
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from keyturn.verifier import asgi, wsgi

Headers = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class AppAnswer:
    """What a client is told. Names of headers in lower case; of a websocket: 101 if it opened, else 403, and the texts it sent."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask_asgi(app: asgi.Application, path: str, *, headers: Headers = (), method: str = "GET", query: bytes = b"") -> AppAnswer:
    """One HTTP request."""
    messages = await _connect(app, {**_scope(path, headers, query), "type": "http", "method": method, "scheme": "http"})
    start = next(each for each in messages if each["type"] == "http.response.start")
    body = b"".join(each.get("body", b"") for each in messages if each["type"] == "http.response.body")
    return AppAnswer(start["status"], {name.decode().lower(): value.decode() for name, value in start["headers"]}, body)


async def open_websocket(app: asgi.Application, path: str, *, headers: Headers = (), query: bytes = b"") -> AppAnswer:
    """One websocket, until the application closes it."""
    messages = await _connect(app, {**_scope(path, headers, query), "type": "websocket", "scheme": "ws", "subprotocols": []})
    was_opened = any(each["type"] == "websocket.accept" for each in messages)
    texts = "".join(each.get("text") or "" for each in messages if each["type"] == "websocket.send")
    return AppAnswer(101 if was_opened else 403, {}, texts.encode())


def _scope(path: str, headers: Headers, query: bytes) -> dict[str, Any]:
    return {
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [(b"host", b"orders.shop"), *((name.lower(), value) for name, value in headers)],
        "client": ("192.0.2.7", 4711),
        "server": ("orders.shop", 80),
        "extensions": {},
    }


async def _connect(app: asgi.Application, scope: dict[str, Any]) -> list[dict[str, Any]]:
    first = {"type": "websocket.connect"} if scope["type"] == "websocket" else {"type": "http.request", "body": b"", "more_body": False}
    coming = [first]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not coming:  # the client stays until it has its answer
            await asyncio.Event().wait()
        return coming.pop()

    async def send(message: asgi.Message) -> None:
        messages.append(dict(message))

    await app(scope, receive, send)
    return messages


async def ask_wsgi(app: wsgi.Application, path: str, *, headers: Headers = (), method: str = "GET", query: bytes = b"") -> AppAnswer:
    """One request. A header that is repeated is joined by a comma, as Gunicorn, uWSGI and Werkzeug do."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query.decode("latin-1"),
        "RAW_URI": f"{path}?{query.decode('latin-1')}",
        "SERVER_NAME": "orders.shop",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "HTTP_HOST": "orders.shop",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        variable = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        before = [environ[variable]] if variable in environ else []
        environ[variable] = ",".join([*before, value.decode("latin-1")])
    told: list[tuple[str, list[tuple[str, str]]]] = []
    chunks = app(environ, lambda line, answered, *_: told.append((line, answered)))
    body = b"".join(chunks)
    getattr(chunks, "close", lambda: None)()
    line, answered = told[-1]
    return AppAnswer(int(line.split()[0]), {name.lower(): value for name, value in answered}, body)
