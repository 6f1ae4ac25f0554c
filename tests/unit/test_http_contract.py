"""The OpenAPI document of the verifier says everything that the code answers, and nothing else."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gen import verifying as gen
from gen.http_contract import HttpContract
from keyturn.base import probe_server
from keyturn.verifier.check import Asked
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, LocalLimiter
from keyturn.verifier.service.client_address import ClientAddress
from keyturn.verifier.service.gatekeeper import Entry
from keyturn.verifier.service.http_door.http_connection import HEAD_TOO_LARGE, NO_HTTP, TOO_MANY
from keyturn.verifier.service.http_door.http_front import TURNED_BACK, HttpFront, Reply
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

Headers = list[tuple[bytes, bytes]]
GOOD: Final[Headers] = [(b"authorization", b"Bearer " + gen.TOKEN.encode())]
STRANGER: Final[Headers] = [(b"x-api-key", gen.OTHER_TOKEN.encode())]
JWT: Final[Headers] = [(b"authorization", b"Bearer " + b"eyJhbGciOiJFUzI1NiJ9." + b"e" * 50 + b".s")]
AGO: Final = gen.NOW - timedelta(seconds=1)
VERIFY: Final = "/verify"
CONTRACT: Final = HttpContract.read()


@dataclass(frozen=True, slots=True)
class Says:
    """What knows of tokens, of one opinion."""

    refusal: Refusal

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:  # noqa: ARG002  the protocol's
        return Refused(self.refusal)


def used_up() -> Guard:
    limited = gen.guard(gen.record(), limiter=LocalLimiter(default=Limit(0.5, 1, name="default")))
    limited.ask(GOOD)
    return limited


def behind(**facts: object) -> Guard:
    return Guard(gen.known(gen.record(), **facts), clock=lambda: gen.NOW)


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asks whom, where."""

    guard: Guard = field(default_factory=lambda: gen.guard(gen.record()))
    headers: Headers = field(default_factory=lambda: GOOD)
    target: bytes = b"/verify"

    def reply(self) -> Reply:
        return HttpFront(self.guard, client_address=ClientAddress(b"x-forwarded-for")).reply_to(self.target, self.headers)

    def verdict(self) -> CheckVerdict:
        seen: list[CheckVerdict] = []
        watched = {name: getattr(self.guard, name) for name in ("view", "clock", "limiter", "tokens")}
        front = HttpFront(Guard(**watched, on_verdict=seen.append), client_address=ClientAddress(b"x-forwarded-for"))
        front.reply_to(self.target, self.headers)
        return seen[0]


SITUATIONS: Final[dict[Refusal, Callable[[], Situation]]] = {
    Refusal.NO_KEY: lambda: Situation(headers=[]),
    Refusal.AMBIGUOUS: lambda: Situation(headers=[*GOOD, *STRANGER]),
    Refusal.MALFORMED: lambda: Situation(headers=[(b"x-api-key", b"short")]),
    Refusal.UNKNOWN: lambda: Situation(headers=STRANGER),
    Refusal.WRONG: lambda: Situation(headers=[(b"x-api-key", gen.TOKEN[:-1].encode() + b"_")]),
    Refusal.ENDED: lambda: Situation(gen.guard(gen.record(not_after=AGO))),
    Refusal.EXPIRED: lambda: Situation(gen.guard(gen.record(expiration_time=AGO))),
    Refusal.DISABLED: lambda: Situation(gen.guard(gen.record(disabled=True))),
    Refusal.AUDIENCE: lambda: Situation(target=b"/verify?audience=orders"),
    Refusal.SCOPE: lambda: Situation(target=b"/verify?scope=orders:read%20orders:write"),
    Refusal.ADDRESS: lambda: Situation(gen.guard(gen.record(allowed_cidrs=("192.0.2.0/24",)))),
    Refusal.LIMITED: lambda: Situation(used_up()),
    Refusal.STALE: lambda: Situation(behind(heard=0.0)),
    Refusal.TOKEN: lambda: Situation(gen.guard(tokens=Says(Refusal.TOKEN)), JWT),
    Refusal.TOKEN_EXPIRED: lambda: Situation(gen.guard(tokens=Says(Refusal.TOKEN_EXPIRED)), JWT),
    Refusal.NO_ISSUER_KEYS: lambda: Situation(gen.guard(tokens=Says(Refusal.NO_ISSUER_KEYS)), JWT),
    Refusal.NOT_CAUGHT_UP: lambda: Situation(behind(is_caught_up=False), STRANGER),
}


def read(reply: Reply) -> tuple[int, dict[str, str], bytes]:
    status, *lines = reply.head.decode("latin-1").removesuffix("\r\n").split("\r\n")
    return int(status.split(" ")[1]), dict(line.split(": ", 1) for line in lines), reply.body


def changed(change: Callable[[dict[str, Any]], object]) -> HttpContract:
    document = copy.deepcopy(CONTRACT.document)
    change(document)
    return HttpContract(document)


