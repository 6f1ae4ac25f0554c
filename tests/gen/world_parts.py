"""What the world of the laws is made of: `world.py` says what happens in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from keyturn.api.v1alpha1.apikey import ApiKeyStatus


class Luck(Enum):
    """How a write's request ends."""

    FINE = "fine"
    NO_ANSWER_BUT_DONE = "no answer, but done"
    NO_ANSWER_NOT_DONE = "no answer, not done"
    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"


class Reports(Enum):
    """What the one verifier says of use."""

    NONE = "there is no verifier"
    UP_TO_NOW = "everything, up to now"
    NOTHING = "nothing, though it lives"


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """The credential Secret: which token it holds, and whose it says it is."""

    uid: str
    version: int
    key_id: str
    token_of: str
    """Key ID of the token that really is in it."""
    template_digest: str
    previous_version: int | None = None

    @property
    def intact(self) -> bool:
        return self.token_of == self.key_id


@dataclass(frozen=True, slots=True)
class Stored:
    """An object with the version of its last write."""

    value: object
    resource_version: int


@dataclass(slots=True)
class Actor:
    """One operator process: an old view, and the plaintexts it minted."""

    name: str
    record: Stored | None = None
    secret: Stored | None = None
    status: ApiKeyStatus | None = None
    held: dict[int, str] = field(default_factory=dict)
    announced: int = 0
    skew: timedelta = timedelta(0)
    """Its clock minus the world's."""

    def crash(self) -> None:
        """Everything in memory is gone."""
        self.held.clear()
        self.announced = 0
