"""docs/reference/verifier-http.md: how gateways ask the verifier, for people. After `http_answers.py`, beside `http_contract.py`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from keyturn.cli.references.http_answers import HttpAnswer, ended_connections, gateways_mistakes, refusals, turned_back
from keyturn.cli.references.http_contract import FILE_NAME, HEADERS
from keyturn.verifier.service.gatekeeper import TOKEN_AUDIENCE, TOKEN_HEADER
from keyturn.verifier.verdicts import IDENTITY_HEADERS

_SENT: Final[Mapping[str, str]] = {
    "`Authorization: Bearer <key>`, or `X-API-Key: <key>`": "the client's, as it came, repeats among them; `--key-headers` may name others "
    "than `X-API-Key`. Two keys are refused, also where they are the same",
    "`X-Forwarded-For`": "the client's address, appended at the right; `--client-address-header` and `--trusted-hops` say where it stands. "
    "Without it keys that are bound to addresses are refused",
    f"`{TOKEN_HEADER.decode()}`": f"with `--gateway-accounts`: the gateway's own ServiceAccount token for the audience `{TOKEN_AUDIENCE}`, "
    "unless its connection shows a certificate that `--gateway-ca` signed",
}
_PAGE: Final = """\
<!-- Made by `make docs` from operator/keyturn/cli/references/http_page.py and the verifier's own answers. Edit those, not this page. -->
# The verifier over HTTP

What a gateway asks before it lets a request through, and what it is told: for gateways that have no [example here](gateways.md). The same
for programs is an OpenAPI 3.1 document, [{file}]({file}), which tests compare with what a running verifier answers.

## Two ways to ask

| address | for gateways that |
|---|---|
| `/verify?audience=orders&scope=orders:read&scope=orders:write` | ask at a fixed address: nginx, Traefik, HAProxy, Caddy |
| `/check/orders/orders:read/orders:write/-/…` | append the client's own path and query: Envoy |

- `audience`: the audience that the key must be for; left out (`/verify`, `/check/-/…`): `default`.
- `scope`: a scope that the key must have. All of them are needed. In the query, `scope=a b` (percent-encoded) is the same as two.
- Below `/check`, what stands before the first `/-/` is the gateway's, percent-encoded where it is not plain; the rest is not looked at.
- What the gateway asks for may have 2,048 bytes, a query 64 parameters. What is empty, unknown or twice is a mistake and a 400, never a
  default: a variable that a template left out must not open a route.

Every method is answered alike, HEAD without a body. A request's body is not waited for and not looked at.

## What the gateway sends

| header | |
|---|---|
{sent}

Nothing else of the request is looked at.

## The request may pass: 200

Without a body. Every answer has these; the API behind may be told:

| header | |
|---|---|
{identity}
| `cache-control` | `no-store`, in every answer |

Where the key has a limit, also what the client may be told:

| header | |
|---|---|
{limits}

## It may not: refusals

The body is a problem in JSON, `application/problem+json` (RFC 9457), which the gateway may hand to the client as it is:

```json
{example}
```

`type` is always `about:blank`. The word is the label `verdict` of `keyturn_verifier_requests_total`, and is not told. Clients whose key is
malformed, unknown or wrong are told one and the same; only who holds the whole key is told more of it.

| word | status | title | means |
|---|---|---|---|
{refusals}

| header | with |
|---|---|
| `www-authenticate` | every 401 and `scope`: {challenges} |
| `retry-after` | `limited`: the seconds until the key may be used again; {unavailable}: always {seconds} |
| `ratelimit-policy`, `ratelimit` | `limited` |

## Answers to the gateway itself

Problems too. A gateway that takes them for refusals is right.

| status | title, or an example of it | when |
|---|---|---|
{others}

After the last three, and before a verifier stops, the answer says `connection: close`, and the server closes the connection. It speaks
HTTP/1.1 and 1.0; several requests may be under way on a connection and are answered in their order.

## What a gateway must do

- Let the request pass with 200, and with nothing else: not with another 2xx, not when nobody answers in time. Half a second is plenty.
- Ask for every request anew. No answer may be kept: a key can be revoked at any time.
- Take out `X-Keyturn-…` that a client sends, and put in what the verifier said.
- Take out the key: the API behind has no use for `Authorization` and `X-API-Key`.
- Choose what to ask for by the path as the API will read it: escapes, dots and doubled slashes resolved, or refused.
- Hand status, body, `WWW-Authenticate`, `Retry-After`, `RateLimit` and `RateLimit-Policy` of a 401, 403 or 429 on to the client. A 400 says
  that the gateway's own configuration is wrong. After a 503 another replica may be asked.
- Hand the client's headers on whole: of two `Authorization` headers none may be dropped, or one key is checked and the other one used.

## Health, readiness, metrics

At [`--probe-address`](verifier-settings.md), without TLS; GET and HEAD, everything else there is 404 or 405.

| path | status | body |
|---|---|---|
| `/healthz` | 200 while the process can answer at all | `ok` |
| `/readyz` | 200: it knows the keys. 503: not yet, or it is about to stop | `ok`, or a sentence that says why not |
| `/metrics` | 200 | [the metrics](metrics.md#of-the-verifier) in Prometheus' text format |
"""


def write_http_page(folder: Path) -> Path:
    """Write verifier-http.md into the folder; the same code always gives the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "verifier-http.md"
    page.write_text(http_page(), encoding="utf-8")
    return page


def http_page() -> str:
    """The page."""
    told = refusals()
    by_word = {answer.word: answer for answer in told}
    unavailable = [answer for answer in told if answer.word != "limited" and "retry-after" in answer.headers]
    return _PAGE.format(
        file=FILE_NAME,
        sent="\n".join(f"| {header} | {meaning} |" for header, meaning in _SENT.items()),
        identity=_header_lines(IDENTITY_HEADERS),
        limits=_header_lines(("ratelimit-policy", "ratelimit")),
        example=_json(by_word["expired"]),
        refusals="\n".join(_refusal_line(answer) for answer in told),
        challenges=", ".join(f"`{by_word[word].headers['www-authenticate']}`" for word in ("no_key", "expired", "scope")),
        unavailable=", ".join(f"`{answer.word}`" for answer in unavailable),
        seconds=unavailable[0].headers["retry-after"],
        others="\n".join(_other_line(answer) for answer in (*gateways_mistakes(), *turned_back(), *ended_connections())),
    )


def _header_lines(names: Iterable[str]) -> str:
    return "\n".join(f"| `{name}` | {HEADERS[name]['description']} |" for name in names)


def _refusal_line(answer: HttpAnswer) -> str:
    return f"| `{answer.word}` | {int(answer.status)} | {_cell(answer.title)} | {_cell(answer.meaning)} |"


def _other_line(answer: HttpAnswer) -> str:
    return f"| {int(answer.status)} | {_cell(answer.title)} | {_cell(answer.meaning)} |"


def _cell(text: str) -> str:
    """HTML and pipes in a title are text."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;")


def _json(answer: HttpAnswer) -> str:
    return json.dumps(dict(answer.problem))
