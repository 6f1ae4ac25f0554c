"""The keys by which the API server signs the tokens of ServiceAccounts: fetched from where every account may read them, kept up to date.

With them a gateway's token is verified here (`gatekeeper.py`): no request leaves for it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from keyturn.base.clock import utc_now
from keyturn.base.errors import KeyturnError
from keyturn.base.log_output import get_logger
from keyturn.cluster.client import Client
from keyturn.cluster.raw import text_of
from keyturn.verifier.check import Asked
from keyturn.verifier.issuers import DISCOVERY, Issuer
from keyturn.verifier.json_web_tokens import JsonWebTokens
from keyturn.verifier.service.gatekeeper import TOKEN_AUDIENCE
from keyturn.verifier.verdicts import CheckVerdict, Refusal, Refused

JWKS: Final = "/openid/v1/jwks"
_JWK_SET: Final = "application/jwk-set+json"
_NAME: Final = "kubernetes"
_ALGORITHMS: Final = ("RS256", "ES256", "ES384", "ES512")
"""By any of which an API server may sign."""
_REFRESH_SECONDS: Final = 600.0
_RETRY_SECONDS: Final = 5.0
_NOT_LEARNED: Final = Refused(Refusal.NO_ISSUER_KEYS)

log = get_logger(__name__)


class AccountTokens:
    """Verifies tokens once `keep_learning` has heard of the keys; until then it can say nothing of any."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: JsonWebTokens | None = None
        self._issuer = ""
        self._wanted = asyncio.Event()

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:
        """One token; the subject stands in `record_name`, behind the first dot."""
        return _NOT_LEARNED if self._known is None else self._known.check(token, asked, now=now)

    async def keep_learning(self) -> None:
        """Until cancelled: from time to time, and soon after a token that names a key which is not known."""
        while True:
            self._wanted.clear()
            has_learned = await self._has_learned()
            await asyncio.sleep(_RETRY_SECONDS)  # so seldom at most, whatever tokens name
            if has_learned:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wanted.wait(), _REFRESH_SECONDS)

    async def _has_learned(self) -> bool:
        try:
            await self._learn()
        except (KeyturnError, KeyError, TypeError, ValueError) as error:
            log.warning("The keys of the API server's tokens were not to be had", problem=str(error), seconds=_RETRY_SECONDS)
            return False
        return True

    async def _learn(self) -> None:
        issuer = text_of(await self._client.get(DISCOVERY), "issuer")
        keys = await self._client.get(JWKS, accept=_JWK_SET)
        known = self._known
        if known is None or issuer != self._issuer:
            trusted = Issuer.model_validate({"name": _NAME, "issuer": issuer, "audiences": (TOKEN_AUDIENCE,), "algorithms": _ALGORITHMS})
            known = JsonWebTokens([trusted], on_unknown_key=lambda _name: self._wanted.set())
        known.learn(_NAME, keys, now=utc_now().timestamp())
        self._known, self._issuer = known, issuer
