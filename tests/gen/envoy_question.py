"""What Envoy asks over gRPC, and what it is answered, made and read with the messages as the verifier knows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from keyturn.verifier.service.grpc_door import envoy_messages

_OVERWRITE: Final = 2
"""OVERWRITE_IF_EXISTS_OR_ADD."""


def question(
    headers: Mapping[str, bytes] | None = None,
    *,
    raw: Sequence[tuple[bytes, bytes]] = (),
    as_bytes: bool = True,
    address: str = "",
    **extensions: str,
) -> bytes:
    """A CheckRequest. `raw`: headers as they came, with `encode_raw_headers`; `extensions`: what the route says."""
    message: Any = envoy_messages.message("CheckRequest")()
    attributes = message.attributes
    for name, value in (headers or {}).items():
        attributes.request.http.headers[name] = value
    for name, value in raw:
        attributes.request.http.header_map.headers.add(key=name, **{"raw_value" if as_bytes else "value": value})
    if address:
        attributes.source.address.socket_address.address = address
    for name, said in extensions.items():
        attributes.context_extensions[name] = said
    return message.SerializeToString()


@dataclass(frozen=True, slots=True)
class Told:
    """A CheckResponse."""

    code: int
    """gRPC's."""
    status: int | None
    """What the client is answered; None: its request passes."""
    headers: Mapping[str, str]
    """For the API behind, or for the client that is refused. Each replaces one of its name, also by nothing."""
    removed: tuple[str, ...]
    to_client: Mapping[str, str]
    """With the API's answer."""
    body: bytes


def answer_in(message: bytes) -> Told:
    """What Envoy is told."""
    response = envoy_messages.message("CheckResponse").FromString(message)
    if response.HasField("ok_response"):
        passed = response.ok_response
        removed, to_client = tuple(passed.headers_to_remove), _headers(passed.response_headers_to_add)
        return Told(response.status.code, None, _headers(passed.headers), removed, to_client, b"")
    denied = response.denied_response
    return Told(response.status.code, denied.status.code, _headers(denied.headers), (), {}, denied.body)


def _headers(options: Iterable[Any]) -> dict[str, str]:
    found = {}
    for option in options:
        assert (option.append_action, option.keep_empty_value) == (_OVERWRITE, True)
        found[option.header.key.decode()] = option.header.value.decode()
    return found
