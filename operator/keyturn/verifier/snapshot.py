"""What a verifier knew, in a file, so that it can start while the API server is away. Format and reading; no clock.

One JSON value a line, each of them complete: a file that was cut off loses its last line only, and a line is appended for each change.

    {"keyturn-snapshot": 1}
    ["team-a.billing", "<the record's bytes>", "<their signature>"]      the newest of a name counts
    {"heard": 1764000000.0}                                                the last one counts
    {"vanished": "team-a.billing", "at": 1764000000.0}

Every record carries the operator's signature, and is believed only on its account: who can write the file can leave records out or put
older ones back, as far as nothing newer is known, but cannot make any up. Instants are unix seconds, and are not signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from keyturn.verifier.store import OfferedRecord

FORMAT: Final = 1
_FORMAT_NAME: Final = "keyturn-snapshot"


class NoSnapshot(Exception):
    """There is no file, or it holds something else. Nothing is lost: everything is read from the API server."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The API server was heard from at this instant."""

    at: float


@dataclass(frozen=True, slots=True)
class Vanished:
    """A record was found to be gone from the cluster, and stayed in force."""

    record_name: str
    at: float


Entry = OfferedRecord | Heard | Vanished


def header_line() -> bytes:
    """The first line."""
    return _line({_FORMAT_NAME: FORMAT})


def entry_line(entry: Entry) -> bytes:
    """One entry as it stands in the file."""
    match entry:
        case OfferedRecord(record_name, data, signature):
            return _line([record_name, data.decode("latin-1"), signature.decode("latin-1")])
        case Heard(at):
            return _line({"heard": at})
        case Vanished(record_name, at):
            return _line({"vanished": record_name, "at": at})


def is_header(line: bytes) -> bool:
    """Whether a first line is one of a format that is known here."""
    return _value(line) == {_FORMAT_NAME: FORMAT}


def read_entry(line: bytes) -> Entry | Literal["unreadable"]:
    """One line behind the first."""
    return _entry(_value(line)) or "unreadable"


def read_snapshot(file: Path) -> Iterator[Entry | Literal["unreadable"]]:
    """Every entry in the order it was written. Raises NoSnapshot before the first one."""
    try:
        with file.open("rb") as reader:
            if not is_header(reader.readline()):
                raise NoSnapshot(f"{file} is no snapshot of format {FORMAT}")
            for line in reader:
                yield read_entry(line)
    except OSError as error:
        raise NoSnapshot(f"{file} cannot be read: {error.strerror}") from None


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def _value(line: bytes) -> object:
    try:
        return json.loads(line, parse_int=float)  # an integer of 400 digits becomes no float later, but raises
    except (ValueError, RecursionError):
        return None


def _entry(value: object) -> Entry | None:
    match value:
        case [str(record_name), str(data), str(signature)]:
            return _offered(record_name, data, signature)
        case {"heard": float(at)}:
            return Heard(at)
        case {"vanished": str(record_name), "at": float(at)}:
            return Vanished(record_name, at)
        case _:
            return None


def _offered(record_name: str, data: str, signature: str) -> OfferedRecord | None:
    try:
        return OfferedRecord(record_name, data.encode("latin-1"), signature.encode("latin-1"))
    except UnicodeEncodeError:
        return None
