"""docs/how-to/protect-a-python-app.md: every block of code on it runs in the framework it is for, and keeps what the page promises.

And the one block for applications of docs/how-to/accept-json-web-tokens.md.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, Final

import pytest

from gen import tokens
from gen import verifying as gen
from gen.asked_app import AppAnswer, ask_asgi, ask_wsgi, open_websocket
from gen.page_apps import HOW_TO, LIMITED, PAGES, WRITER, PageApps, blocks
from keyturn.verifier import asgi, wsgi
from keyturn.verifier.guard import Guard
from keyturn.verifier.shared_folder import SharedFolder
from keyturn.verifier.verdicts import Accepted, Refusal, Refused


def bearer(token: str) -> tuple[bytes, bytes]:
    return (b"authorization", b"Bearer " + token.encode())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageApps]:
    with PageApps(tmp_path_factory.mktemp("page")) as files:
        yield files


def starlette(name: str) -> ModuleType:
    from starlette.requests import Request
    from starlette.responses import JSONResponse

    module = import_module(name)

    def seen(request: Request) -> JSONResponse:
        return JSONResponse({"headers": dict(request.headers)})

    module.app.router.add_route("/seen", seen)
    return module


def litestar() -> ModuleType:
    from litestar import Request, get

    module = import_module("litestar_app")

    @get("/seen")
    async def seen(request: Request[Any, Any, Any]) -> dict[str, Any]:
        return {"headers": dict(request.headers)}

    module.app._app.register(seen)
    return module


def flask() -> ModuleType:
    from flask import request

    module = import_module("flask_app")

    def seen() -> dict[str, Any]:
        return {"headers": {name.lower(): value for name, value in request.headers.items()}}

    module.app.get("/seen")(seen)
    return module


def django(name: str) -> ModuleType:
    from django.http import HttpRequest, JsonResponse
    from django.urls import path

    module = import_module(name)
    urls = import_module("shop.urls")

    def seen(request: HttpRequest) -> JsonResponse:
        return JsonResponse({"headers": {header.lower(): value for header, value in request.headers.items()}})

    urls.urlpatterns.append(path("seen", seen))
    return module


class App:
    """One of the page's applications, with a route /seen that tells what reached it."""

    def __init__(self, app: Callable[..., Any], *, ask: Callable[..., Awaitable[AppAnswer]]) -> None:
        self.app, self._ask = app, ask

    async def ask(self, *headers: tuple[bytes, bytes], path: str = "/orders", method: str = "GET", query: bytes = b"") -> AppAnswer:
        return await self._ask(self.app, path, headers=headers, method=method, query=query)


MAKERS: Final[dict[str, Callable[[], App]]] = {
    "fastapi": lambda: App(starlette("fastapi_app").app, ask=ask_asgi),
    "starlette": lambda: App(starlette("starlette_app").app, ask=ask_asgi),
    "litestar": lambda: App(litestar().app, ask=ask_asgi),
    "flask": lambda: App(flask().app.wsgi_app, ask=ask_wsgi),
    "django, wsgi": lambda: App(django("shop.wsgi").application, ask=ask_wsgi),
    "django, asgi": lambda: App(django("shop.asgi").application, ask=ask_asgi),
}
MADE: Final[dict[str, App]] = {}


@pytest.fixture(params=MAKERS)
def app(files: PageApps, request: pytest.FixtureRequest) -> App:
    assert files.beside.folder.snapshot.exists()
    return made(request.param)


def made(name: str) -> App:
    """Some of them can be made only once in a process."""
    if name not in MADE:
        MADE[name] = MAKERS[name]()
    return MADE[name]


def test_every_block_of_the_page_is_run_here() -> None:
    assert sum((HOW_TO / page).read_text().count("```python") for page in PAGES) == len(blocks())
    apps = {"fastapi_app.py", "starlette_app.py", "litestar_app.py", "flask_app.py", "shop/wsgi.py", "shop/asgi.py", "shop/urls.py"}
    assert set(blocks()) == apps | {"plain_call.py", "key_in_url.py", "tokens_too.py"}


async def test_a_good_key_passes_and_the_application_knows_whose_it_is(app: App) -> None:
    for header in (bearer(gen.TOKEN), (b"x-api-key", gen.TOKEN.encode()), (b"Authorization", b"bearer   " + gen.TOKEN.encode())):
        answer = await app.ask(header)
        assert (answer.status, b"team-a/billing" in answer.body) == (200, True)


