"""docs/reference/verifier-http.yaml: the verifier's HTTP contract as an OpenAPI 3.1 document. Before it: `http_answers.py`.

Statuses, titles, headers and which of them are always there come from the answers; the words around them, and the form of each header,
are written here and held to the running server by tests/cluster/test_http_contract.py.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.cli.documents import render
from keyturn.cli.references.http_answers import SCOPE, HttpAnswer, every_answer
from keyturn.keys.token_format import KEY_ID_LENGTH
from keyturn.verifier.answers import PROBLEM_JSON
from keyturn.verifier.service.gatekeeper import TOKEN_AUDIENCE, TOKEN_HEADER
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.verdicts import APIKEY_HEADER, KEY_ID_HEADER, PLAN_HEADER, SCOPES_HEADER

Json = dict[str, Any]

FILE_NAME: Final = "verifier-http.yaml"
_HEAD: Final = """\
# Made by `make docs` from operator/keyturn/cli/references/http_contract.py and the verifier's own answers. Edit those, not this file.
"""
_SCOPE_CHARACTERS: Final = r"[!#-\[\]-~]+"
_SCOPES: Final = rf"{_SCOPE_CHARACTERS}( {_SCOPE_CHARACTERS})*"
_QUOTED: Final = r'"[^"\\]*"'

HEADERS: Final[Mapping[str, Json]] = {
    KEY_ID_HEADER: {
        "description": "Public name of the key version; of a JSON Web Token: `jwt:` and the issuer's name",
        "schema": {"type": "string", "pattern": rf"^([0-9A-Za-z]{{{KEY_ID_LENGTH}}}|jwt:[-a-z0-9]+)$"},
    },
    APIKEY_HEADER: {
        "description": "Whose key it is: namespace/name of the ApiKey; of a JSON Web Token: `jwt:<issuer's name>/<subject>`",
        "schema": {"type": "string", "pattern": r"^(jwt:)?[-a-z0-9]+/[!-~]+$"},
    },
    SCOPES_HEADER: {
        "description": "All scopes that the key has, separated by spaces; empty: none",
        "schema": {"type": "string", "pattern": rf"^({_SCOPES})?$"},
    },
    PLAN_HEADER: {"description": "The key's plan; empty: none", "schema": {"type": "string"}},
    "cache-control": {"description": "No cache may keep an answer (RFC 9111)", "schema": {"const": "no-store"}},
    "www-authenticate": {
        "description": "How to authenticate, and what was wrong (RFC 6750 section 3): no `error` where no key was sent",
        "schema": {"type": "string", "pattern": rf'^Bearer realm="keyturn"(, (error|error_description|scope)={_QUOTED})*$'},
    },
    "retry-after": {"description": "Seconds after which to try again", "schema": {"type": "integer", "minimum": 1}},
    "ratelimit-policy": {
        "description": "The key's limit: so many requests (`q`) in so many seconds (`w`); draft-ietf-httpapi-ratelimit-headers-10",
        "schema": {"type": "string", "pattern": r'^"[a-z]+";q=[1-9][0-9]*;w=[1-9][0-9]*$'},
    },
    "ratelimit": {
        "description": "Requests that would pass now (`r`), and seconds until there is one more (`t`)",
        "schema": {"type": "string", "pattern": r'^"[a-z]+";r=[0-9]+;t=[0-9]+$'},
    },
}
"""Every header of an answer, but for those that are HTTP's own: Connection, Content-Length, Content-Type."""

