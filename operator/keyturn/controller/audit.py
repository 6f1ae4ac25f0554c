"""The audit log: one JSON line for every change of a verifier record. Written at least once; `uid` and `serial` tell repeats apart.

Everything in a line is public: names, numbers, times. Plaintext and digests have no field here.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from keyturn.base import metrics
from keyturn.base.clock import format_time
from keyturn.base.errors import RetryLater

STANDARD_OUTPUT: Final = "-"


@dataclass(frozen=True, slots=True)
class AuditVersion:
    """One key version as it stands after the change."""

    number: int
    key_id: str
    state: str
    cause: str
    """Why it was minted."""
    reason: str | None = None
    """Why it ended, if it did."""
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One change of one record. `time` is when it was told; the record's own times are in `versions`."""

    time: datetime
    change: str
    """One of `lifecycle.plan.Change`."""
    installation: str
    namespace: str
    name: str
    uid: str
    serial: int
    version: int | None = None
    """The version the change was about."""
    key_id: str | None = None
    """That version's."""
    product: str | None = None
    plan: str | None = None
    audience: str | None = None
    scopes: tuple[str, ...] = ()
    disabled: bool = False
    versions: tuple[AuditVersion, ...] = ()


class AuditLog:
    """Appends lines to a file, or to standard output for `-`; an empty path writes nowhere."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._is_file = path not in {"", STANDARD_OUTPUT}
        self._descriptor: int | None = None
        if path == STANDARD_OUTPUT:
            self._descriptor = 1
        elif path:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def write(self, line: AuditLine) -> None:
        """Append one line, whole, in one write. Raises RetryLater if it cannot be written: the caller tells it again later."""
        if self._descriptor is None:
            return
        data = json.dumps(as_json(line), ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):  # a pipe that is nearly full, a disk that is
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            metrics.AUDIT_LINES.labels(result="failed").inc()
            raise RetryLater(f"The audit log {self._path!r} cannot be written: {error.strerror}") from None
        metrics.AUDIT_LINES.labels(result="written").inc()

    def close(self) -> None:
        """End it; a file was complete after every line."""
        if self._is_file and self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def as_json(line: AuditLine) -> dict[str, object]:
    """Unset fields are left out; times are RFC 3339."""
    fields: dict[str, object] = {
        "time": format_time(line.time),
        "change": line.change,
        "installation": line.installation,
        "namespace": line.namespace,
        "name": line.name,
        "uid": line.uid,
        "serial": line.serial,
        "version": line.version,
        "keyID": line.key_id,
        "product": line.product,
        "plan": line.plan,
        "audience": line.audience,
        "scopes": list(line.scopes) or None,
        "disabled": line.disabled or None,
        "versions": [_version(version) for version in line.versions] or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _version(version: AuditVersion) -> dict[str, object]:
    fields = {
        "number": version.number,
        "keyID": version.key_id,
        "state": version.state,
        "cause": version.cause,
        "reason": version.reason,
        "notAfter": format_time(version.not_after) if version.not_after else None,
    }
    return {name: value for name, value in fields.items() if value is not None}
