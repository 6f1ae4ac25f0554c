"""Keys in front of an ASGI and a WSGI application."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gen import verifying as gen
from keyturn.keys.record import Limits
from keyturn.verifier import asgi, wsgi
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import LocalLimiter
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

Headers = list[tuple[bytes, bytes]]
GOOD: Headers = [(b"Authorization", b"Bearer " + gen.TOKEN.encode())]
FORGED: Headers = [(b"X-Keyturn-Apikey", b"team-b/admin"), (b"x-keyturn-scopes", b"everything"), (b"X_Keyturn-Key_Id", b"made up")]


class Sent:
    """One connection to an ASGI application behind the middleware: what it saw, and what was answered."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] | None = None
        self.messages: list[dict[str, Any]] = []

    async def app(self, scope: asgi.Scope, _receive: object, send: asgi.Send) -> None:
        self.seen = dict(scope)
        for answer in scope.get("answers", [{"type": "done"}]):
            await send(answer)

    async def send(self, message: asgi.Message) -> None:
        self.messages.append(dict(message))

    @property
    def headers(self) -> Headers:
        assert self.seen is not None
        return list(self.seen["headers"])


async def connect(guard: Guard, headers: Headers, **scope: object) -> Sent:
    sent = Sent()
    middleware = asgi.ApiKeyMiddleware(sent.app, guard, open_paths=frozenset({"/healthz"}))
    whole = {"type": "http", "path": "/invoices", "headers": headers, "client": ("192.0.2.7", 4711), **scope}

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    await middleware(whole, receive, sent.send)
    return sent


async def test_an_asgi_application_learns_who_it_is_but_not_the_key() -> None:
    sent = await connect(gen.guard(gen.record()), [*GOOD, *FORGED, (b"accept", b"*/*")], state={"other": 1})
    assert sent.seen is not None
    assert isinstance(sent.seen["state"]["keyturn"], Accepted)
    assert sent.seen["state"]["other"] == 1
    assert sent.headers == [(b"accept", b"*/*")]
    assert sent.messages == [{"type": "done"}]


async def test_an_asgi_client_learns_its_limit_beside_the_answer() -> None:
    limited = gen.guard(gen.record(limits=Limits(2, 10)), limiter=LocalLimiter())
    told = [(b"ratelimit-policy", b'"plan";q=10;w=5'), (b"ratelimit", b'"plan";r=9;t=1')]
    sent = await connect(limited, GOOD, answers=[{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]}])
    assert sent.messages == [{"type": "http.response.start", "status": 200, "headers": [(b"a", b"b"), *told]}]


async def test_a_refused_request_never_reaches_an_asgi_application() -> None:
    sent = await connect(gen.guard(), GOOD)
    assert sent.seen is None
    start, body = sent.messages
    assert start["status"] == 401
    assert dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()
    assert b"not valid" in body["body"]


async def test_a_refused_websocket_is_closed_before_it_opened() -> None:
    sent = await connect(gen.guard(), GOOD, type="websocket")
    assert (sent.seen, sent.messages) == (None, [{"type": "websocket.close", "code": 1008}])


async def test_an_open_path_needs_no_key_and_believes_no_identity() -> None:
    sent = await connect(gen.guard(), [*GOOD, *FORGED], path="/healthz")
    assert sent.headers == []


async def test_a_path_is_open_only_if_it_is_exactly_so() -> None:
    for path in ("/healthz/", "/healthz/../invoices", "/HEALTHZ", "//healthz"):
        assert (await connect(gen.guard(), [], path=path)).seen is None


async def test_what_is_no_request_passes_through() -> None:
    sent = await connect(gen.guard(), [], type="lifespan")
    assert sent.seen is not None


async def test_an_asgi_client_counts_by_its_address() -> None:
    bound = gen.record(allowed_cidrs=("192.0.2.0/24",))
    assert (await connect(gen.guard(bound), GOOD)).seen is not None
    assert (await connect(gen.guard(bound), GOOD, client=("198.51.100.1", 1))).seen is None
    assert (await connect(gen.guard(bound), GOOD, client=None)).seen is None


