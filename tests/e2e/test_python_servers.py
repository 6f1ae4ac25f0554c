"""The page's applications behind real servers, which join, drop and decode headers each in their own way; any bytes on the wire."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import HTTPServer
from importlib import import_module
from threading import Thread
from typing import Final
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import make_server as make_wsgiref

import pytest
import uvicorn
from werkzeug.serving import make_server as make_werkzeug

from gen import verifying as gen
from gen.page_apps import WRITER, PageApps
from gen.raw_request import Answered, ask, bearer

Serve = Callable[[], AbstractContextManager[int]]


class Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@contextmanager
def by_uvicorn(name: str, http: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(import_module(name).app, http=http, lifespan="off", log_config=None))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@contextmanager
def by_wsgi(server: HTTPServer) -> Iterator[int]:
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


SERVERS: Final[dict[str, Serve]] = {
    "fastapi, uvicorn, httptools": lambda: by_uvicorn("fastapi_app", "httptools"),
    "litestar, uvicorn, h11": lambda: by_uvicorn("litestar_app", "h11"),
    "flask, werkzeug": lambda: by_wsgi(make_werkzeug("127.0.0.1", 0, import_module("flask_app").app, threaded=True)),
    "flask, wsgiref": lambda: by_wsgi(
        make_wsgiref("127.0.0.1", 0, import_module("flask_app").app.wsgi_app, handler_class=Silent),
    ),
}


@pytest.fixture(scope="module", params=SERVERS)
def port(request: pytest.FixtureRequest, apps: PageApps) -> Iterator[int]:
    assert apps.beside.store.live
    with SERVERS[request.param]() as port:
        yield port


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageApps]:
    with PageApps(tmp_path_factory.mktemp("page")) as apps:
        yield apps


def orders(port: int, *headers: tuple[str, str], target: str = "/orders", method: str = "GET") -> Answered:
    return ask(port, target, *headers, ("Connection", "close"), host="orders.shop", method=method)


def test_a_good_key_passes(port: int) -> None:
    answer = orders(port, bearer(gen.TOKEN))
    assert (answer.status, b"team-a/billing" in answer.body) == (200, True)
    assert orders(port, ("X-API-KEY", gen.TOKEN)).status == 200
    assert orders(port, bearer(WRITER), method="POST").status in {200, 201}


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [bearer(gen.OTHER_TOKEN)],
        [bearer(gen.TOKEN), bearer(gen.TOKEN)],
        [bearer(gen.TOKEN), ("authorization", f"bearer {gen.OTHER_TOKEN}")],
        [bearer(gen.TOKEN), ("Authorization", "Basic eDp5")],
        [bearer(f"{gen.TOKEN}, Bearer {gen.TOKEN}")],
        [bearer(gen.TOKEN), ("X-API-Key", gen.TOKEN)],
        [bearer("\xff\xfe" + "\x80" * 62)],
        [("Authorization", "Bearer")],
        [("Authorization", "Basic eDp5")],
    ],
    ids=str,
)
def test_what_is_not_one_good_key_is_a_401(port: int, headers: list[tuple[str, str]], request: pytest.FixtureRequest) -> None:
    other_scheme = headers == [bearer(gen.TOKEN), ("Authorization", "Basic eDp5")]
    expected = 200 if other_scheme and "uvicorn" in request.node.name else 401  # not joined: the one is ours, the other somebody else's
    assert orders(port, *headers).status == expected


def test_a_key_in_the_url_counts_nowhere(port: int) -> None:
    for name in ("api_key", "access_token", "x-api-key"):
        assert orders(port, target=f"/orders?{name}={gen.TOKEN}").status == 401


@pytest.mark.parametrize(
    "path", ["/healthz/../orders", "/healthz%2f..%2forders", "//healthz", "/healthz;/orders", "/healthz%00", "/HEALTHZ"]
)
def test_no_other_spelling_of_an_open_path_is_open(port: int, path: str) -> None:
    assert orders(port, target="/healthz").status == 200
    answer = orders(port, target=path)
    assert answer.status in {400, 401} or answer.body == b"ok"  # Werkzeug and wsgiref make one slash of two, for the application as well
