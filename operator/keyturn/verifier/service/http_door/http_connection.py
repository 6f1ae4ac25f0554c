"""One HTTP/1.1 connection of a gateway: bytes in, `http_front.py` asked, bytes out. Before it: `http_server.py`, which holds all of them.

A request is answered the moment its head is there, at once and without a task, so answers are in order and nothing queues up. The parser is
llhttp, in C. What a peer may hold is bounded: see the constants, and `Limits`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Final, cast

import httptools

from keyturn.verifier.service import metrics
from keyturn.verifier.service.http_door.http_front import HttpFront, RawHeaders, Reply, problem, written

LONGEST_HEAD: Final = 64 * 1024
LONGEST_BODY: Final = 1024 * 1024
"""Read and dropped; what is longer ends the connection."""
SLICE: Final = 16 * 1024
"""The parser is fed no more at a time: a long head is noticed before it is kept, and a pipeline of thousands waits its turn."""
NO_HTTP: Final = written(problem(HTTPStatus.BAD_REQUEST, "This is no HTTP/1.1"))
HEAD_TOO_LARGE: Final = written(problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "The request's head is too large"))
TOO_MANY: Final = written(problem(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections to this verifier"))


@dataclass(frozen=True, slots=True)
class Limits:
    """What all peers together, and each by its pace, may hold."""

    connections: int
    keep_alive: float
    """Seconds a connection may be idle."""
    patience: float = 10.0
    """Seconds for a whole request, from its first byte or from the beginning of the connection; and for taking an answer."""


class Hall:
    """What all connections share."""

    def __init__(self, front: HttpFront, limits: Limits) -> None:
        self.front, self.limits = front, limits
        self.open: set[HttpConnection] = set()
        self.leaving: set[HttpConnection] = set()
        """Those of them whose next answer asks the gateway to connect anew."""
        self.now = 0.0
        """Seconds, to about one: set by `http_server.py`, since asking a clock for each request costs more than it tells."""
        self._is_draining = False

    def drain(self) -> None:
        """From now on every answer asks the gateway to close its connection, and to open the next one elsewhere."""
        self._is_draining = True
        for connection in self.open:
            self._ask_to_leave(connection)

    def welcome(self, connection: HttpConnection) -> None:
        """One more."""
        self.open.add(connection)
        if self._is_draining:
            self._ask_to_leave(connection)

    @property
    def staying(self) -> int:
        """As `doors.Guests`."""
        return len(self.open) - len(self.leaving)

    def send_one_away(self) -> None:
        """As `doors.Guests`."""
        chosen = next((each for each in self.open if each not in self.leaving), None)
        if chosen is not None:
            self._ask_to_leave(chosen)

    def _ask_to_leave(self, connection: HttpConnection) -> None:
        connection.is_leaving = True
        self.leaving.add(connection)


class Phase(Enum):
    """Where a peer stands."""

    IDLE = "between two requests"
    NEW = "owes the first one"
    HEAD = "owes the rest of a head"
    BODY = "owes the rest of a body"


# Looking them up in their class costs more than what is done with them.
_IDLE: Final = Phase.IDLE
_HEAD: Final = Phase.HEAD
_BODY: Final = Phase.BODY


class HttpConnection(asyncio.Protocol):
    """Made for each connection."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self.is_leaving = False
        """Whether the gateway is asked to go elsewhere."""
        self._has_certificate = False
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._phase = Phase.NEW
        self._since = hall.now
        self._stuck_since: float | None = None
        self._held = 0
        self._rest = b""
        self._target = b""
        self._headers: RawHeaders = []

    @property
    def has_begun(self) -> bool:
        """Whether part of a request is here."""
        return self._phase is _HEAD or self._phase is _BODY or bool(self._rest)

    def close(self, *, why: str | None = None, at_once: bool = False) -> None:
        """End it, after what was written (or without). `why`: counted."""
        if why is not None:
            metrics.TURNED_AWAY.labels(why=why).inc()
        self._rest = b""
        if at_once:
            self._transport.abort()
        else:
            self._transport.close()

    def end_if_slow(self) -> None:
        """Close it if it was idle, or owed something, for too long."""
        now, limits = self._hall.now, self._hall.limits
        if self._stuck_since is not None and now - self._stuck_since > limits.patience:
            self.close(why="slow", at_once=True)
        elif self._phase is _IDLE:
            if now - self._since > limits.keep_alive:
                self.close()
        elif now - self._since > limits.patience:
            self.close(why="slow", at_once=True)

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A gateway has come."""
        self._transport = cast("asyncio.Transport", transport)
        # Filled only for a certificate that was verified against the CA for gateways.
        self._has_certificate = bool(transport.get_extra_info("peercert"))
        self._hall.welcome(self)
        if len(self._hall.open) > self._hall.limits.connections:
            self._turn_away(TOO_MANY, why="connections")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio passes it
        """It is gone."""
        self._hall.open.discard(self)
        self._hall.leaving.discard(self)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        """Part of a request came, one, or several."""
        if self._transport.is_closing():
            return
        if self._rest:
            self._rest += data
        elif len(data) > SLICE:
            self._rest = data
            self._transport.pause_reading()
            self._go_on()
        else:
            self._feed(data)

    def pause_writing(self) -> None:
        """The peer does not take its answers: it shall not ask for more."""
        self._stuck_since = self._hall.now
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It takes them again."""
        self._stuck_since = None
        if self._rest:
            self._go_on()
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    # What the parser calls.

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._phase, self._since = _HEAD, self._hall.now
        self._target, self._headers = b"", []

    def on_url(self, part: bytes) -> None:
        """Of the request line; in parts where it came in parts."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """One line of the head; behind a body, a trailer, which nobody looks at."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """All there is to decide about."""
        self._phase = _BODY
        if self._transport.is_closing():
            return
        reply = self._hall.front.reply_to(self._target, self._headers, has_certificate=self._has_certificate)
        parser = self._parser
        if self.is_leaving or not parser.should_keep_alive() or parser.should_upgrade() or parser.get_method() == b"HEAD":
            self._write_specially(reply)
        else:
            self._transport.write(reply.whole)

    def on_message_complete(self) -> None:
        """The request is over."""
        self._phase, self._since, self._held = _IDLE, self._hall.now, 0

    def _write_specially(self, reply: Reply) -> None:
        is_last = self.is_leaving or not self._parser.should_keep_alive() or self._parser.should_upgrade()
        body = b"" if self._parser.get_method() == b"HEAD" else reply.body
        self._transport.write(b"%b%b\r\n%b" % (reply.head, b"connection: close\r\n" if is_last else b"", body))
        if is_last:
            self.close()

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.close()  # we speak nothing else, and have said so
        except httptools.HttpParserCallbackError:
            raise  # a mistake of ours: the loop logs it and closes the connection
        except httptools.HttpParserError:
            if not self._transport.is_closing():
                self._turn_away(NO_HTTP, why="malformed")
        if self._phase is not _IDLE:
            self._held += len(data)
            self._bound()

    def _bound(self) -> None:
        if self._transport.is_closing():
            return
        if self._phase is not _BODY:
            if self._held > LONGEST_HEAD:
                self._turn_away(HEAD_TOO_LARGE, why="head")
        elif self._held > LONGEST_HEAD + LONGEST_BODY:
            self.close(why="body")

    def _go_on(self) -> None:
        """One slice of what is left, then others have their turn."""
        if not self._rest or self._is_held_back:
            return
        data, self._rest = self._rest[:SLICE], self._rest[SLICE:]
        self._feed(data)
        if self._rest:
            asyncio.get_running_loop().call_soon(self._go_on)
        elif not self._is_held_back:
            self._transport.resume_reading()

    @property
    def _is_held_back(self) -> bool:
        return self._stuck_since is not None or self._transport.is_closing()

    def _turn_away(self, reply: Reply, *, why: str) -> None:
        """Who was answered already is only closed."""
        if self._phase is not _BODY:
            self._transport.write(b"%bconnection: close\r\n\r\n%b" % (reply.head, reply.body))
        self.close(why=why)
