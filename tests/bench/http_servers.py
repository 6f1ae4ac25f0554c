"""Servers of a gateway's question over HTTP, all around the same decision: the product's front, and uvicorn. And one that decides nothing.

python -m bench.http_servers KIND KEYS          prints the port
"""

from __future__ import annotations

import asyncio
import socket
import sys
from http import HTTPStatus
from typing import Any, Final

import uvicorn
import uvloop

from gen.many_keys import guard_of
from keyturn.verifier.answers import Answer, answer_to
from keyturn.verifier.asgi import Receive, Scope, Send
from keyturn.verifier.guard import Guard
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.doors import OwnDoor
from keyturn.verifier.service.http_door.asked_route import asked_at
from keyturn.verifier.service.http_door.http_connection import Limits
from keyturn.verifier.service.http_door.http_front import HttpFront, RawHeaders, Reply, written
from keyturn.verifier.service.http_door.http_server import HttpServer
from keyturn.verifier.service.listeners import listener_at
from keyturn.verifier.verdicts import Accepted

FRONT: Final = "front"
NOTHING: Final = "204"
UVICORN: Final = "uvicorn"
KINDS: Final = (FRONT, NOTHING, UVICORN)
_ADDRESS: Final = ClientAddress(b"x-forwarded-for")
_NO_CONTENT: Final = written(Answer(HTTPStatus.NO_CONTENT, (("cache-control", "no-store"),), b""))


class NoContent(HttpFront):
    """What the server costs without a question to answer."""

    def __init__(self) -> None:
        pass

    def reply_to(self, target: bytes, headers: RawHeaders, *, has_certificate: bool = False) -> Reply:  # noqa: ARG002  the front's
        return _NO_CONTENT


async def served(front: HttpFront) -> None:
    listener = listener_at("127.0.0.1:0")
    await HttpServer(front, OwnDoor(listener), limits=Limits(4096, keep_alive=3900.0)).start()
    tell(listener)
    await asyncio.Event().wait()


def served_by_uvicorn(guard: Guard) -> None:
    """The least an ASGI application can do: no framework, no middleware."""

    async def app(scope: Scope, _receive: Receive, send: Send) -> None:
        asked = asked_at(scope["raw_path"], scope["query_string"])
        verdict = guard.judge(scope["headers"], asked.seen_from(_ADDRESS.of(scope["headers"]))).verdict
        if isinstance(verdict, Accepted):
            status, headers, body = 200, [*verdict.headers.items(), ("cache-control", "no-store")], b""
        else:
            answer = answer_to(verdict)
            status, headers, body = int(answer.status), list(answer.headers), answer.body
        raw = [(name.encode(), value.encode()) for name, value in (*headers, ("content-length", str(len(body))))]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    listener = listener_at("127.0.0.1:0")
    settings: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "access_log": False, "log_level": "warning"}
    server = uvicorn.Server(uvicorn.Config(app, proxy_headers=False, server_header=False, date_header=False, **settings))
    tell(listener)
    server.run([listener])


def tell(listener: socket.socket) -> None:
    print(listener.getsockname()[1], flush=True)


def main(kind: str, keys: int) -> None:
    if kind == UVICORN:
        served_by_uvicorn(guard_of(keys))
    elif kind == FRONT:
        uvloop.run(served(HttpFront(guard_of(keys), client_address=_ADDRESS)))
    else:
        uvloop.run(served(NoContent()))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
