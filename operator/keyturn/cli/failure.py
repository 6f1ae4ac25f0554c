"""What went wrong with the cluster, in words that say how to mend it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from keyturn.base.errors import Conflict, KeyturnError, OutcomeUnknown, RetryLater
from keyturn.cli.exit_code import ExitCode
from keyturn.cluster.api_errors import AlreadyExists, Forbidden, Invalid, NotFound, Unauthorized


@dataclass(frozen=True, slots=True)
class Failure:
    """A sentence for people and a code for scripts."""

    sentence: str
    code: ExitCode


_NO_SUCH_KIND: Final = (
    "This cluster has no ApiKeys. Install Keyturn, or the resource alone: keyturn crds | kubectl apply --server-side -f -"
)

_NO_SUCH_PRODUCTS: Final = (
    "This cluster has no ApiProducts: Keyturn is older than they are. Upgrade it, or the resources alone: "
    "keyturn crds | kubectl apply --server-side -f -"
)

_SENTENCES: Final[tuple[tuple[type[KeyturnError], str], ...]] = (
    (NotFound, "{refusal}{there}. To see what there is: keyturn get{place}"),
    (AlreadyExists, "{refusal}{there}. Choose another name, or look at it: keyturn describe{name}{place}"),
    (Invalid, "The API server refused it: {refusal}"),
    (Conflict, "Somebody changed it at the same moment: {refusal}. Try again"),
    (OutcomeUnknown, "Nobody knows whether it worked: {text}. Look with keyturn get, then try again"),
    (RetryLater, "The API server cannot be reached: {text}. Try: kubectl cluster-info"),
)
"""The first kind that fits is taken: special ones stand before their families."""

_ABOUT: Final = re.compile(r"\w+ apikeys(?:/\w+)? ([^/: ]+)")
"""`get apikeys team-a/billing: 404 …`, `create apikeys team-a: 409 …`: in which namespace."""
_NAMED: Final = re.compile(r'apikeys\.keyturn\.dev "([^"]+)"')


def failure_of(error: KeyturnError) -> Failure:
    """Explain an error that ended a command, or one key's part of it."""
    text = str(error)
    match error:
        case Forbidden():
            return Failure(f"Not allowed: {_refusal(text)}{_hint(error)}", ExitCode.NOT_ALLOWED)
        case Unauthorized():
            return Failure(f"The cluster does not know you: {text}. Log in again, or choose another --context", ExitCode.NOT_ALLOWED)
        case NotFound():
            return Failure(_what_is_not_there(text), ExitCode.FAILED)
        case AlreadyExists() if "apikeyrevocations" in text:  # its name has the second in which it was made
            return Failure(f"{_refusal(text)}: somebody revoked the same a moment ago. To do it once more, try again", ExitCode.FAILED)
        case _:
            return Failure(_sentence(error, text), ExitCode.FAILED)


def _what_is_not_there(text: str) -> str:
    refusal = _refusal(text)
    if refusal.startswith("namespaces "):  # it says so of what is to be made in one, and never of what is looked for
        return f"{refusal}. Make it, or name another one by -n"
    if "apiproducts" in text:
        return f"{refusal}. To see what there is: keyturn products -A" if "apiproducts.keyturn.dev" in text else _NO_SUCH_PRODUCTS
    if "apikeyrevocations" in text:
        return f"{refusal}. To see what there is: kubectl get apikeyrevocations"
    return _NO_SUCH_KIND if "apikeys" in text and "apikeys.keyturn.dev" not in text else _sentence(NotFound(text), text)


def _sentence(error: KeyturnError, text: str) -> str:
    sentence = next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "{text}")
    about, named = _ABOUT.match(text), _NAMED.search(text)
    there, place = (f" in namespace {about[1]}", f" -n {about[1]}") if about else ("", "")
    return sentence.format(text=text, refusal=_refusal(text), there=there, place=place, name=f" {named[1]}" if named else "")


def worst(codes: list[ExitCode]) -> ExitCode:
    """The one code for several: not being allowed outweighs another failure."""
    return max(codes, default=ExitCode.FINE)


def _hint(error: Forbidden) -> str:
    if error.denied_by:
        return f" ({error.denied_by})"
    if error.quota_exceeded or error.namespace_terminating:
        return ""
    return ". Ask for one of Keyturn's roles in this namespace"


def _refusal(text: str) -> str:
    """The API server's own sentence, without our verb and code in front: `patch apikeys a/b: 403 Forbidden: <sentence>`."""
    head, code, sentence = [*text.split(": ", 2), "", ""][:3]
    return sentence if head and code and sentence else text