def call(guard: Guard, **environ: str) -> tuple[dict[str, Any] | None, str, bytes]:
    """One request to a WSGI application behind the middleware: what it saw, the status line, the body."""
    seen: list[dict[str, Any]] = []
    status: list[str] = []

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        seen.append(dict(environ))
        start_response("200 OK", [])
        return [b"fine"]

    def start_response(line: str, _headers: list[tuple[str, str]]) -> None:
        status.append(line)

    middleware = wsgi.ApiKeyMiddleware(app, guard, open_paths=frozenset({"/healthz"}))
    body = b"".join(middleware({"PATH_INFO": "/invoices", "REMOTE_ADDR": "192.0.2.7", **environ}, start_response))
    return (seen[0] if seen else None), status[0], body


def test_a_wsgi_application_learns_who_it_is_but_not_the_key() -> None:
    seen, status, body = call(
        gen.guard(gen.record()), HTTP_X_API_KEY=gen.TOKEN, HTTP_X_KEYTURN_PLAN="gold", HTTP_AUTHORIZATION="Basic eA=="
    )
    assert (status, body) == ("200 OK", b"fine")
    assert seen is not None
    assert isinstance(seen["keyturn.accepted"], Accepted)
    assert {name: value for name, value in seen.items() if name.startswith("HTTP_")} == {"HTTP_AUTHORIZATION": "Basic eA=="}


def test_a_wsgi_client_learns_its_limit_beside_the_answer() -> None:
    limited = gen.guard(gen.record(limits=Limits(2, 10)), limiter=LocalLimiter())
    told: list[tuple[str, str]] = []
    middleware = wsgi.ApiKeyMiddleware(plain, limited)
    environ = {"PATH_INFO": "/", "HTTP_X_API_KEY": gen.TOKEN}
    assert list(middleware(environ, lambda _status, headers: told.extend(headers))) == [b"fine"]
    assert told == [("x", "y"), ("ratelimit-policy", '"plan";q=10;w=5'), ("ratelimit", '"plan";r=9;t=1')]


def plain(_environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
    start_response("200 OK", [("x", "y")])
    return [b"fine"]


def test_a_refused_request_never_reaches_a_wsgi_application() -> None:
    seen, status, body = call(gen.guard(), HTTP_AUTHORIZATION=f"Bearer {gen.TOKEN}")
    assert (seen, status) == (None, "401 Unauthorized")
    assert b"not valid" in body


def test_an_open_path_of_a_wsgi_application_needs_no_key_and_sees_none() -> None:
    seen, status, _ = call(gen.guard(), PATH_INFO="/healthz", HTTP_X_API_KEY=gen.TOKEN, HTTP_X_KEYTURN_APIKEY="team-b/admin")
    assert (seen, status) == ({"PATH_INFO": "/healthz", "REMOTE_ADDR": "192.0.2.7"}, "200 OK")


def test_every_verdict_is_told_once() -> None:
    told: list[CheckVerdict] = []
    guard = gen.guard(gen.record(), on_verdict=told.append, scopes=("read",))
    guard.ask(GOOD)
    guard.ask([])
    assert told == [Refused(Refusal.SCOPE, gen.KEY_ID, ("read",)), Refused(Refusal.NO_KEY)]


def test_a_guard_with_an_impossible_scope_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="is no scope"):
        gen.guard(scopes=("two words",))


def test_a_route_says_what_it_asks_for_and_learns_which_header_carried_the_key() -> None:
    door = gen.guard(gen.record(scopes=("read",)), scopes=("admin",))
    assert isinstance(door.judge(GOOD, Asked(scopes=("read",))).verdict, Accepted)
    assert door.judge(GOOD, Asked(scopes=("write",))) == (Refused(Refusal.SCOPE, gen.KEY_ID, ("write",)), "authorization")
    assert door.judge([(b"X-API-Key", b"junk")], Asked()) == (Refused(Refusal.MALFORMED), "x-api-key")
    assert door.judge([], Asked()) == (Refused(Refusal.NO_KEY), None)


async def test_a_key_that_was_made_elsewhere_opens_both_frames() -> None:
    token = "sk_live_51HxQzLkdIwHu7ixiNq2Vn8f"
    guard = gen.guard(gen.foreign(token))
    sent = await connect(guard, [(b"x-api-key", token.encode())])
    assert sent.seen is not None
    assert sent.headers == []
    assert (await connect(guard, [(b"x-api-key", token.encode() + b"x")])).seen is None
    assert call(guard, HTTP_AUTHORIZATION=f"Bearer {token}")[1] == "200 OK"
    assert call(guard, HTTP_AUTHORIZATION=f"Bearer {token}x")[1] == "401 Unauthorized"
