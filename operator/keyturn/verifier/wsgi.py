"""Keys for a WSGI application: Flask, Django, Pyramid. Every request passes `guard.py` first.

    app.wsgi_app = ApiKeyMiddleware(app.wsgi_app, guard, open_paths=frozenset({"/healthz"}))

The application finds the verdict in `environ["keyturn.accepted"]`, an `Accepted`. The key itself does not reach it, nor do identity
headers that a client made up. Repeated headers: a WSGI server has joined or dropped them already (PEP 3333); joined, they are no key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from keyturn.verifier.answers import answer_to, limit_headers
from keyturn.verifier.guard import Guard
from keyturn.verifier.presented import query_without_keys, without_keys
from keyturn.verifier.verdicts import IDENTITY_HEADERS, Accepted, Refused

# PEP 3333 says no more of them than this.
Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

ACCEPTED: Final = "keyturn.accepted"
_WHOLE_URL: Final = ("REQUEST_URI", "RAW_URI")
"""Where servers leave the URL as it came, beside what PEP 3333 knows: Gunicorn, Werkzeug, uWSGI."""


class ApiKeyMiddleware:
    """Lets through what carries a good key, and the paths that are open to all."""

    def __init__(self, app: Application, guard: Guard, *, open_paths: frozenset[str] = frozenset()) -> None:
        self._app, self._guard, self._open_paths = app, guard, open_paths
        self._identity = frozenset(_variable(name) for name in IDENTITY_HEADERS)
        self._sources = {_variable(name.decode("latin-1")): name for name in guard.sources.names}

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        for name in self._identity:
            environ.pop(name, None)
        environ.pop(ACCEPTED, None)
        if environ.get("PATH_INFO", "") in self._open_paths:
            self._hide_keys(environ)
            return self._app(environ, start_response)
        query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
        verdict = self._guard.ask(self._headers(environ), address=environ.get("REMOTE_ADDR"), query=query)
        match verdict:
            case Accepted():
                self._hide_keys(environ)
                environ[ACCEPTED] = verdict
                return self._app(environ, _telling(start_response, limit_headers(verdict.quota)))
            case Refused():
                answer = answer_to(verdict)
                start_response(f"{int(answer.status)} {answer.status.phrase}", list(answer.headers))
                return [answer.body]

    def _hide_keys(self, environ: Environ) -> None:
        self._hide_key_in_url(environ)
        kept = {name for name, _ in without_keys(self._headers(environ), sources=self._guard.sources, hidden=frozenset())}
        for variable, name in self._sources.items():
            if name not in kept:
                environ.pop(variable, None)

    def _hide_key_in_url(self, environ: Environ) -> None:
        query = environ.get("QUERY_STRING", "").encode("latin-1", "replace")
        visible = query_without_keys(query, sources=self._guard.sources)
        if visible != query:
            environ["QUERY_STRING"] = visible.decode("latin-1")
            for name in _WHOLE_URL:
                environ.pop(name, None)

    def _headers(self, environ: Environ) -> Iterator[tuple[bytes, bytes]]:
        for variable, name in self._sources.items():
            if variable in environ:
                yield name, environ[variable].encode("latin-1", "replace")


def _telling(start_response: Callable[..., Any], headers: tuple[tuple[str, str], ...]) -> Callable[..., Any]:
    """The same, with more headers in the application's answer."""
    if not headers:
        return start_response

    def start_with_headers(status: str, own: list[tuple[str, str]], *others: object) -> object:
        return start_response(status, [*own, *headers], *others)

    return start_with_headers


def _variable(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")
