"""One door for every application: headers in, verdict out.

`asgi.py` and `wsgi.py` are its two frames; a plain call works as well: make a Guard with what is known of the keys, `ask` it with a
request's headers, and match on what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from keyturn.base.clock import Clock
from keyturn.base.names import DEFAULT_AUDIENCE
from keyturn.verifier.check import Asked, View, check
from keyturn.verifier.limits import Limiter
from keyturn.verifier.presented import AUTHORIZATION, Presented, Sources, find_token
from keyturn.verifier.verdicts import Accepted, CheckVerdict, Refusal, Refused

_BEARER: Final = AUTHORIZATION.decode()
_DOTS: Final = 2


class Judged(NamedTuple):
    """What a gateway must know of one request. A tuple, since one is made for each."""

    verdict: CheckVerdict
    header: str | None
    """The one that carried the key, in lower case: not to be passed on. None: none did, or more than one."""


class Tokens(Protocol):
    """What knows of bearer tokens that are no keys of ours: `json_web_tokens.JsonWebTokens`."""

    def check(self, token: str, asked: Asked, *, now: float) -> CheckVerdict:
        """Decide about one; never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Guard:
    """What protects one API, or all of a gateway's: `ask` for the first, `judge` where each route says what it asks for."""

    view: View
    clock: Clock
    audience: str = DEFAULT_AUDIENCE
    """Keys for other audiences are refused."""
    scopes: tuple[str, ...] = ()
    """Needed by every request."""
    sources: Sources = field(default_factory=Sources)
    on_verdict: Callable[[CheckVerdict], None] | None = None
    """Told of every verdict: for counters and audits."""
    on_use: Callable[[str], object] | None = None
    """Told the key ID of every good key, one that is over its limit too: `Usage.note`. As cheap as that, for it is called each time."""
    limiter: Limiter | None = None
    """Counts the requests of accepted keys; None: nothing is limited."""
    tokens: Tokens | None = None
    """Asked about a bearer that is no key of ours but looks like a JSON Web Token; None: only keys are accepted."""

    def __post_init__(self) -> None:
        Asked(audience=self.audience, scopes=self.scopes)  # a scope that is none: said now, not at the first request

    def ask(
        self,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        scopes: tuple[str, ...] = (),
        address: str | None = None,
        query: bytes = b"",
    ) -> CheckVerdict:
        """May this request pass? `scopes`: what it needs beyond the API's own. `address`: the client's, from somebody trustworthy.

        `query`: the URL's, which is looked at only where `sources.query` says so.
        """
        return self._judge(find_token(headers, self.sources, query=query), Asked(self.audience, self.scopes + scopes, address)).verdict

    def judge(self, headers: Iterable[tuple[bytes, bytes]], asked: Asked) -> Judged:
        """As `ask`, for what a route asks for: the Guard's own audience and scopes do not count."""
        return self._judge(find_token(headers, self.sources), asked)

    def _judge(self, found: Presented | Refused, asked: Asked) -> Judged:
        judged = Judged(self._decide(found, asked), found.header or None) if isinstance(found, Presented) else Judged(found, None)
        if self.on_verdict is not None:
            self.on_verdict(judged.verdict)
        return judged

    def _decide(self, found: Presented, asked: Asked) -> CheckVerdict:
        now = self.clock().timestamp()
        verdict = check(found.token, asked, self.view, now=now)
        if isinstance(verdict, Accepted):
            if self.on_use is not None:
                self.on_use(verdict.key_id)
        elif self.tokens is not None and found.header == _BEARER and looks_like_token(found.token):
            verdict = self.tokens.check(found.token, asked, now=now)
        if self.limiter is None or not isinstance(verdict, Accepted):
            return verdict
        return _counted(verdict, self.limiter, now=now)


def looks_like_token(text: str) -> bool:
    """Whether a bearer is worth a look: a JSON object in base64url, and two more parts. No key of ours has a dot."""
    return text.startswith("eyJ") and text.count(".") == _DOTS


def _counted(accepted: Accepted, limiter: Limiter, *, now: float) -> CheckVerdict:
    quota = limiter.spend(accepted.record_name, accepted.limit, now=now)
    if quota is None:
        return accepted
    if quota.may_pass:
        return Accepted(*accepted[:-1], quota)
    return Refused(Refusal.LIMITED, accepted.key_id, quota=quota)