@pytest.mark.parametrize(
    "headers",
    [
        [bearer(gen.OTHER_TOKEN)],
        [bearer(gen.TOKEN[:-1] + "A")],
        [bearer(gen.TOKEN.swapcase())],
        [bearer(gen.TOKEN), bearer(gen.TOKEN)],
        [bearer(gen.TOKEN), bearer(gen.OTHER_TOKEN)],
        [bearer(gen.TOKEN), (b"x-api-key", gen.TOKEN.encode())],
        [(b"authorization", b"Bearer " + gen.TOKEN.encode() + b", Bearer " + gen.TOKEN.encode())],
        [(b"authorization", b"Bearer " + gen.TOKEN.encode() + b"," + gen.OTHER_TOKEN.encode())],
        [(b"x-api-key", gen.TOKEN.encode() + b"," + gen.TOKEN.encode())],
        [(b"authorization", b"Bearer \xff\xfe\x00\x01" + b"\x80" * 60)],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer " + b"a" * 100_000)],
        [(b"x-api-key", b"")],
        [(b"x-api-key", "kt_\N{SNOWMAN}".encode())],
    ],
    ids=lambda headers: f"{len(headers)} {headers[0][0].decode()}",
)
async def test_what_is_no_good_key_is_a_401_that_tells_nothing(app: App, headers: list[tuple[bytes, bytes]]) -> None:
    answer = await app.ask(*headers)
    assert (answer.status, json.loads(answer.body)["title"]) == (401, "The API key is not valid")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


async def test_without_a_key_a_client_is_told_that_one_is_needed(app: App) -> None:
    basic = (b"authorization", b"Basic " + base64.b64encode(b"user:password"))
    for headers in ([], [basic], [(b"cookie", b"api_key=" + gen.TOKEN.encode())]):
        answer = await app.ask(*headers)
        assert (answer.status, json.loads(answer.body)["title"]) == (401, "An API key is needed")
        assert answer.headers["www-authenticate"] == 'Bearer realm="keyturn"'


async def test_a_route_asks_for_its_scopes(app: App) -> None:
    refused = await app.ask(bearer(gen.TOKEN), method="POST")
    assert refused.status == 403
    assert b"This API key lacks a scope" in refused.body
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert 'scope="orders:write"' in refused.headers["www-authenticate"]
    assert (await app.ask(bearer(WRITER), method="POST")).status in {200, 201}


async def test_the_application_sees_neither_the_key_nor_what_a_client_says_of_itself(app: App) -> None:
    forged = [(b"X-Keyturn-Apikey", b"team-b/admin"), (b"x-keyturn-scopes", b"everything"), (b"X-KEYTURN-PLAN", b"gold")]
    answer = await app.ask(bearer(gen.TOKEN), *forged, (b"x-other", b"stays"), path="/seen")
    seen = json.loads(answer.body)["headers"]
    assert seen["x-other"] == "stays"
    assert {name for name in seen if "keyturn" in name or name in {"authorization", "x-api-key"}} == set()
    assert gen.TOKEN.encode() not in answer.body


async def test_an_unknown_path_tells_nothing_without_a_key(app: App) -> None:
    for path in ("/nowhere", "/docs", "/openapi.json", "/schema", "/admin", "/healthz/", "//healthz", "/healthz%2f..%2forders"):
        assert (await app.ask(path=path)).status == 401
    assert (await app.ask(bearer(gen.TOKEN), path="/nowhere")).status == 404


async def test_an_open_path_is_for_everybody(app: App) -> None:
    for headers in ([], [bearer(gen.OTHER_TOKEN)], [bearer(gen.TOKEN), bearer(gen.TOKEN)]):
        assert (await app.ask(*headers, path="/healthz")).status == 200


async def test_a_key_in_the_url_counts_nowhere_unless_it_is_switched_on(app: App) -> None:
    for name in (b"api_key", b"key", b"token", b"access_token", b"apikey", b"x-api-key", b"authorization"):
        answer = await app.ask(query=name + b"=" + gen.TOKEN.encode())
        assert (answer.status, json.loads(answer.body)["title"]) == (401, "An API key is needed")
    assert (await app.ask(bearer(gen.TOKEN), query=b"api_key=" + gen.OTHER_TOKEN.encode())).status == 200


async def test_a_key_over_its_limit_is_a_429_that_says_for_how_long(app: App) -> None:
    first = await app.ask(bearer(LIMITED))
    assert (first.status, first.headers["ratelimit-policy"]) == (200, '"plan";q=1;w=1')
    for _ in range(100):  # one a second: a machine that stands still lets more of them through
        answer = await app.ask(bearer(LIMITED))
        if answer.status != 200:
            break
    assert (answer.status, answer.headers["retry-after"]) == (429, "1")
    assert answer.headers["ratelimit"] == '"plan";r=0;t=1'


