"""Fetching an issuer's keys when all goes wrong that can: over real HTTP, from a server that does as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gen import tokens as gen
from gen import verifying
from keyturn.verifier.check import Asked
from keyturn.verifier.service.jwks_feed import MOST_BYTES, JwksFeed
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.verdicts import Accepted, Refusal, Refused

SETTINGS = VerifierSettings(
    issuer_refresh_interval=timedelta(milliseconds=200),
    issuer_refresh_spacing=timedelta(milliseconds=10),
    request_timeout=timedelta(seconds=2),
)
GOOD: dict[str, Any] = {"keys": [gen.public(gen.key())]}


class IssuerServer:
    """Publishes `keys`, or answers with whatever `answer` is."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = GOOD
        self.answer: web.Response | None = None
        self.delay = 0.0
        self.fetches = 0
        self.url = ""
        self.says_issuer: str | None = None

    async def jwks(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        await asyncio.sleep(self.delay)
        return self.answer or web.json_response(self.keys)

    async def discovery(self, _request: web.Request) -> web.Response:
        return web.json_response({"issuer": self.says_issuer or self.url, "jwks_uri": f"{self.url}/jwks"})


@asynccontextmanager
async def serving() -> AsyncIterator[IssuerServer]:
    server = IssuerServer()
    app = web.Application()
    app.router.add_get("/jwks", server.jwks)
    app.router.add_get("/.well-known/openid-configuration", server.discovery)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = "http://{}:{}".format(*runner.addresses[0])
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def fed(**fields: object) -> AsyncIterator[JwksFeed]:
    feed = JwksFeed([gen.issuer(**fields)], SETTINGS, clock=lambda: verifying.NOW)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def asked(feed: JwksFeed, token: str | None = None) -> object:
    assert feed.tokens is not None
    return feed.tokens.check(token or gen.token(), Asked(), now=gen.NOW)


async def becomes(feed: JwksFeed, kind: type[Accepted] | Refused, token: str | None = None) -> None:
    """Wait until the token is accepted, or refused like that."""
    async with asyncio.timeout(20):
        while not (isinstance(asked(feed, token), kind) if isinstance(kind, type) else asked(feed, token) == kind):  # noqa: ASYNC110  nobody tells
            await asyncio.sleep(0.01)


async def fetched(server: IssuerServer, times: int) -> None:
    """Wait for so many fetches more."""
    goal = server.fetches + times
    async with asyncio.timeout(20):
        while server.fetches < goal:  # noqa: ASYNC110  as above
            await asyncio.sleep(0.01)


async def test_keys_are_found_by_the_issuers_discovery_document() -> None:
    async with serving() as server, fed(issuer=server.url) as feed:
        await becomes(feed, Accepted, gen.token(iss=server.url))


async def test_a_discovery_document_of_another_issuer_is_not_believed() -> None:
    async with serving() as server:
        server.says_issuer = gen.ISSUER
        async with fed(issuer=server.url) as feed:
            await asyncio.sleep(0.5)
            assert (server.fetches, asked(feed, gen.token(iss=server.url))) == (0, Refused(Refusal.NO_ISSUER_KEYS))


async def test_a_new_key_is_fetched_when_a_token_names_it() -> None:
    slow = SETTINGS.model_copy(update={"issuer_refresh_interval": timedelta(hours=1)})
    async with serving() as server:
        feed = JwksFeed([gen.issuer(jwksURL=f"{server.url}/jwks")], slow, clock=lambda: verifying.NOW)
        running = asyncio.create_task(feed.run())
        await becomes(feed, Accepted)
        server.keys = {"keys": [gen.public(gen.key("RS256", "k2"))]}
        await becomes(feed, Accepted, gen.token(by=gen.key("RS256", "k2"), header={"kid": "k2"}))
        assert server.fetches == 2
        assert asked(feed) == Refused(Refusal.TOKEN)
        running.cancel()


async def test_guessed_key_names_do_not_make_anybody_ask_more_often() -> None:
    spaced = SETTINGS.model_copy(update={"issuer_refresh_spacing": timedelta(seconds=1), "issuer_refresh_interval": timedelta(hours=1)})
    async with serving() as server:
        feed = JwksFeed([gen.issuer(jwksURL=f"{server.url}/jwks")], spaced, clock=lambda: verifying.NOW)
        running = asyncio.create_task(feed.run())
        await becomes(feed, Accepted)
        for number in range(300):
            asked(feed, gen.token(header={"kid": f"guess-{number}"}))
            await asyncio.sleep(0.001)
        assert server.fetches <= 2
        running.cancel()


FAULTS = {
    "500": lambda: web.Response(status=500),
    "404": lambda: web.json_response(GOOD, status=404),
    "redirect": lambda: web.Response(status=302, headers={"Location": "https://evil.example.com/jwks"}),
    "no JSON": lambda: web.Response(text="<html>"),
    "no keys": lambda: web.json_response({"keys": []}),
    "shared secret": lambda: web.json_response({"keys": [{"kty": "oct", "kid": "k1", "k": "c2VjcmV0"}]}),
    "too long": lambda: web.Response(text=json.dumps(GOOD) + " " * MOST_BYTES),
    "nested": lambda: web.Response(text="[" * 100_000),
    "no UTF-8": lambda: web.Response(body=b'{"keys": "\xff"}'),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_last_good_keys_count_whatever_the_issuer_answers(fault: str) -> None:
    async with serving() as server, fed(jwksURL=f"{server.url}/jwks") as feed:
        await becomes(feed, Accepted)
        server.answer = FAULTS[fault]()
        await fetched(server, 1)
        await asyncio.sleep(0.05)
        assert isinstance(asked(feed), Accepted)
        server.answer = None
        server.keys = {"keys": [gen.public(gen.key("RS256", "k2"))]}
        await becomes(feed, Refused(Refusal.TOKEN))  # and it goes on asking


async def test_an_issuer_that_hangs_is_given_up_and_asked_again() -> None:
    hurried = SETTINGS.model_copy(update={"request_timeout": timedelta(milliseconds=200)})
    async with serving() as server:
        server.delay = 2
        feed = JwksFeed([gen.issuer(jwksURL=f"{server.url}/jwks")], hurried, clock=lambda: verifying.NOW)
        running = asyncio.create_task(feed.run())
        await fetched(server, 1)
        server.delay = 0
        await becomes(feed, Accepted)
        running.cancel()


async def test_an_issuer_that_is_not_there_does_not_stop_the_others() -> None:
    async with serving() as server:
        issuers = [gen.issuer(name="away", issuer="https://localhost:1"), gen.issuer(jwksURL=f"{server.url}/jwks")]
        feed = JwksFeed(issuers, SETTINGS, clock=lambda: verifying.NOW)
        running = asyncio.create_task(feed.run())
        await becomes(feed, Accepted)
        assert asked(feed, gen.token(iss="https://localhost:1")) == Refused(Refusal.NO_ISSUER_KEYS)
        running.cancel()


async def test_keys_in_a_file_are_read_again_when_they_change(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps(GOOD))
    async with fed(jwksFile=str(file)) as feed:
        await becomes(feed, Accepted)
        file.write_text(json.dumps({"keys": [gen.public(gen.key("RS256", "k2"))]}))
        await becomes(feed, Refused(Refusal.TOKEN))


def test_without_issuers_no_door_looks_at_tokens() -> None:
    assert JwksFeed((), SETTINGS, clock=lambda: verifying.NOW).tokens is None
