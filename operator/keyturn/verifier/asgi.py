"""Keys for an ASGI application: Starlette, FastAPI, Litestar, Quart. Every HTTP request and websocket passes `guard.py` first.

    app = ApiKeyMiddleware(app, guard, open_paths=frozenset({"/healthz"}))

The application finds the verdict in `scope["state"]["keyturn"]` (Starlette: `request.state.keyturn`), an `Accepted`. The key itself
does not reach it, nor do identity headers that a client made up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from keyturn.verifier.answers import Answer, answer_to, limit_headers
from keyturn.verifier.guard import Guard
from keyturn.verifier.presented import query_without_keys, without_keys
from keyturn.verifier.verdicts import IDENTITY_HEADERS, Accepted, Refused

# ASGI itself says no more of its messages than this: https://asgi.readthedocs.io/en/stable/specs/main.html
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE: Final = "keyturn"
POLICY_VIOLATION: Final = 1008
"""RFC 6455 section 7.4.1; servers turn a websocket that is closed before it was accepted into an HTTP 403."""
_IDENTITY: Final = frozenset(name.encode() for name in IDENTITY_HEADERS)


class ApiKeyMiddleware:
    """Lets through what carries a good key, and the paths that are open to all."""

    def __init__(self, app: Application, guard: Guard, *, open_paths: frozenset[str] = frozenset()) -> None:
        self._app, self._guard, self._open_paths = app, guard, open_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection; lifespan and whatever else comes later pass through."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if scope["path"] in self._open_paths:
            await self._app(self._visible(scope), receive, send)
            return
        client = scope.get("client")
        query = scope.get("query_string", b"")
        verdict = self._guard.ask(scope["headers"], address=client[0] if client else None, query=query)
        match verdict:
            case Accepted():
                telling = _telling(send, limit_headers(verdict.quota))
                visible = self._visible(scope)
                visible["state"][STATE] = verdict
                await self._app(visible, receive, telling)
            case Refused():
                await _refuse(scope["type"], answer_to(verdict), send)

    def _visible(self, scope: Scope) -> dict[str, Any]:
        """What the application gets to see: a state of this request's own, without a verdict that somebody else left there."""
        sources = self._guard.sources
        return {
            **scope,
            "headers": without_keys(scope["headers"], sources=sources, hidden=_IDENTITY),
            "query_string": query_without_keys(scope.get("query_string", b""), sources=sources),
            "state": {name: value for name, value in scope.get("state", {}).items() if name != STATE},
        }


def _telling(send: Send, headers: tuple[tuple[str, str], ...]) -> Send:
    """The same, with more headers in the application's answer. Of a websocket's there is nobody to read them."""
    if not headers:
        return send

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *_as_bytes(headers)]}
        await send(message)

    return send_with_headers


def _as_bytes(headers: tuple[tuple[str, str], ...]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _refuse(kind: str, answer: Answer, send: Send) -> None:
    if kind == "websocket":
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
        return
    headers = _as_bytes(answer.headers)
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