RESPONSES: Final[Mapping[HTTPStatus, tuple[str, str]]] = {
    HTTPStatus.OK: ("Accepted", "The request may pass. The headers say whose it is; the API behind the gateway may be told."),
    HTTPStatus.BAD_REQUEST: ("Mistaken", "The gateway asks for nothing that could be checked, or speaks no HTTP/1.1."),
    HTTPStatus.UNAUTHORIZED: ("Unauthorized", "No key, or none that is valid. The client gets this answer."),
    HTTPStatus.FORBIDDEN: ("Forbidden", "A valid key, but not for this; or the gateway has not proved that it may ask."),
    HTTPStatus.TOO_MANY_REQUESTS: ("Limited", "The key is used too often. The request is not counted."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ("TooLarge", "The request's head is too large. The connection is closed."),
    HTTPStatus.SERVICE_UNAVAILABLE: ("Unavailable", "No verdict: another replica may have one, or this one later."),
}
"""A response's name, and what it means."""

_DESCRIPTION: Final = (
    "What a gateway asks before it lets a request through. It sends the client's headers as they came, and lets the request pass with 200 "
    "and with nothing else. Every method is answered alike (HEAD without a body), and a request's body is never looked at."
)
_VERIFY: Final = (
    "For gateways that ask at a fixed address. The query is the gateway's, never the client's; it may have 2,048 bytes and 64 parameters. "
    "What is empty is a mistake, not a default: a variable that a template left out must not open a route."
)
_CHECK: Final = (
    "For gateways that append the client's own path and query. What stands before the first `/-/` is the gateway's: an audience, then "
    "scopes, each percent-encoded, all together at most 2,048 bytes. The rest is not looked at."
)
_PROBE_SERVER: Final = [
    {
        "url": f"http://{{pod}}:{VerifierSettings.model_validate({}).probe_address.rpartition(':')[2]}",
        "description": "`--probe-address`, without TLS",
        "variables": {"pod": {"default": "localhost", "description": "Address of one replica"}},
    }
]


def write_http_contract(folder: Path) -> Path:
    """Write the document into the folder; the same code always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / FILE_NAME
    # By way of JSON: YAML would say once what is the same object, and point there from elsewhere.
    file.write_text(f"{_HEAD}{render(json.loads(json.dumps(http_contract())), 'yaml')}\n", encoding="utf-8")
    return file


def http_contract() -> Json:
    """The document."""
    settings = VerifierSettings.model_validate({})
    port = settings.listen_address.rpartition(":")[2]
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Keyturn's verifier",
            "version": version("keyturn"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            "description": _DESCRIPTION,
        },
        "servers": [
            {
                "url": f"http://keyturn-verifier.{settings.namespace}.svc:{port}",
                "description": "The Service that the chart brings; https where it has a certificate",
            }
        ],
        "tags": [
            {"name": "gateways", "description": "What gateways ask"},
            {"name": "probes", "description": "What the kubelet and Prometheus ask, at an address of its own"},
        ],
        "paths": {**_gateways_paths(), **_probe_paths()},
        "components": {
            "securitySchemes": _security_schemes(),
            "parameters": {"ClientAddress": _client_address(settings)},
            "headers": dict(HEADERS),
            "schemas": {"Problem": _PROBLEM},
            "responses": _responses(),
        },
    }


_PROBLEM: Final[Json] = {
    "description": "RFC 9457. Members that are not named here may come: ignore them.",
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string", "minLength": 1, "description": "A sentence for people"},
        "status": {"type": "integer", "description": "The HTTP status again"},
    },
}


def _gateways_paths() -> Json:
    def text(name: str, description: str, **more: object) -> Json:
        return {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string", "minLength": 1},
            **more,
        }

    audience = text("audience", "The audience that the key must be for", example=DEFAULT_AUDIENCE)
    scope = text("scope", "A scope that the key must have; more of them follow, each a segment of its own", example=SCOPE)
    scope["schema"] = {"type": "string", "pattern": f"^{_SCOPE_CHARACTERS}$"}
    theirs = text("path", "The client's path and query; may be empty, and as long as a request may be", example="orders")
    return {
        "/verify": _asking("verify", "May this request pass?", _VERIFY, _query()),
        "/check/-/{path}": _asking("checkDefault", "The same, for any key of the default audience", _CHECK, [theirs]),
        "/check/{audience}/-/{path}": _asking("checkAudience", "The same, for an audience", _CHECK, [audience, theirs]),
        "/check/{audience}/{scope}/-/{path}": _asking("checkScopes", "The same, with scopes", _CHECK, [audience, scope, theirs]),
    }


def _query() -> list[Json]:
    return [
        {
            "name": "audience",
            "in": "query",
            "description": "The audience that the key must be for",
            "schema": {"type": "string", "minLength": 1, "default": DEFAULT_AUDIENCE},
        },
        {
            "name": "scope",
            "in": "query",
            "description": "Scopes that the key must have, all of them: repeated, or separated by spaces",
            "schema": {"type": "array", "maxItems": 63, "items": {"type": "string", "pattern": f"^{_SCOPES}$"}},
            "example": [SCOPE],
        },
    ]


def _asking(name: str, summary: str, description: str, parameters: list[Json]) -> Json:
    keys: tuple[Json, ...] = ({"bearer": []}, {"keyHeader": []})
    proofs: tuple[Json, ...] = ({"gatewayToken": []}, {"gatewayCertificate": []})
    operation = {
        "operationId": name,
        "tags": ["gateways"],
        "summary": summary,
        "description": description,
        "security": [*keys, *({**key, **proof} for proof in proofs for key in keys)],
        "parameters": [*parameters, {"$ref": "#/components/parameters/ClientAddress"}],
        "responses": {str(int(status)): {"$ref": f"#/components/responses/{word}"} for status, (word, _) in RESPONSES.items()},
    }
    return {"get": operation}


def _client_address(settings: VerifierSettings) -> Json:
    return {
        "name": settings.client_address_header,
        "in": "header",
        "description": "The client's address, which the gateway appends; `--client-address-header` and `--trusted-hops` say where it "
        "stands. Without it, keys that are bound to addresses are refused",
        "schema": {"type": "string"},
        "example": "192.0.2.7",
    }


def _security_schemes() -> Json:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "The client's key, or a JSON Web Token where `--issuers` names issuers",
        },
        "keyHeader": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "The client's key alone; `--key-headers` may name others. A request with two keys is refused",
        },
        "gatewayToken": {
            "type": "apiKey",
            "in": "header",
            "name": TOKEN_HEADER.decode(),
            "description": f"With `--gateway-accounts`: the gateway's own ServiceAccount token for the audience {TOKEN_AUDIENCE}",
        },
        "gatewayCertificate": {"type": "mutualTLS", "description": "With `--gateway-ca`: a client certificate that this CA signed"},
    }


def _responses() -> Json:
    by_status: dict[HTTPStatus, list[HttpAnswer]] = defaultdict(list)
    for answer in every_answer():
        unexplained = [*(answer.headers.keys() - HEADERS.keys() - {"content-type"}), *({answer.status} - RESPONSES.keys())]
        if unexplained:
            raise LookupError(f"{answer.word}: say in HEADERS and RESPONSES what {unexplained} mean")
        by_status[answer.status].append(answer)
    return {RESPONSES[status][0]: _response(RESPONSES[status][1], by_status[status]) for status in sorted(by_status)}


def _response(description: str, answers: Sequence[HttpAnswer]) -> Json:
    names = [name for name in HEADERS if any(name in answer.headers for answer in answers)]
    response: Json = {"description": description, "headers": {name: _header(name, answers) for name in names}}
    problems = [answer for answer in answers if answer.problem]
    if problems:
        response["content"] = {PROBLEM_JSON: {"schema": _schema(problems), "examples": _examples(problems)}}
    return response


def _header(name: str, answers: Sequence[HttpAnswer]) -> Json:
    """OpenAPI has no way to point at a header and to say that it is always there."""
    if not all(name in answer.headers for answer in answers):
        return {"$ref": f"#/components/headers/{name}"}
    return {"description": HEADERS[name]["description"], "required": True, "schema": {"$ref": f"#/components/headers/{name}/schema"}}


def _schema(problems: Sequence[HttpAnswer]) -> Json:
    status = problems[0].status
    says: Json = {"status": {"const": int(status)}}
    if status is not HTTPStatus.BAD_REQUEST:  # where the sentence names what is wrong with the address
        says["title"] = {"enum": list(dict.fromkeys(problem.title for problem in problems))}
    return {"$ref": "#/components/schemas/Problem", "properties": says}


def _examples(problems: Sequence[HttpAnswer]) -> Json:
    return {problem.word: {"summary": problem.meaning, "value": dict(problem.problem)} for problem in problems}


def _probe_paths() -> Json:
    def text(description: str, **schema: object) -> Json:
        return {"description": description, "content": {"text/plain; charset=utf-8": {"schema": {"type": "string", **schema}}}}

    fine = text("Fine", const="ok")
    metrics = {"description": "The metrics", "content": {CONTENT_TYPE_PLAIN_1_0_0: {"schema": {"type": "string"}}}}
    return {
        "/healthz": _probe("healthz", "Is the process alive? If not, only a restart helps", {"200": fine}),
        "/readyz": _probe(
            "readyz",
            "Does it know the keys, so that gateways may ask it?",
            {"200": fine, "503": text("Not yet, or no longer; a sentence says why", minLength=1)},
        ),
        "/metrics": _probe("metrics", "Metrics in Prometheus' text format; metrics.md lists them", {"200": metrics}),
    }


def _probe(name: str, summary: str, responses: Json) -> Json:
    return {
        "servers": _PROBE_SERVER,
        "get": {"operationId": name, "tags": ["probes"], "summary": summary, "security": [], "responses": responses},
    }
