"""The door for gateways that ask over HTTP: nginx auth_request, Traefik and Caddy forwardAuth, Envoy ext_authz, HAProxy.

Any method is answered alike, and a body is not waited for. What is answered most is written out once and kept. Before it:
`http_connection.py`. After it: `guard.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from http import HTTPStatus
from typing import Final, NamedTuple

from keyturn.verifier.answers import PROBLEM_JSON, Answer, answer_to, limit_headers
from keyturn.verifier.guard import Guard
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.gatekeeper import HOW_TO, NOT_NOW, Entry, Gatekeeper
from keyturn.verifier.service.http_door.asked_route import NotARoute, asked_at
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

RawHeaders = list[tuple[bytes, bytes]]
_NO_STORE: Final = ("cache-control", "no-store")
_UNFIT: Final = re.compile(r"[^\t -~\x80-\xff]")
"""RFC 9110 section 5.5: what a field's value may not hold."""


class Reply(NamedTuple):
    """An answer as bytes."""

    head: bytes
    """Status line and headers, each with its end of line."""
    body: bytes
    whole: bytes
    """All of it, as it goes out in most cases."""


class HttpFront:
    """Answers at /verify and /check/…: 200 with who it is, or a refusal."""

    def __init__(self, guard: Guard, *, client_address: ClientAddress, gatekeeper: Gatekeeper | None = None) -> None:
        """`gatekeeper`: None: everyone may ask who can connect."""
        self._guard, self._client_address, self._gatekeeper = guard, client_address, gatekeeper

    def reply_to(self, target: bytes, headers: RawHeaders, *, has_certificate: bool = False) -> Reply:
        """Answer one request; `target` as in the request line, names of headers in lower case. Never raises, whatever the bytes."""
        if self._gatekeeper is not None:
            entry = self._gatekeeper.entry(headers, has_certificate=has_certificate)
            if entry is not Entry.OPEN:
                return TURNED_BACK[entry]
        path, _, query = target.partition(b"?")
        try:
            asked = asked_at(path, query)
        except NotARoute as mistake:
            return written(problem(HTTPStatus.BAD_REQUEST, str(mistake)))
        return told(self._guard.judge(headers, asked.seen_from(self._client_address.of(headers))).verdict)


def problem(status: HTTPStatus, title: str) -> Answer:
    """For whoever configures the gateway. A gateway that knows no other answer takes it for a refusal."""
    body = {"type": "about:blank", "title": title, "status": int(status)}
    return Answer(status, (("content-type", PROBLEM_JSON), _NO_STORE), json.dumps(body).encode())


def written(answer: Answer) -> Reply:
    """The answer as bytes."""
    head = b"HTTP/1.1 %d %s\r\n" % (answer.status, answer.status.phrase.encode())
    head += _lines(answer.headers) + b"content-length: %d\r\n" % len(answer.body)
    return _reply(head, answer.body)


def told(verdict: CheckVerdict) -> Reply:
    """What is kept must not hold what changes from request to request: quotas, and who was refused."""
    if isinstance(verdict, Accepted):
        quota = verdict.quota
        if quota is None:
            return _accepted(verdict)
        reply = _accepted(verdict._replace(quota=None))
        return _reply(reply.head + _lines(limit_headers(quota)), reply.body)
    return _refused(verdict.refusal, verdict.needs_scopes) if verdict.quota is None else written(answer_to(verdict))


def _accepted(accepted: Accepted) -> Reply:
    """Written anew for each request: keeping it would help only as long as few keys are used, and they are not the problem."""
    return _reply(b"%b%b%b" % (_OK, _lines(accepted.headers.items()), _NO_BODY), b"")


@lru_cache(maxsize=1024)
def _refused(refusal: Refusal, needs_scopes: tuple[str, ...]) -> Reply:
    return written(answer_to(Refused(refusal, needs_scopes=needs_scopes)))


def _reply(head: bytes, body: bytes) -> Reply:
    return Reply(head, body, b"%b\r\n%b" % (head, body))


def _lines(headers: Iterable[tuple[str, str]]) -> bytes:
    """What does not fit a header becomes a question mark: nobody may end a line from within."""
    lines = [f"{name}: {value if value.isprintable() else _UNFIT.sub('?', value)}\r\n" for name, value in headers]
    return "".join(lines).encode("latin-1", "replace")


_OK: Final = b"HTTP/1.1 200 OK\r\n"
_NO_BODY: Final = _lines([_NO_STORE, ("content-length", "0")])
TURNED_BACK: Final = {
    Entry.UNPROVEN: written(problem(HTTPStatus.FORBIDDEN, HOW_TO)),
    Entry.NOT_NOW: written(problem(HTTPStatus.SERVICE_UNAVAILABLE, NOT_NOW)),
}
