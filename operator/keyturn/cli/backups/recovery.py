"""What is wrong with a restored cluster, compared with its audit log, and what would put it right. Pure; `recover_command.py` does it.

A key that the log says ended, and that a record calls live, ends for good. One that was on its way out when the log ended, and that a
record calls Active, is replaced: its successor is known to nobody any more. Numbers go on above the highest one that the log knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.base.wording import counted
from keyturn.cli.backups.audit_history import AuditHistory, KeyHistory
from keyturn.cli.table import Cell, render_table
from keyturn.keys.record import Record

HEADINGS: Final = ("NAMESPACE", "NAME", "VERSION", "KEY ID", "FATE", "NEXT ABOVE", "WORKLOADS TO RESTART")
_COLORS: Final = {"dead": "red", "replaced": "yellow"}
LARGEST: Final = 1000
"""Key IDs in one ApiKeyRevocation: the schema's limit."""
NAME_PREFIX: Final = "recovered-"
"""Of every ApiKeyRevocation that is created for what a log knows."""
NOTE: Final = "keyturn recover: the audit log says so, and the records of the cluster are older"


@dataclass(frozen=True, slots=True)
class Correction:
    """One ApiKey whose record is older than what the log knows."""

    key: Key
    highest: int
    """The highest number known to the log, where the record knows less; otherwise 0."""
    dead: tuple[tuple[int, str], ...] = ()
    """Number and key ID of versions that are live in the record, and ended by the log."""
    replaced: tuple[tuple[int, str], ...] = ()
    """Likewise of versions that had a successor."""
    workloads: tuple[str, ...] = ()
    """Those that use the Secret, where the Secret gets a new key; `?`: they may not be read."""

    @property
    def gets_a_new_key(self) -> bool:
        """Whether what the Secret holds is not what it should hold."""
        return bool(self.dead or self.replaced)


def corrections(records: Iterable[Record], histories: Mapping[tuple[str, Key], KeyHistory]) -> list[Correction]:
    """What must be put right, by namespace and name. What another installation did with an ApiKey of that name counts for nothing."""
    found = [_correction(record, histories.get((record.installation, Key(record.namespace, record.name)))) for record in records]
    return sorted((each for each in found if each is not None), key=lambda each: each.key)


@dataclass(frozen=True, slots=True)
class Ours:
    """How much of a log is about this installation, as the records of the cluster name it."""

    lines: int
    complaint: str
    """What to say of the rest; empty: it is all ours, but for what is no audit line."""
    is_foreign: bool = False
    """There are records, and none of the log is about them. Without a record, as before a backup is put back, nobody can tell."""


def ours(history: AuditHistory, records: Iterable[Record], *, of_backup: str = "") -> Ours:
    """Compare the two. `of_backup`: the installation of the records that are put back; in a dry run none of them tells of it yet."""
    here = {record.installation for record in records} | ({of_backup} if of_backup else set())
    found = sum(history.of_installation[each] for each in here)
    others = sorted(history.of_installation.keys() - here)
    if found and not others:
        return Ours(found, "")
    known = f"this installation ({', '.join(sorted(here))})" if here else "this installation, of which no record tells"
    rest = f". What is of {', '.join(others)} counts for nothing" if others else ""
    return Ours(found, f"About keys of {known}: {found} of {counted(history.lines, 'line')}{rest}", bool(here) and not found)


def _correction(record: Record, history: KeyHistory | None) -> Correction | None:
    if history is None:
        return None
    dead = tuple((entry.number, entry.key_id) for entry in record.versions if entry.key_id in history.ended)
    replaced = tuple(
        (entry.number, entry.key_id)
        for entry in record.versions
        if entry.state is VersionState.ACTIVE and entry.not_after is None and history.is_superseded(entry.key_id)
    )
    highest = history.highest if history.highest > record.highest else 0
    if not (dead or replaced or highest):
        return None
    return Correction(Key(record.namespace, record.name), highest, dead, replaced)


def revocations(found: Iterable[Correction], *, now: datetime) -> list[dict[str, object]]:
    """The ApiKeyRevocations that end what must end: at once what is dead, after its successor what is replaced."""
    found = list(found)
    dead = [key_id for each in found for _, key_id in each.dead]
    replaced = [key_id for each in found for _, key_id in each.replaced]
    time = f"{now:%Y%m%d-%H%M%S}"
    return [
        *(_revocation(f"{NAME_PREFIX}{time}-{part}", ids, mode="Immediate") for part, ids in enumerate(_chunks(dead))),
        *(_revocation(f"{NAME_PREFIX}replaced-{time}-{part}", ids, mode="Replace") for part, ids in enumerate(_chunks(replaced))),
    ]


def _chunks(key_ids: list[str]) -> list[list[str]]:
    return [key_ids[start : start + LARGEST] for start in range(0, len(key_ids), LARGEST)]


def _revocation(name: str, key_ids: list[str], *, mode: str) -> dict[str, object]:
    spec = {"keyIDs": key_ids, "mode": mode, "reason": "Superseded", "note": NOTE}
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": name}, "spec": spec}


def corrections_table(found: Iterable[Correction], *, for_terminal: bool) -> str:
    """A row for each version that ends, and one for a key of which only the number is raised."""
    return render_table(HEADINGS, [row for each in found for row in _rows(each)], for_terminal=for_terminal)


def _rows(each: Correction) -> list[list[Cell]]:
    fates = [(*version, "dead") for version in each.dead] + [(*version, "replaced") for version in each.replaced]
    above, workloads = str(each.highest) if each.highest else "", ", ".join(each.workloads)
    return [
        [
            Cell(each.key.namespace), Cell(each.key.name), Cell(str(number) if number else ""), Cell(key_id),
            Cell(fate, color=_COLORS.get(fate)), Cell(above), Cell(workloads),
        ]
        for number, key_id, fate in fates or [(0, "", "kept")]
    ]  # fmt: skip


def corrections_json(found: Iterable[Correction], *, revocations: Iterable[str], restored: Iterable[str]) -> dict[str, object]:
    """The same for scripts. `revocations`: names of those created; `restored`: of those that were in the folder and are there again."""
    return {
        "apiKeys": [
            {
                "namespace": each.key.namespace,
                "name": each.key.name,
                "highestVersion": each.highest or None,
                "dead": [{"number": number, "keyID": key_id} for number, key_id in each.dead],
                "replaced": [{"number": number, "keyID": key_id} for number, key_id in each.replaced],
                "getsNewKey": each.gets_a_new_key,
                "workloadsToRestart": list(each.workloads),
            }
            for each in found
        ],
        "revocationsCreated": list(revocations),
        "revocationsRestored": list(restored),
    }