def test_it_is_openapi_3_1() -> None:
    assert CONTRACT.document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(CONTRACT.document).iter_errors()] == []


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_is_in_it_as_a_client_sees_it(refusal: Refusal) -> None:
    verdict = SITUATIONS[refusal]().verdict()
    assert isinstance(verdict, Refused)
    assert verdict.refusal is refusal
    status, headers, body = read(SITUATIONS[refusal]().reply())
    CONTRACT.assert_allows(VERIFY, status, headers, body)
    assert CONTRACT.example(VERIFY, status, refusal) == json.loads(body)


@pytest.mark.parametrize("limiter", [None, LocalLimiter(default=Limit(0.5, 9, name="default"))], ids=["without a limit", "within a limit"])
@pytest.mark.parametrize("fields", [{}, {"plan": "gold", "scopes": ("orders:read", "orders:write")}], ids=["bare", "with scopes and plan"])
def test_an_accepted_request_is_in_it(fields: dict[str, object], limiter: LocalLimiter | None) -> None:
    situation = Situation(gen.guard(gen.record(**fields), limiter=limiter))
    CONTRACT.assert_allows(VERIFY, *read(situation.reply()))


def test_a_token_that_is_accepted_is_in_it() -> None:
    named = Accepted("jwt:corp.a%20b", "jwt:corp", 0, "default", None, None, ("orders:read",))

    class Accepts:
        def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:  # noqa: ARG002  the protocol's
            return named

    status, headers, body = read(Situation(gen.guard(tokens=Accepts()), JWT).reply())
    assert (status, headers["x-keyturn-apikey"]) == (200, "jwt:corp/a%20b")
    CONTRACT.assert_allows(VERIFY, status, headers, body)


@pytest.mark.parametrize(
    ("word", "reply"),
    [
        ("gateway_unproven", TURNED_BACK[Entry.UNPROVEN]),
        ("gateway_not_now", TURNED_BACK[Entry.NOT_NOW]),
        ("no_http", NO_HTTP),
        ("head_too_large", HEAD_TOO_LARGE),
        ("too_many_connections", TOO_MANY),
        ("no_such_address", Situation(target=b"/nowhere").reply()),
        ("two_audiences", Situation(target=b"/verify?audience=a&audience=b").reply()),
    ],
)
def test_what_a_gateway_itself_is_told_is_in_it(word: str, reply: Reply) -> None:
    status, headers, body = read(reply)
    CONTRACT.assert_allows(VERIFY, status, headers, body)
    assert CONTRACT.example(VERIFY, status, word) == json.loads(body)


def test_all_paths_of_gateways_answer_alike() -> None:
    gateways = {path: item["get"] for path, item in CONTRACT.paths.items() if item["get"]["tags"] == ["gateways"]}
    assert list(gateways) == ["/verify", "/check/-/{path}", "/check/{audience}/-/{path}", "/check/{audience}/{scope}/-/{path}"]
    assert all(each["responses"] == gateways[VERIFY]["responses"] for each in gateways.values())


def test_probes_and_metrics_have_an_address_of_their_own() -> None:
    settings = VerifierSettings.model_validate({})
    probes = {path: item["servers"][0]["url"] for path, item in CONTRACT.paths.items() if item["get"]["tags"] == ["probes"]}
    port = settings.probe_address.rpartition(":")[2]
    assert probes == dict.fromkeys(["/healthz", "/readyz", "/metrics"], f"http://{{pod}}:{port}")
    assert all(path in (probe_server.__doc__ or "") for path in probes)
    assert CONTRACT.document["servers"][0]["url"].endswith(f":{settings.listen_address.rpartition(':')[2]}")


LIES: Final[dict[str, tuple[Refusal, Callable[[dict[str, Any]], object]]]] = {
    "another status": (Refusal.SCOPE, lambda it: it["paths"][VERIFY]["get"]["responses"].pop("403")),
    "another title": (
        Refusal.EXPIRED,
        lambda it: problem_schema(it, "Unauthorized")["title"].update(enum=["An API key is needed", "The API key is not valid"]),
    ),
    "another status in the body": (Refusal.STALE, lambda it: problem_schema(it, "Unavailable")["status"].update(const=500)),
    "a header too few": (Refusal.NO_KEY, lambda it: it["components"]["responses"]["Unauthorized"]["headers"].pop("www-authenticate")),
    "a header too many": (
        Refusal.LIMITED,
        lambda it: it["components"]["responses"]["Limited"]["headers"].update({"x-more": {"required": True, "schema": {}}}),
    ),
    "another form of a header": (Refusal.LIMITED, lambda it: it["components"]["headers"]["ratelimit"]["schema"].update(pattern="^r=1$")),
    "another media type": (
        Refusal.WRONG,
        lambda it: it["components"]["responses"]["Unauthorized"].update(content={"application/json": {"schema": {}}}),
    ),
}


def problem_schema(document: dict[str, Any], response: str) -> dict[str, Any]:
    return document["components"]["responses"][response]["content"]["application/problem+json"]["schema"]["properties"]


@pytest.mark.parametrize("lie", LIES)
def test_a_document_that_lies_is_found_out(lie: str) -> None:
    refusal, change = LIES[lie]
    answer = read(SITUATIONS[refusal]().reply())
    CONTRACT.assert_allows(VERIFY, *answer)
    with pytest.raises(AssertionError):
        changed(change).assert_allows(VERIFY, *answer)
