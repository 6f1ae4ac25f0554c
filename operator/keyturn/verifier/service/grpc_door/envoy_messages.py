"""The messages of envoy.service.auth.v3 and grpc.health.v1, as far as they are read or written here, for protobuf's own runtime.

A subset of the published files, by field numbers: what is not named is passed over, as protobuf has it, and costs nothing. Made at import
in a pool of their own, so that no compiler is needed and nobody else's copy of the same messages is in the way. Two things differ, both
alike on the wire: values of headers are bytes, since clients may send any, and enums are integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar, cast

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

__all__ = ["CHECK_REQUEST", "HEALTH_CHECK_REQUEST", "HEALTH_CHECK_RESPONSE", "CheckRequest", "DecodeError", "message"]

Message_co = TypeVar("Message_co", covariant=True)

_PACKAGE: Final = "keyturn.wire"
_SCALARS: Final = {
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
    "int32": FieldDescriptorProto.TYPE_INT32,
    "bool": FieldDescriptorProto.TYPE_BOOL,
}
_MESSAGES: Final[Mapping[str, tuple[str, ...]]] = {
    # envoy/service/auth/v3/external_auth.proto, attribute_context.proto
    "CheckRequest": ("AttributeContext attributes = 1",),
    "AttributeContext": ("Peer source = 1", "AttributeContextRequest request = 4", "map<string> context_extensions = 10"),
    "Peer": ("Address address = 1",),
    "AttributeContextRequest": ("HttpRequest http = 2",),
    "HttpRequest": ("map<bytes> headers = 3", "HeaderMap header_map = 13"),
    "CheckResponse": ("Status status = 1", "DeniedHttpResponse denied_response = 2", "OkHttpResponse ok_response = 3"),
    "DeniedHttpResponse": ("HttpStatus status = 1", "repeated HeaderValueOption headers = 2", "bytes body = 3"),
    "OkHttpResponse": (
        "repeated HeaderValueOption headers = 2",
        "repeated string headers_to_remove = 5",
        "repeated HeaderValueOption response_headers_to_add = 6",
    ),
    # envoy/config/core/v3/address.proto, base.proto; envoy/type/v3/http_status.proto
    "Address": ("SocketAddress socket_address = 1",),
    "SocketAddress": ("string address = 2",),
    "HeaderMap": ("repeated HeaderValue headers = 1",),
    "HeaderValue": ("bytes key = 1", "bytes value = 2", "bytes raw_value = 3"),
    "HeaderValueOption": ("HeaderValue header = 1", "int32 append_action = 3", "bool keep_empty_value = 4"),
    "HttpStatus": ("int32 code = 1",),
    # google/rpc/status.proto
    "Status": ("int32 code = 1",),
    # grpc/health/v1/health.proto
    "HealthCheckRequest": ("string service = 1",),
    "HealthCheckResponse": ("int32 status = 1",),
}


class HeaderValue(Protocol):
    """One header. In either of `value` and `raw_value`."""

    key: bytes
    value: bytes
    raw_value: bytes


class _HeaderMap(Protocol):
    headers: Sequence[HeaderValue]


class _HttpRequest(Protocol):
    headers: Mapping[str, bytes]
    header_map: _HeaderMap


class _Request(Protocol):
    http: _HttpRequest


class _SocketAddress(Protocol):
    address: str


class _Address(Protocol):
    socket_address: _SocketAddress


class _Peer(Protocol):
    address: _Address


class _AttributeContext(Protocol):
    source: _Peer
    request: _Request
    context_extensions: Mapping[str, str]


class CheckRequest(Protocol):
    """What Envoy tells of a request. Fields that it did not say are empty."""

    attributes: _AttributeContext


class HealthCheckRequest(Protocol):
    """Whose health is asked for: a service's, or with an empty name the server's."""

    service: str


class Written(Protocol):
    """A message of ours."""

    def SerializeToString(self) -> bytes:  # noqa: N802  protobuf's name
        """As it goes over the wire."""
        ...


class _Reader(Protocol[Message_co]):
    def FromString(self, data: bytes, /) -> Message_co: ...  # noqa: N802  protobuf's name


class _Writer(Protocol):
    def __call__(self, **fields: object) -> Written: ...


def _field(number_of: int, said: str, into: DescriptorProto) -> None:
    """One line of the table above: [repeated] <type> <name> = <number>."""
    *label, kind, name, _, number = said.split(" ")
    field = into.field.add(name=name, number=int(number), label=FieldDescriptorProto.LABEL_OPTIONAL)
    if label or kind.startswith("map<"):
        field.label = FieldDescriptorProto.LABEL_REPEATED
    if kind.startswith("map<"):
        entry = f"Entry{number_of}"
        nested = into.nested_type.add(name=entry)
        nested.options.map_entry = True
        _field(0, "string key = 1", nested)
        _field(1, f"{kind[4:-1]} value = 2", nested)
        kind = f"{into.name}.{entry}"
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type = FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{kind}"


def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="keyturn/wire.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        described = file.message_type.add(name=name)
        for at, said in enumerate(fields):
            _field(at, said, described)
    pool = DescriptorPool()
    pool.Add(file)
    return pool


_POOL: Final = _pool()


def message(name: str) -> Any:  # noqa: ANN401  protobuf makes its classes here and now
    """The class of one of the messages above."""
    return GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


CHECK_REQUEST: Final = cast("_Reader[CheckRequest]", message("CheckRequest"))
HEALTH_CHECK_REQUEST: Final = cast("_Reader[HealthCheckRequest]", message("HealthCheckRequest"))
HEALTH_CHECK_RESPONSE: Final = cast("_Writer", message("HealthCheckResponse"))
