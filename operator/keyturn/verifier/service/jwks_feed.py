"""Fetches the public keys of trusted issuers, again and again. After it: `json_web_tokens.py`, which believes the last good ones for a day.

An issuer that does not answer costs nothing but age; only its own tokens end with that, and only then. A token that names a key nobody
has heard of brings the next fetch forward, no matter how many there are: an issuer is asked at most once in `issuer_refresh_spacing`.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

import aiohttp

from keyturn.base.clock import Clock
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.verifier.issuers import DISCOVERY, Issuer, as_secure_url
from keyturn.verifier.json_web_tokens import JsonWebTokens, UnusableKeys
from keyturn.verifier.service import metrics
from keyturn.verifier.service.settings import VerifierSettings

MOST_BYTES: Final = 262_144
"""Of a key set or a discovery document; real ones have a few thousand."""

log = get_logger(__name__)


class FetchFailed(KeyturnError):
    """What came is no answer. The message says what to look at."""


class JwksFeed:
    """One task an issuer, until cancelled."""

    def __init__(self, issuers: Iterable[Issuer], settings: VerifierSettings, *, clock: Clock) -> None:
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._settings, self._clock = settings, clock
        self._wanted = {name: asyncio.Event() for name in self._issuers}
        self._known = JsonWebTokens(self._issuers.values(), on_unknown_key=lambda name: self._wanted[name].set())
        metrics.show_issuers(self._issuers, age=lambda name: clock().timestamp() - self._known.learned(name))

    @property
    def tokens(self) -> JsonWebTokens | None:
        """What a Guard asks about tokens; None: no issuer is trusted."""
        return self._known if self._issuers else None

    async def run(self) -> None:
        """Fetch for ever. No answer of an issuer ends it."""
        async with asyncio.TaskGroup() as tasks:
            for issuer in self._issuers.values():
                tasks.create_task(self._keep(issuer), name=f"keys of {issuer.name}")

    async def _keep(self, issuer: Issuer) -> None:
        spacing = self._settings.issuer_refresh_spacing.total_seconds()
        interval = self._settings.issuer_refresh_interval.total_seconds()
        wanted = self._wanted[issuer.name]
        failures = 0
        while True:
            wanted.clear()
            failures = 0 if await self._refresh(issuer) else failures + 1
            await asyncio.sleep(spacing)
            patience = interval if failures == 0 else min(interval, spacing * 2 ** min(failures, 10))
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await wanted.wait()

    async def _refresh(self, issuer: Issuer) -> bool:
        try:
            count = self._known.learn(issuer.name, await self._fetched(issuer), now=self._clock().timestamp())
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, RecursionError, FetchFailed, UnusableKeys) as error:
            metrics.ISSUER_FETCHES.labels(issuer=issuer.name, result="failed").inc()
            log.warning("Keys of an issuer were not fetched", issuer=issuer.name, problem=str(error) or type(error).__name__)
            return False
        metrics.ISSUER_FETCHES.labels(issuer=issuer.name, result="fetched").inc()
        log.debug("Keys of an issuer were fetched", issuer=issuer.name, keys=count)
        return True

    async def _fetched(self, issuer: Issuer) -> object:
        if issuer.jwks_file is not None:
            return json.loads(await asyncio.to_thread(_content, issuer.jwks_file))
        trust = await asyncio.to_thread(ssl.create_default_context, cafile=issuer.ca_file)
        headers = {}
        if issuer.token_file is not None:
            headers["Authorization"] = f"Bearer {(await asyncio.to_thread(_content, issuer.token_file)).decode().strip()}"
        timeout = aiohttp.ClientTimeout(total=self._settings.request_timeout.total_seconds())
        connector = aiohttp.TCPConnector(ssl=trust, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, headers=headers) as session:
            return await _document(session, issuer.jwks_url or await _discovered(session, issuer))


async def _discovered(session: aiohttp.ClientSession, issuer: Issuer) -> str:
    url = issuer.issuer.rstrip("/") + DISCOVERY
    document = await _document(session, url)
    if not isinstance(document, dict) or document.get("issuer") != issuer.issuer:
        raise FetchFailed(f"{url} is not about {issuer.issuer}: write `issuer` as it stands there, or name jwksURL")
    return as_secure_url(str(document.get("jwks_uri")))


async def _document(session: aiohttp.ClientSession, url: str) -> object:
    """Redirects are not followed: where keys come from is configured, not told."""
    async with session.get(url, allow_redirects=False) as answer:
        if answer.status != 200:  # noqa: PLR2004  RFC 9110's name for it is longer and says no more
            raise FetchFailed(f"{url} answered {answer.status}")
        content = bytearray()
        async for chunk in answer.content.iter_chunked(65_536):
            content += chunk
            if len(content) > MOST_BYTES:
                raise FetchFailed(f"{url} sent more than {MOST_BYTES} bytes")
    return json.loads(content)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise FetchFailed(f"{path} has more than {MOST_BYTES} bytes")
    return content
