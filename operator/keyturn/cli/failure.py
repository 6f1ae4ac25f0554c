"""What went wrong with the cluster, in words that say how to mend it. Pure."""

from __future__ import annotations

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
    (NotFound, "{refusal}. To see what there is: keyturn get"),
    (AlreadyExists, "{refusal}. Choose another name, or look at it: keyturn describe"),
    (Invalid, "The API server refused it: {refusal}"),
    (Conflict, "Somebody changed it at the same moment: {refusal}. Try again"),
    (OutcomeUnknown, "Nobody knows whether it worked: {text}. Look with keyturn get, then try again"),
    (RetryLater, "The API server cannot be reached: {text}. Try: kubectl cluster-info"),
)
"""The first kind that fits is taken: special ones stand before their families."""


def failure_of(error: KeyturnError) -> Failure:
    """Explain an error that ended a command, or one key's part of it."""
    text = str(error)
    match error:
        case Forbidden():
            return Failure(f"Not allowed: {_refusal(text)}{_hint(error)}", ExitCode.NOT_ALLOWED)
        case Unauthorized():
            return Failure(f"The cluster does not know you: {text}. Log in again, or choose another --context", ExitCode.NOT_ALLOWED)
        case NotFound() if "apiproducts" in text and "apiproducts.keyturn.dev" not in text:
            return Failure(_NO_SUCH_PRODUCTS, ExitCode.FAILED)
        case NotFound() if "apiproducts" in text:
            return Failure(f"{_refusal(text)}. To see what there is: keyturn products -A", ExitCode.FAILED)
        case NotFound() if "apikeys" in text and "apikeys.keyturn.dev" not in text:
            return Failure(_NO_SUCH_KIND, ExitCode.FAILED)
        case _:
            sentence = next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), "{text}")
            return Failure(sentence.format(text=text, refusal=_refusal(text)), ExitCode.FAILED)


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
