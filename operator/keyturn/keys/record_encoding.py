"""The record as bytes: canonical JSON with a stable order of fields, written and read by hand because both are hot.

Fields are only ever appended, and readers ignore those they do not know. What is None, empty, zero or False by default is
left out. A new state, or anything an old reader must not overlook, needs a higher `FORMAT`.
`record_signing.py` signs these bytes; what is read back is trusted only after that signature was checked. `record_peek.py` looks into
them before.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Final

from keyturn.base.clock import format_time, parse_time
from keyturn.base.errors import KeyturnError
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.record import FORMAT, DeadEntry, Limits, PeriodQuota, Record, SecretFingerprint, VersionEntry

# ASCII only, so that every Record has an encoding, whatever is in its texts. Made once: json.dumps would make one a call.
_JSON: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)

# Tables, since calling an enum class costs a microsecond a time.
_LIVE_STATES: Final = {state.value: state for state in VersionState if not state.is_dead}
_DEAD_STATES: Final = {state.value: state for state in VersionState if state.is_dead}
_CAUSES: Final = {cause.value: cause for cause in Cause}

_Fields = dict[str, object]


class RecordDamaged(KeyturnError):
    """The bytes are no record. The message names the field, never its value."""


class RecordTooNew(KeyturnError):
    """A newer operator wrote it, in a format that this one must not guess at."""

    def __init__(self, found: int) -> None:
        super().__init__(f"the record has format {found}, this version reads up to {FORMAT}")
        self.format = found


def encode_record(record: Record) -> bytes:
    """Write a record; the same record always gives the same bytes. Times are cut to milliseconds."""
    return _JSON.encode(_present(_record_fields(record))).encode("ascii")


def decode_record(data: bytes) -> Record:
    """Read what `encode_record` wrote; raise RecordTooNew or RecordDamaged, and nothing else."""
    fields = _load(data)
    found = _number(fields, "format")
    if found > FORMAT:
        raise RecordTooNew(found)
    try:
        return _read_record(fields)
    except ValueError as error:
        raise RecordDamaged("a time in the record is none") from error


def _present(fields: _Fields) -> _Fields:
    return {name: value for name, value in fields.items() if value is not None}


def _record_fields(record: Record) -> _Fields:
    return {
        "format": FORMAT,
        "installation": record.installation,
        "namespace": record.namespace,
        "name": record.name,
        "uid": record.uid,
        "serial": record.serial,
        "change": record.change,
        "highest": record.highest,
        "versions": [_version_fields(entry) for entry in record.versions] or None,
        "deadThrough": record.dead_through or None,
        "dead": [_dead_fields(entry) for entry in record.dead] or None,
        "audience": record.audience,  # always: what a record means must not hang on a reader's default
        "product": record.product,
        "plan": record.plan,
        "scopes": record.scopes or None,
        "allowedCIDRs": record.allowed_cidrs or None,
        "maxStalenessSeconds": record.max_staleness_seconds,
        "expirationTime": _time_text(record.expiration_time),
        "disabled": record.disabled or None,
        "retained": record.retained or None,
        "retainOnDelete": record.retain_on_delete or None,
        "trigger": record.trigger,
        "rotateRequestedAt": record.rotate_requested_at,
        "minVersion": record.min_version,
        "secret": None if record.secret is None else _secret_fields(record.secret),
        "endedTime": _time_text(record.ended_time),
        "limits": None if record.limits is None else _limits_fields(record.limits),
        "accessLostTime": _time_text(record.access_lost_time),
        "revokedBefore": _time_text(record.revoked_before),
        "revokedThrough": record.revoked_through or None,
        "quota": None if record.quota is None else {"requests": record.quota.requests, "period": record.quota.period},
        "endedDigests": record.ended_digests or None,
        "restoredTime": _time_text(record.restored_time),
    }


def _version_fields(entry: VersionEntry) -> _Fields:
    return _present(
        {
            "number": entry.number,
            "keyID": entry.key_id,
            "digest": entry.digest,
            "state": entry.state,
            "stagedTime": format_time(entry.staged_time),
            "cause": entry.cause,
            "activeTime": _time_text(entry.active_time),
            "notAfter": _time_text(entry.not_after),
            "imported": entry.imported or None,
            "mintedAfter": _time_text(entry.minted_after),
            "mintedKnowing": entry.minted_knowing or None,
        }
    )


def _dead_fields(entry: DeadEntry) -> _Fields:
    fields: _Fields = {
        "number": entry.number,
        "keyID": entry.key_id,
        "endTime": format_time(entry.end_time),
        "state": entry.state,
        "reason": entry.reason,
        "cause": entry.cause,
    }
    return {**fields, "digest": entry.digest} if entry.digest else fields


def _secret_fields(secret: SecretFingerprint) -> _Fields:
    return _present(
        {
            "uid": secret.uid,
            "resourceVersion": secret.resource_version,
            "version": secret.version,
            "digest": secret.digest,
            "templateDigest": secret.template_digest,
            "previousVersion": secret.previous_version,
        }
    )


def _limits_fields(limits: Limits) -> _Fields:
    return {"requestsPerSecond": limits.requests_per_second, "burst": limits.burst}


def _time_text(instant: datetime | None) -> str | None:
    return None if instant is None else format_time(instant)


def _load(data: bytes) -> _Fields:
    try:
        fields = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise RecordDamaged("the record is not JSON") from error
    if not isinstance(fields, dict):
        raise RecordDamaged("the record is not a JSON object")
    return fields


def _read_record(fields: _Fields) -> Record:
    return Record(
        installation=_text(fields, "installation"),
        namespace=_text(fields, "namespace"),
        name=_text(fields, "name"),
        uid=_text(fields, "uid"),
        serial=_number(fields, "serial"),
        change=_text(fields, "change"),
        highest=_number(fields, "highest"),
        versions=tuple(_read_version(entry) for entry in _objects(fields, "versions")),
        dead_through=_number_or_none(fields, "deadThrough") or 0,
        dead=tuple(_read_dead(entry) for entry in _objects(fields, "dead")),
        audience=_text(fields, "audience"),
        product=_text_or_none(fields, "product"),
        plan=_text_or_none(fields, "plan"),
        scopes=_texts(fields, "scopes"),
        allowed_cidrs=_texts(fields, "allowedCIDRs"),
        max_staleness_seconds=_number_or_none(fields, "maxStalenessSeconds"),
        expiration_time=_time_or_none(fields, "expirationTime"),
        disabled=_flag(fields, "disabled"),
        retained=_flag(fields, "retained"),
        retain_on_delete=_flag(fields, "retainOnDelete"),
        trigger=_text_or_none(fields, "trigger"),
        rotate_requested_at=_text_or_none(fields, "rotateRequestedAt"),
        min_version=_number_or_none(fields, "minVersion"),
        secret=_read_secret(fields),
        ended_time=_time_or_none(fields, "endedTime"),
        limits=_read_limits(fields),
        access_lost_time=_time_or_none(fields, "accessLostTime"),
        revoked_before=_time_or_none(fields, "revokedBefore"),
        revoked_through=_number_or_none(fields, "revokedThrough") or 0,
        quota=_read_quota(fields),
        ended_digests=_texts(fields, "endedDigests"),
        restored_time=_time_or_none(fields, "restoredTime"),
    )


def _read_version(fields: _Fields) -> VersionEntry:
    return VersionEntry(
        number=_number(fields, "number"),
        key_id=_text(fields, "keyID"),
        digest=_text(fields, "digest"),
        state=_one_of(_LIVE_STATES, fields, "state"),
        staged_time=parse_time(_text(fields, "stagedTime")),
        cause=_cause(fields),
        active_time=_time_or_none(fields, "activeTime"),
        not_after=_time_or_none(fields, "notAfter"),
        imported=_flag(fields, "imported"),
        minted_after=_time_or_none(fields, "mintedAfter"),
        minted_knowing=_texts(fields, "mintedKnowing"),
    )


def _read_dead(fields: _Fields) -> DeadEntry:
    return DeadEntry(
        number=_number(fields, "number"),
        key_id=_text(fields, "keyID"),
        end_time=parse_time(_text(fields, "endTime")),
        state=_one_of(_DEAD_STATES, fields, "state"),
        reason=_text(fields, "reason"),
        cause=_cause(fields),
        digest=_text_or_none(fields, "digest") or "",
    )


def _read_secret(record_fields: _Fields) -> SecretFingerprint | None:
    fields = record_fields.get("secret")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise RecordDamaged("secret is not an object")
    return SecretFingerprint(
        uid=_text(fields, "uid"),
        resource_version=_text(fields, "resourceVersion"),
        version=_number(fields, "version"),
        digest=_text(fields, "digest"),
        template_digest=_text(fields, "templateDigest"),
        previous_version=_number_or_none(fields, "previousVersion"),
    )


def _read_limits(record_fields: _Fields) -> Limits | None:
    fields = record_fields.get("limits")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise RecordDamaged("limits is not an object")
    return Limits(requests_per_second=_positive(fields, "requestsPerSecond"), burst=_positive(fields, "burst"))


def _read_quota(record_fields: _Fields) -> PeriodQuota | None:
    fields = record_fields.get("quota")
    if fields is None:
        return None
    if not isinstance(fields, dict):
        raise RecordDamaged("quota is not an object")
    return PeriodQuota(requests=_positive(fields, "requests"), period=_text(fields, "period"))


def _positive(fields: _Fields, name: str) -> int:
    value = _number(fields, name)
    if value == 0:
        raise RecordDamaged(f"{name} is not a whole number from 1 on")
    return value


def _text(fields: _Fields, name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise RecordDamaged(f"{name} is not a text")
    return value


def _text_or_none(fields: _Fields, name: str) -> str | None:
    return None if fields.get(name) is None else _text(fields, name)


def _cause(fields: _Fields) -> Cause:
    """A cause that only a newer operator knows is no reason to refuse its records: no verifier decides by it."""
    return _CAUSES.get(_text(fields, "cause"), Cause.OTHER)


def _one_of(table: dict[str, VersionState], fields: _Fields, name: str) -> VersionState:
    member = table.get(_text(fields, name))
    if member is None:
        raise RecordDamaged(f"{name} is none that may stand there")
    return member


def _number(fields: _Fields, name: str) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise RecordDamaged(f"{name} is not a whole number from 0 on")
    return value


def _number_or_none(fields: _Fields, name: str) -> int | None:
    return None if fields.get(name) is None else _number(fields, name)


def _flag(fields: _Fields, name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise RecordDamaged(f"{name} is neither true nor false")
    return value


def _time_or_none(fields: _Fields, name: str) -> datetime | None:
    return None if fields.get(name) is None else parse_time(_text(fields, name))


def _texts(fields: _Fields, name: str) -> tuple[str, ...]:
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise RecordDamaged(f"{name} is not a list of texts")
    return tuple(values)


def _objects(fields: _Fields, name: str) -> list[_Fields]:
    values = fields.get(name, [])
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise RecordDamaged(f"{name} is not a list of objects")
    return values
