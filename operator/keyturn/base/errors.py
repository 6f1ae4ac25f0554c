"""The three kinds of failure. What is neither of these two is a bug: traceback, counter, back-off."""

from __future__ import annotations


class KeyturnError(Exception):
    """Every error this package raises on purpose."""


class RetryLater(KeyturnError):
    """It passes by itself: the caller backs off and tries again. `after_seconds` is the server's own advice, if any."""

    def __init__(self, message: str, *, after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.after_seconds = after_seconds


class Conflict(RetryLater):
    """A 409: somebody wrote first. Observe again at once."""


class OutcomeUnknown(RetryLater):
    """The request may or may not have had its effect (time-out, broken connection). Observe again before the next write."""


class UserMustAct(KeyturnError):
    """Nothing changes until a person does something: `reason` is a condition reason, the message says what to do."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason
