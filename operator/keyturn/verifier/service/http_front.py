"""The door for gateways that ask over HTTP: nginx auth_request, Traefik and Caddy forwardAuth, Envoy ext_authz, HAProxy.

A bare ASGI callable, since a framework would cost more than the check. Any method is answered alike; a body is not read.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from keyturn.verifier.answers import PROBLEM_JSON, Answer, answer_to
from keyturn.verifier.asgi import Receive, Scope, Send
from keyturn.verifier.guard import Guard
from keyturn.verifier.service.asked_route import NotARoute, asked_at
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.verdicts import Accepted, CheckVerdict

RawHeaders = list[tuple[bytes, bytes]]


class HttpFront:
    """Answers at /verify and /check/…: 200 with who it is, or a refusal."""

    def __init__(self, guard: Guard, *, client_address: ClientAddress) -> None:
        self._guard, self._client_address = guard, client_address

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request; a websocket is turned away."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        try:
            asked = asked_at(scope["raw_path"], scope["query_string"])
        except NotARoute as mistake:
            answer = _mistaken(mistake)
        else:
            headers: RawHeaders = scope["headers"]
            answer = _answer(self._guard.judge(headers, asked.seen_from(self._client_address.of(headers))).verdict)
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers]
        raw.append((b"content-length", b"%d" % len(answer.body)))
        await send({"type": "http.response.start", "status": int(answer.status), "headers": raw})
        await send({"type": "http.response.body", "body": answer.body})


def _answer(verdict: CheckVerdict) -> Answer:
    if isinstance(verdict, Accepted):
        return Answer(HTTPStatus.OK, (*verdict.headers.items(), ("cache-control", "no-store")), b"")
    return answer_to(verdict)


def _mistaken(mistake: NotARoute) -> Answer:
    """For whoever configures the gateway. A gateway that knows no other answer takes it for a refusal."""
    problem = {"type": "about:blank", "title": str(mistake), "status": int(HTTPStatus.BAD_REQUEST)}
    return Answer(HTTPStatus.BAD_REQUEST, (("content-type", PROBLEM_JSON), ("cache-control", "no-store")), json.dumps(problem).encode())
