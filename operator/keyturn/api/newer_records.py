"""What a verifier knows of a record better than the cluster: lines of text in a ConfigMap. `docs/reference/newer-records.md` is about it.

Written by `verifier/service/newer_records.py`, read by `cluster/replica_reports.py`. A line carries the record's signed bytes where the
verifier has them, and is believed on their account alone; otherwise it says which numbers are dead, which can end keys and revive none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from keyturn.base.names import is_record_name

FORMAT: Final = "1"
FORMAT_ENTRY: Final = "format"
RECORDS_ENTRY: Final = "records"
LARGEST: Final = 512 * 1024
"""Characters in one report; the API server refuses more than 1 MiB. The rest is told when the first ones are settled."""


@dataclass(frozen=True, slots=True)
class NewerRecord:
    """One record as a verifier has it in force, where the cluster holds an older one, or none."""

    record_name: str
    serial: int
    highest: int
    """The highest version number given out."""
    live: frozenset[str]
    """Key IDs of the versions in force: every other number up to `highest` is dead."""
    data: bytes = b""
    signature: bytes = b""


def write_newer_records(newer: Iterable[NewerRecord]) -> str:
    """One JSON object a line, as many as there is room for."""
    lines: list[str] = []
    room = LARGEST
    for each in newer:
        line = _line(each)
        room -= len(line)
        if room < 0:
            break
        lines.append(line)
    return "".join(lines)


def read_newer_records(text: str) -> Iterator[NewerRecord]:
    """Read what `write_newer_records` wrote. A line that cannot be read counts as not written."""
    for line in text.splitlines():
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            continue
        match fields:
            case {"name": str(name), "serial": int(serial), "highest": int(highest), "live": [*live]} if min(
                serial, highest
            ) >= 0 and is_record_name(name):
                key_ids = frozenset(key_id for key_id in live if isinstance(key_id, str))
                yield NewerRecord(name, serial, highest, key_ids, _bytes(fields.get("record")), _bytes(fields.get("signature")))


def _line(each: NewerRecord) -> str:
    fields: dict[str, object] = {"name": each.record_name, "serial": each.serial, "highest": each.highest, "live": sorted(each.live)}
    if each.data:
        fields |= {"record": each.data.decode("latin-1"), "signature": each.signature.decode("latin-1")}
    return json.dumps(fields, separators=(",", ":")) + "\n"


def _bytes(text: object) -> bytes:
    try:
        return text.encode("latin-1") if isinstance(text, str) else b""
    except UnicodeEncodeError:
        return b""