@pytest.mark.parametrize("name", ["fastapi", "litestar"])
async def test_a_websocket_opens_with_a_key_only(files: PageApps, name: str) -> None:
    assert files.beside.folder.snapshot.exists()
    app = made(name).app
    opened = await open_websocket(app, "/events", headers=[bearer(gen.TOKEN)])
    assert (opened.status, opened.body) == (101, b"team-a/billing")
    for headers in ([], [bearer(gen.OTHER_TOKEN)], [bearer(gen.TOKEN), bearer(gen.TOKEN)]):
        assert await open_websocket(app, "/events", headers=headers) == AppAnswer(403, {}, b"")
    assert (await open_websocket(app, "/events", query=b"api_key=" + gen.TOKEN.encode())).status == 403


def guard_of(files: PageApps, block: str) -> Guard:
    assert files.beside.folder.snapshot.exists()
    guard = import_module(block).guard
    assert isinstance(guard, Guard)
    return guard


def test_a_plain_call_answers_as_the_page_says(files: PageApps) -> None:
    guard = guard_of(files, "plain_call")
    handle = import_module("plain_call").handle
    assert handle([bearer(WRITER)], "192.0.2.7") == (200, "team-a/writer")
    assert handle([bearer(gen.TOKEN)])[0] == 403
    assert handle([])[0] == handle([bearer(gen.OTHER_TOKEN)])[0] == 401
    with pytest.raises(TypeError, match="match on Accepted or Refused"):
        bool(guard.ask([bearer(WRITER)]))
    assert isinstance(guard.view, SharedFolder)
    assert guard.view.complaint() is None


def test_an_application_takes_an_issuers_tokens_beside_keys(files: PageApps) -> None:
    guard = guard_of(files, "tokens_too")
    token = tokens.token(exp=time.time() + 300)
    early = guard.ask([bearer(token)])
    assert isinstance(early, Refused)
    assert early.refusal is Refusal.NO_ISSUER_KEYS
    import_module("tokens_too").learn({"keys": [tokens.public(tokens.key())]})
    for bearing, whose in ((token, "jwt:corp.alice"), (gen.TOKEN, "team-a.billing")):
        verdict = guard.ask([bearer(bearing)])
        assert isinstance(verdict, Accepted)
        assert verdict.record_name == whose


@pytest.mark.parametrize(
    ("query", "alone", "beside_a_header"),
    [
        (b"api_key=" + gen.TOKEN.encode(), 200, 401),
        (b"a=1&api%5Fkey=" + gen.TOKEN.encode() + b"&b=2", 200, 401),
        (b"a=1", 401, 200),
        (b"api_key=", 401, 401),
        (b"api_key=%ff%00", 401, 401),
        (b"api_key=" + gen.OTHER_TOKEN.encode(), 401, 401),
        (b"api_key=" + gen.TOKEN.encode() + b"&api_key=" + gen.TOKEN.encode(), 401, 401),
        (b"API_KEY=" + gen.TOKEN.encode(), 401, 200),
    ],
)
async def test_a_key_in_the_url_counts_where_it_is_switched_on(files: PageApps, query: bytes, alone: int, beside_a_header: int) -> None:
    guard = guard_of(files, "key_in_url")
    for app in apps_behind(guard):
        assert (await app.ask(query=query)).status == alone
        assert (await app.ask(bearer(gen.TOKEN), query=query)).status == beside_a_header


async def test_the_application_does_not_see_a_key_in_the_url(files: PageApps) -> None:
    query = b"a=1&api_key=" + gen.TOKEN.encode() + b"&b=%20"
    for app in apps_behind(guard_of(files, "key_in_url")):
        answer = await app.ask(query=query)
        assert b"a=1&b=%20" in answer.body
        assert gen.TOKEN.encode() not in answer.body


def apps_behind(guard: Guard) -> list[App]:
    """Two that answer with everything they see."""
    return [
        App(asgi.ApiKeyMiddleware(tell_scope, guard), ask=ask_asgi),
        App(wsgi.ApiKeyMiddleware(tell_environ, guard), ask=ask_wsgi),
    ]


async def tell_scope(scope: asgi.Scope, _receive: asgi.Receive, send: asgi.Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(scope).encode()})


def tell_environ(environ: wsgi.Environ, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [])
    return [repr(environ).encode()]
