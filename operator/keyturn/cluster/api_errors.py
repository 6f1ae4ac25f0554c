"""What the API server's refusals mean to us. No exception here holds a body, a header, a patch or a token.

`client.py` raises these; `controller/workqueue.py` knows the families from `base/errors.py` only.
A Status answers with words of its own (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/); where the
request was about a Secret those may quote values, and only the reason and the names of fields are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keyturn.base.errors import Conflict, KeyturnError, OutcomeUnknown, RetryLater
from keyturn.cluster.request_target import Target

MESSAGE_LIMIT: Final = 512
_POLICY: Final = re.compile(r"ValidatingAdmissionPolicy '([^']{1,253})'")
_WEBHOOK: Final = re.compile(r'^admission webhook "([^"]{1,253})" denied the request')
_WRITES: Final = frozenset({"create", "update", "patch", "delete"})


class NotFound(RetryLater):
    """A 404: the object, its namespace or its kind is not there."""

    def __init__(self, message: str, *, object_is_gone: bool = False) -> None:
        super().__init__(message)
        self.object_is_gone = object_is_gone
        """The API server looked for this very object: its kind is served. Otherwise the kind may be missing, or a proxy has answered."""


class AlreadyExists(Conflict):
    """A 409 on create: somebody was first."""


class Gone(RetryLater):
    """A 410: the resource version or the continue token is too old. List again."""


class Unauthorized(RetryLater):
    """A 401 that fresh credentials did not cure."""


class Forbidden(RetryLater):
    """A 403: RBAC, admission, quota, or a namespace that is going away. An administrator can cure it, so it is tried again."""

    def __init__(
        self, message: str, *, namespace_terminating: bool = False, quota_exceeded: bool = False, denied_by: str | None = None
    ) -> None:
        super().__init__(message)
        self.namespace_terminating = namespace_terminating
        self.quota_exceeded = quota_exceeded
        self.denied_by = denied_by
        """The admission policy or webhook that said no, if one did: its kind and name."""


class Invalid(KeyturnError):
    """A 400 or 422: the object as sent will never be accepted. `fields` are the paths that were wrong, `message` is safe to show."""

    def __init__(self, message: str, *, fields: tuple[str, ...] = (), denied_by: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields
        self.denied_by = denied_by
        """As in Forbidden. A policy's refusals are 422 unless it chose another reason; a webhook chooses any code."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A Status, stripped to what may be known of it."""

    code: int
    reason: str
    message: str
    fields: tuple[str, ...]
    causes: frozenset[str]
    denied_by: str | None
    quota_exceeded: bool
    names_object: bool = False


def read_refusal(code: int, body: bytes, *, target: Target) -> Refusal:
    """Read an error answer of any shape: a Status, or text from a proxy in between. Never raises."""
    status = _decoded(body)
    message = _text(status.get("message"))
    details = status.get("details")
    causes = details.get("causes") if isinstance(details, dict) else None
    known = [cause for cause in causes if isinstance(cause, dict)] if isinstance(causes, list) else []
    return Refusal(
        code=code,
        reason=_text(status.get("reason")),
        message="" if target.holds_secrets else message[:MESSAGE_LIMIT],
        fields=tuple(dict.fromkeys(_text(cause.get("field")) for cause in known if cause.get("field"))),
        causes=frozenset(_text(cause.get("reason")) for cause in known),
        denied_by=_denier(message),
        quota_exceeded="exceeded quota" in message,
        names_object=isinstance(details, dict) and bool(target.name) and details.get("name") == target.name,
    )


def refusal_error(refusal: Refusal, *, verb: str, target: Target, after_seconds: float | None = None) -> KeyturnError:
    """The exception for an answer of 400 and above."""
    sentence = _sentence(refusal, verb=verb, target=target)
    if refusal.fields == ("metadata.uid",):
        # A patch that names a uid and meets another object: the API server calls it a change of an immutable field.
        return Conflict(sentence)
    match refusal.code:
        case 400 | 413 | 415 | 422:
            return Invalid(sentence, fields=refusal.fields, denied_by=refusal.denied_by)
        case 401:
            return Unauthorized(sentence)
        case 403:
            terminating = "NamespaceTerminating" in refusal.causes
            return Forbidden(
                sentence, namespace_terminating=terminating, quota_exceeded=refusal.quota_exceeded, denied_by=refusal.denied_by
            )
        case 404:
            return NotFound(sentence, object_is_gone=refusal.names_object)
        case 409:
            return AlreadyExists(sentence) if refusal.reason == "AlreadyExists" else Conflict(sentence)
        case 410:
            return Gone(sentence)
        case _:
            return _server_error(refusal, sentence, verb=verb, after_seconds=after_seconds)


def _server_error(refusal: Refusal, sentence: str, *, verb: str, after_seconds: float | None) -> RetryLater:
    if refusal.code in {500, 502, 504} and verb in _WRITES:  # etcd or a proxy gave up waiting: the write may still have happened
        return OutcomeUnknown(sentence, after_seconds=after_seconds)
    return RetryLater(sentence, after_seconds=after_seconds)


def no_answer_error(verb: str, *, target: Target, what: str, sent: bool) -> RetryLater:
    """The exception for a request without an answer. `what` is our own word for it; `sent` tells whether the server may have acted."""
    sentence = f"{verb} {target}: {what}"
    return OutcomeUnknown(sentence) if sent and verb in _WRITES else RetryLater(sentence)


def _sentence(refusal: Refusal, *, verb: str, target: Target) -> str:
    parts = [f"{verb} {target}: {refusal.code} {refusal.reason}".rstrip()]
    if refusal.message:
        parts.append(refusal.message)
    elif refusal.fields or refusal.denied_by:
        parts.append(", ".join([*refusal.fields, *([f"denied by {refusal.denied_by}"] if refusal.denied_by else [])]))
    return ": ".join(parts)


def _denier(message: str) -> str | None:
    """Both kinds say it in their message alone; what stands behind it are their own words, and may quote a value."""
    for kind, pattern in (("ValidatingAdmissionPolicy", _POLICY), ("admission webhook", _WEBHOOK)):
        found = pattern.search(message)
        if found is not None:
            return f"{kind} {found[1]}"
    return None


def _decoded(body: bytes) -> Mapping[str, object]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
