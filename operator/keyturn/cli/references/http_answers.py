"""Every answer that the verifier's HTTP server gives, taken from the code that gives it. After it: `http_contract.py`, `http_page.py`.

Nothing here says a status, a title or a header's name: each answer is made by the server's own functions and read back from its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from keyturn.api.reference_docs import documented
from keyturn.base.clock import utc_now
from keyturn.keys.verification_keys import VerificationKeys
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, Quota
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.gatekeeper import Entry
from keyturn.verifier.service.http_door.http_connection import HEAD_TOO_LARGE, NO_HTTP, TOO_MANY
from keyturn.verifier.service.http_door.http_front import TURNED_BACK, HttpFront, Reply, told
from keyturn.verifier.store import Store
from keyturn.verifier.verdicts import Accepted, Refusal, Refused

SCOPE: Final = "orders:read"
_LONGEST_EXAMPLE: Final = 80
_LIMIT: Final = Limit(10.0, 20, name="plan")
_ACCEPTED: Final = Accepted(
    record_name="shop.billing", key_id="LbsHmsayqXlg", version=3, audience="default", product=None, plan="gold", scopes=(SCOPE,)
)
_MISTAKES: Final[Mapping[str, bytes]] = {
    "no_such_address": b"/",
    "unknown_parameter": b"/verify?scopes=orders:read",
    "no_pairs": b"/verify?orders:read",
    "two_audiences": b"/verify?audience=orders&audience=reports",
    "empty_audience": b"/verify?audience=",
    "empty_scope": b"/verify?scope=",
    "long_query": b"/verify?audience=" + b"a" * 2048,
    "not_utf8": b"/check/%FF/-/",
}


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One of them."""

    word: str
    """What it is called: a refusal's is its label in the metrics."""
    meaning: str
    status: HTTPStatus
    headers: Mapping[str, str]
    """But for the length of the body."""
    problem: Mapping[str, object]
    """The body; empty for an accepted request."""

    @property
    def title(self) -> str:
        """The sentence for people."""
        return str(self.problem["title"])


def accepted_answers() -> tuple[HttpAnswer, ...]:
    """To a request that may pass: of a key without a limit, and of one with."""
    limited = _ACCEPTED._replace(quota=Quota(_LIMIT, may_pass=True, remaining=19, wait=0))
    return _read("accepted", "", told(_ACCEPTED)), _read("accepted_within_a_limit", "", told(limited))


def refusals() -> tuple[HttpAnswer, ...]:
    """To a client's request that may not pass, in the order of `Refusal`."""
    meanings = documented(Refusal)
    return tuple(_read(refusal.value, meanings[refusal.value], told(_refused(refusal))) for refusal in Refusal)


def gateways_mistakes() -> tuple[HttpAnswer, ...]:
    """To a gateway that asks at an address that says nothing."""
    front = HttpFront(Guard(Store(VerificationKeys(())), clock=utc_now), client_address=ClientAddress(b""))
    return tuple(_read(word, f"For example `{_shortened(at.decode())}`", front.reply_to(at, [])) for word, at in _MISTAKES.items())


def turned_back() -> tuple[HttpAnswer, ...]:
    """To gateways that may not ask, or not now."""
    meanings = {
        Entry.UNPROVEN: "Gateways must prove themselves here, and this one has not",
        Entry.NOT_NOW: "Whether this gateway may ask cannot be said yet",
    }
    return tuple(_read(f"gateway_{entry.value}", meanings[entry], reply) for entry, reply in TURNED_BACK.items())


def ended_connections() -> tuple[HttpAnswer, ...]:
    """The last word on a connection that the server ends."""
    return (
        _read("no_http", "What came is no HTTP/1.1", NO_HTTP),
        _read("head_too_large", "A request's line and headers are larger than 64 KiB", HEAD_TOO_LARGE),
        _read("too_many_connections", "More than `--max-connections` are open", TOO_MANY),
    )


def every_answer() -> Iterator[HttpAnswer]:
    """All of the above."""
    for answers in (accepted_answers(), refusals(), gateways_mistakes(), turned_back(), ended_connections()):
        yield from answers


def _shortened(address: str) -> str:
    return address if len(address) <= _LONGEST_EXAMPLE else f"{address[: _LONGEST_EXAMPLE // 2]}…"


def _refused(refusal: Refusal) -> Refused:
    return Refused(
        refusal,
        needs_scopes=(SCOPE,) if refusal is Refusal.SCOPE else (),
        quota=Quota(_LIMIT, may_pass=False, remaining=0, wait=1) if refusal is Refusal.LIMITED else None,
    )


def _read(word: str, meaning: str, reply: Reply) -> HttpAnswer:
    status, *lines = reply.head.decode("latin-1").removesuffix("\r\n").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    del headers["content-length"]
    return HttpAnswer(word, meaning, HTTPStatus(int(status.split(" ")[1])), headers, json.loads(reply.body) if reply.body else {})
