"""One request of an operator, as the fault proxy sees it, and what may be done to it. Before `fault_proxy.py`."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
HOUSEKEEPING: Final = frozenset({"leases", "selfsubjectaccessreviews"})


@dataclass(slots=True)
class Call:
    """One request. `status`: what the API server answered, 0 while it has not."""

    number: int
    """From 1, over all requests of this operator."""
    method: str
    path: str
    query: str
    head: bytes
    """Request line and header fields, one a line."""
    body: bytes
    resource: str
    """The plural and its subresource; of Secrets: `records`, `root`, `credentials`."""
    status: int = 0

    @classmethod
    def of(cls, number: int, *, method: str, target: str, head: bytes, body: bytes, records_namespace: str, namespace: str) -> Call:
        """Read a request; `target` is path and query, the namespaces are the operator's settings."""
        path, _, query = target.partition("?")
        where, resource = _parse(path)
        if resource == "secrets":
            resource = {records_namespace: "records", namespace: "root"}.get(where, "credentials")
        return cls(number, method, path, query, head=head, body=body, resource=resource)

    @property
    def is_watch(self) -> bool:
        """Whether its answer is a stream."""
        return "watch=" in self.query

    @property
    def is_write(self) -> bool:
        """Whether it changes what the product is about: Leases and questions about rights do not count."""
        return self.method in WRITES and self.resource not in HOUSEKEEPING and not self.is_look

    @property
    def is_look(self) -> bool:
        """Whether it is a patch that changes nothing, and answers with what stands there."""
        return self.method == "PATCH" and self.body == b"{}"

    @property
    def kind(self) -> str:
        """What it is, as one says it: `PATCH records Activated`, `GET pods`, `LOOK credentials`."""
        words = [
            "WATCH" if self.is_watch else "LOOK" if self.is_look else self.method,
            self.resource,
            self._detail() if self.method in WRITES else "",
        ]
        return " ".join(word for word in words if word)

    def _detail(self) -> str:
        with suppress(ValueError, KeyError, TypeError):
            body = json.loads(self.body)
            if self.resource == "records":
                return str(json.loads(base64.b64decode(body["data"]["record"]))["change"])
            if self.resource == "events":
                return str(body["reason"])
        return ""


def _parse(path: str) -> tuple[str, str]:
    """Namespace and resource of a path."""
    parts = path.strip("/").split("/")
    rest = parts[{"api": 2, "apis": 3}.get(parts[0], 0) :]
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    return namespace, "/".join([*rest[:1], *rest[2:3]])


@dataclass(frozen=True, slots=True)
class Refuse:
    """The proxy answers itself; the API server never hears of the request."""

    status: int
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection breaks: before the request went on, or `after` it had its effect and before the operator heard so."""

    after: bool


@dataclass(frozen=True, slots=True)
class Hang:
    """Nobody ever answers; `after`: the request had its effect."""

    after: bool


@dataclass(frozen=True, slots=True)
class Hold:
    """The request, or with `after` its answer, is on its way until the event is set."""

    until: threading.Event
    after: bool = False


@dataclass(frozen=True, slots=True)
class Delay:
    """The request is under way for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Something happens instead of the request, or with `after` instead of its answer: a kill -9, say."""

    act: Callable[[], object]
    after: bool


Fault = Refuse | Drop | Hang | Hold | Delay | Interrupt
Rule = Callable[[Call], Fault | None]


def no_fault(_call: Call) -> Fault | None:
    """Let everything pass."""
    return None
