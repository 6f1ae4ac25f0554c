"""What a verifier remembers of the one ApiKey in `world.py`, and tells: it is no mock, its rule is that of `verifier/store.py`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from keyturn.keys.record import Record
from keyturn.lifecycle.observed import Attestation
from keyturn.lifecycle.restore import attestation_of


@dataclass(slots=True)
class Memory:
    """A verifier: the newest record it was given, and every key that ended under its eyes."""

    signed: bool
    """Whether it can show the signature."""
    held: Record | None = None
    dead: set[str] = field(default_factory=set)

    def take(self, record: Record, complaints: list[str]) -> None:
        """As `verifier/store.py` does it."""
        held = self.held
        if held is not None:
            live = {entry.key_id for entry in held.versions}
            revived = any(entry.number <= held.highest and entry.key_id not in live for entry in record.versions)
            if record.serial < held.serial or revived or record.highest < held.highest:
                return
            self.dead |= live - {entry.key_id for entry in record.versions}
        self.held = record
        if self.dead & {entry.key_id for entry in record.versions}:
            complaints.append(f"a verifier accepts what was dead: {self.dead & {entry.key_id for entry in record.versions}}")

    def says(self, seen: Record | None) -> tuple[Attestation, ...]:
        """What it knows better than the one who asks."""
        if self.held is None or self.held == seen:
            return ()
        told = attestation_of(self.held)
        return (told if self.signed else replace(told, record=None),)
