"""What went wrong with the cluster, in words that say how to mend it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from keyturn.base.errors import Conflict, KeyturnError, OutcomeUnknown, RetryLater
from keyturn.cli.exit_code import ExitCode
from keyturn.cluster.api_errors import AlreadyExists, Forbidden, Invalid, NotFound, Unauthorized


@dataclass(frozen=True, slots=True)
class Failure:
    """A sentence for people and a code for scripts."""

    sentence: str
    code: ExitCode


def failure_of(error: KeyturnError) -> Failure:
    """Explain an error that ended a command, or one key's part of it."""
    text = str(error)
    match error:
        case Forbidden():
            return Failure(f"Not allowed: {_refusal(text)}{_hint_for_forbidden(error)}", ExitCode.NOT_ALLOWED)
        case Unauthorized():
            return Failure(f"The cluster does not know you: {text}. Log in again, or choose another --context", ExitCode.NOT_ALLOWED)
        case NotFound() if "apikeys" in text and "apikeys.keyturn.dev" not in text:
            return Failure(
                "This cluster has no ApiKeys. Install Keyturn, or the resource alone: keyturn crds | kubectl apply --server-side -f -",
                ExitCode.FAILED,
            )
        case NotFound():
            return Failure(f"{_refusal(text)}. To see what there is: keyturn get -A", ExitCode.FAILED)
        case AlreadyExists():
            return Failure(f"{_refusal(text)}. To see it: keyturn describe; for another key choose another name", ExitCode.FAILED)
        case Invalid():
            return Failure(f"The API server refused it: {_refusal(text)}", ExitCode.FAILED)
        case Conflict():
            return Failure(f"Somebody changed it at the same moment: {_refusal(text)}. Try again", ExitCode.FAILED)
        case OutcomeUnknown():
            return Failure(f"Nobody knows whether it worked: {text}. Look with keyturn get, then try again", ExitCode.FAILED)
        case RetryLater():
            return Failure(f"The API server cannot be reached: {text}. Try: kubectl cluster-info", ExitCode.FAILED)
        case _:
            return Failure(text, ExitCode.FAILED)


def worst(codes: list[ExitCode]) -> ExitCode:
    """The one code for several: not being allowed outweighs another failure."""
    return max(codes, default=ExitCode.FINE)


def _hint_for_forbidden(error: Forbidden) -> str:
    if error.policy:
        return f" (admission policy {error.policy})"
    if error.quota_exceeded or error.namespace_terminating:
        return ""
    return ". Ask for a role of Keyturn's in this namespace"


def _refusal(text: str) -> str:
    """The API server's own sentence, without our verb and code in front: `patch apikeys a/b: 403 Forbidden: <sentence>`."""
    head, code, sentence = [*text.split(": ", 2), "", ""][:3]
    return sentence if head and code and sentence else text
