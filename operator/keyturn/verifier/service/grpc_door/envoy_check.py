"""Envoy's question, and what it is told: envoy.service.auth.v3.Authorization/Check from bytes to bytes, by way of the guard.

What a route asks for stands in its context extensions, `audience` and `scope` (several, separated by spaces); any other name there is a
mistake and gets no answer that could let a request pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.verifier.answers import answer_to, limit_headers
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import Guard, Judged
from keyturn.verifier.service.grpc_door.envoy_answers import denied_response, ok_response
from keyturn.verifier.service.grpc_door.envoy_messages import CHECK_REQUEST, CheckRequest, DecodeError
from keyturn.verifier.service.grpc_door.grpc_calls import CallFailed, Code
from keyturn.verifier.verdicts import Accepted, Refused

CHECK: Final = b"/envoy.service.auth.v3.Authorization/Check"
SERVICE: Final = "envoy.service.auth.v3.Authorization"

_CODES: Final = {
    HTTPStatus.UNAUTHORIZED: Code.UNAUTHENTICATED,
    HTTPStatus.TOO_MANY_REQUESTS: Code.RESOURCE_EXHAUSTED,
}


class EnvoyCheck:
    """The method, for one guard."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._names = tuple((name.decode("latin-1"), name) for name in guard.sources.names)

    def __call__(self, message: bytes) -> bytes:
        """Answer one CheckRequest by a CheckResponse. Raises CallFailed for what is none, and where this replica cannot tell."""
        try:
            request = CHECK_REQUEST.FromString(message)
        except DecodeError:
            raise CallFailed(Code.INTERNAL, "The message is no CheckRequest") from None
        attributes = request.attributes
        asked = _asked(attributes.context_extensions, attributes.source.address.socket_address.address)
        return response_to(self._guard.judge(self._headers(request), asked))

    def _headers(self, request: CheckRequest) -> Iterable[tuple[bytes, bytes]]:
        """Those that may hold a key.

        With `encode_raw_headers` Envoy sends them as they came, repeats among them. Otherwise it has joined repeats by a comma: no key
        has one, so that two never pass for one.
        """
        http = request.attributes.request.http
        raw = http.header_map.headers
        if raw:
            return [(header.key, header.raw_value or header.value) for header in raw]
        headers = http.headers
        return [(raw_name, headers[name]) for name, raw_name in self._names if name in headers]


def _asked(extensions: Mapping[str, str], address: str) -> Asked:
    if not extensions:
        return Asked(address=address or None)
    audience, scope = extensions.get("audience"), extensions.get("scope")
    if len(extensions) != (audience is not None) + (scope is not None):
        raise CallFailed(Code.INVALID_ARGUMENT, "A context extension has a name that is not known: audience and scope are")
    return _route(audience, scope).seen_from(address or None)


@lru_cache(maxsize=1024)
def _route(audience: str | None, scope: str | None) -> Asked:
    try:
        return Asked(audience or DEFAULT_AUDIENCE, () if scope is None else tuple(scope.split(" ")))
    except ValueError as mistake:
        raise CallFailed(Code.INVALID_ARGUMENT, str(mistake)) from None


def response_to(judged: Judged) -> bytes:
    """What Envoy is told: to pass the request on, as whose, and without the key; or what to answer the client."""
    verdict, header = judged
    if isinstance(verdict, Refused):
        return _refusal(verdict) if verdict.quota is None else _written_refusal(verdict)
    if verdict.quota is None:
        return _pass(verdict, header)
    # Two messages after each other are one to protobuf: repeated fields of the second follow those of the first.
    return _pass(Accepted(*verdict[:-1]), header) + ok_response(to_client=limit_headers(verdict.quota))


def _pass(accepted: Accepted, header: str | None) -> bytes:
    return ok_response(headers=accepted.headers.items(), removed=() if header is None else (header,))


@lru_cache(maxsize=1024)
def _refusal(refused: Refused) -> bytes:
    return _written_refusal(refused)


def _written_refusal(refused: Refused) -> bytes:
    told = answer_to(refused)
    if told.status == HTTPStatus.SERVICE_UNAVAILABLE:  # no verdict on the request: a gateway with a retry policy asks another replica
        raise CallFailed(Code.UNAVAILABLE, f"This verifier cannot tell: {refused.refusal}")
    code = _CODES.get(told.status, Code.PERMISSION_DENIED)
    return denied_response(code=code, status=told.status, headers=told.headers, body=told.body)
