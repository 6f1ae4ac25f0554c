"""One door for every application: headers in, verdict out.

`asgi.py` and `wsgi.py` are its two frames; a plain call works as well: make a Guard with what is known of the keys, `ask` it with a
request's headers, and match on what it answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from keyturn.base.clock import Clock
from keyturn.keys.record import DEFAULT_AUDIENCE
from keyturn.verifier.check import Asked, View, check
from keyturn.verifier.presented import Presented, Sources, find_token
from keyturn.verifier.verdicts import CheckVerdict


@dataclass(frozen=True, slots=True)
class Guard:
    """What protects one API."""

    view: View
    clock: Clock
    audience: str = DEFAULT_AUDIENCE
    """Keys for other audiences are refused."""
    scopes: tuple[str, ...] = ()
    """Needed by every request."""
    sources: Sources = field(default_factory=Sources)
    on_verdict: Callable[[CheckVerdict], None] | None = None
    """Told of every verdict: for counters and audits."""

    def __post_init__(self) -> None:
        Asked(audience=self.audience, scopes=self.scopes)  # a scope that is none: said now, not at the first request

    def ask(self, headers: Iterable[tuple[bytes, bytes]], *, scopes: tuple[str, ...] = (), address: str | None = None) -> CheckVerdict:
        """May this request pass? `scopes`: what it needs beyond the API's own. `address`: the client's, from somebody trustworthy."""
        found = find_token(headers, self.sources)
        if isinstance(found, Presented):
            asked = Asked(self.audience, self.scopes + scopes, address)
            verdict: CheckVerdict = check(found.token, asked, self.view, now=self.clock().timestamp())
        else:
            verdict = found
        if self.on_verdict is not None:
            self.on_verdict(verdict)
        return verdict
