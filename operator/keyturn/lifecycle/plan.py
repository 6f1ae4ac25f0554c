"""What `decide` answers: steps as data, each of them one write to the cluster, and when to look again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keyturn.base.version_state import Cause
from keyturn.keys.record import Record


class Change(StrEnum):
    """What a write of the record does; it stands in the record, so that Events and audit lines can be made from it again."""

    STAGED = "Staged"
    """A new version is accepted by verifiers and not yet delivered."""
    ACTIVATED = "Activated"
    """A version was delivered; the one before, if any, is Retiring."""
    RETIRED = "Retired"
    """An old version ended in the ordinary way."""
    REVOKED = "Revoked"
    """A version ended by intent."""
    EXPIRED = "Expired"
    """expirationTime was reached: every version ended."""
    UPDATED = "Updated"
    """Restrictions, expiry, disabled or the deletion policy changed."""
    RENDERED = "Rendered"
    """The credential Secret was rendered anew with the same version."""
    RESTORED = "Restored"
    """A lost record was written again from what the cluster still knows."""
    RECOVERED = "Recovered"
    """The cluster held an older record than verifiers or the operator know: what they know was put back."""
    SETTLED = "Settled"
    """What followed from an older record that was put right is over: one version is left, and its consumers have it."""
    RETAINED = "Retained"
    """The ApiKey is gone, its key stays in force as asked."""
    TAKEN_OVER = "TakenOver"
    """A new ApiKey of the same name took over a retained key."""
    ENDED = "Ended"
    """The ApiKey is gone, all its versions are revoked."""
    FORGOTTEN = "Forgotten"
    """Only the stub that keeps numbers from being reused is left."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Mint `number` and write it into the record as Staged. `base` is the rest of that record, decided already."""

    number: int
    cause: Cause
    base: Record
    create: bool = False
    paced: bool = False
    """It spends a token of the rotation pacer."""


@dataclass(frozen=True, slots=True)
class SaveRecord:
    """Write the record exactly so (serial aside)."""

    record: Record
    create: bool = False
    is_brake: bool = False
    """It ends a leaked key: other keys that leaked go before all that follows here, audit line and Event included."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """Put the held plaintext of `number` into the credential Secret: create it, or replace what it holds."""

    number: int
    key_id: str
    create: bool
    previous_number: int | None = None
    """The version whose plaintext goes into previous-api-key."""


@dataclass(frozen=True, slots=True)
class Seal:
    """Put the held plaintext of `number` into the status, encrypted to `recipient`; it is held no longer then."""

    number: int
    key_id: str
    recipient: str
    expiration_time: datetime


@dataclass(frozen=True, slots=True)
class RenderSecret:
    """Write the credential Secret anew with the plaintext it has: the template or the owner changed."""

    number: int
    key_id: str
    previous_number: int | None = None
    undoes_edit: bool = False
    """Somebody else changed it."""


@dataclass(frozen=True, slots=True)
class Annotate:
    """Set `rollout.keyturn.dev/<ApiKey>: <key ID>` on a workload's pod template, so that it rolls out."""

    kind: str
    name: str
    uid: str
    key_id: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Write the audit line and the Event of the record's last change. Both have names that make a repeat harmless."""

    record: Record


Step = Stage | SaveRecord | Deliver | Seal | RenderSecret | Annotate | Announce


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the key waits for now: a condition reason and a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Plan:
    """The next steps, in order. Empty steps: nothing to do until `look_again_time` or the next change."""

    steps: tuple[Step, ...] = ()
    look_again_time: datetime | None = None
    waits_for: Waiting | None = None
    """Not finished: rotation, rollout or issue under way."""
    stalled: Waiting | None = None
    """A person must act."""
    deferred: Waiting | None = field(default=None)
    """A rotation is due and waits for its turn."""
    awaits_version: int | None = None
    """The record's resourceVersion that verifiers must have in force first: look again when they have."""

    @property
    def is_brake(self) -> bool:
        """Whether other keys go before what follows."""
        return any(isinstance(step, SaveRecord) and step.is_brake for step in self.steps)
