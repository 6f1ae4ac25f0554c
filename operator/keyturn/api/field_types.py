"""The types of fields in resources: lengths of time, instants, integers, maps. Each accepts what the API server accepts, no more."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    Strict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from keyturn.api.rules import Obeys, Rule
from keyturn.base.clock import parse_time
from keyturn.base.duration import format_duration, parse_duration

DURATION_PATTERN: Final = "^([0-9]{1,5}(h|m|s)){1,3}$"
_DURATION: Final = re.compile(DURATION_PATTERN.removesuffix("$"))

TIME_PATTERN: Final = "^2[0-9:T-]{18}([.][0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])$"
"""Beside `format: date-time`, which checks the date but reads the rest loosely: `2026-01-01t00:00:00zt and more` passes it."""
_TIME: Final = re.compile(
    "2[0-9]{3}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-][01][0-9]:[0-5][0-9])"
)

SUBDOMAIN_PATTERN: Final = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""RFC 1123 subdomain, as Kubernetes wants it of names: `billing`, `billing-v2.internal`."""


def _as_length(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or len(value) > 32 or not _DURATION.fullmatch(value):  # noqa: PLR2004 - the maxLength below
        raise PydanticCustomError("duration", 'must be a duration in h, m and s, for example 720h or 1h30m ("30d" is none: write 720h)')
    return parse_duration(value)


def _as_instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        with suppress(ValueError):  # 2027-02-30
            return parse_time(value)
    raise PydanticCustomError("instant", "must be a date and time with a time zone, for example 2027-01-31T18:00:00Z")


def _write_instant(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _write_whole_seconds(instant: datetime) -> str:
    return instant.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _as_integer(value: object) -> object:
    # JSON knows one kind of number, and the API server takes 2.0 for an integer.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _none_if_unreadable(value: object, read: ValidatorFunctionWrapHandler) -> object:
    try:
        return read(value)
    except ValidationError:
        return None


def _without_nulls(value: object) -> object:
    # The API server drops null values of maps before it validates.
    return {key: entry for key, entry in value.items() if entry is not None} if isinstance(value, Mapping) else value


GoDuration = Annotated[
    timedelta,
    BeforeValidator(_as_length),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "maxLength": 32, "pattern": DURATION_PATTERN}),
]
"""A length of time, written as Go does: 720h, 1h30m."""

Time = Annotated[
    AwareDatetime,
    BeforeValidator(_as_instant),
    PlainSerializer(_write_instant),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
    Obeys(
        (
            Rule[datetime](
                "self >= timestamp('2000-01-01T00:00:00Z')",
                "must be a date and time in the year 2000 or later, for example 2027-01-31T18:00:00Z",
                lambda instant: instant >= datetime(2000, 1, 1, tzinfo=UTC),
            ),
        )
    ),
]
"""An instant that a user wrote: RFC 3339, years 2000 to 2999. The rule is also what refuses a list: where there is a `format`,
the API server's schema validation takes a list for a string."""

StatusTime = Annotated[
    AwareDatetime,
    BeforeValidator(_as_instant),
    PlainSerializer(_write_whole_seconds),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An instant that Keyturn wrote: whole seconds, UTC."""

_MAX_INT32: Final = 2**31 - 1
_MAX_INT64: Final = 2**63 - 1
INT32: Final[JsonDict] = {"format": "int32"}
"""`json_schema_extra` of a field of 32 bits; its bounds must then be within them."""
_INT64: Final[JsonDict] = {"format": "int64"}
WholeNumber: Final = BeforeValidator(_as_integer)
"""Last in the annotation of an integer field."""

IssuedNumber = Annotated[int, Strict(), Field(ge=1, le=_MAX_INT32, json_schema_extra=INT32), WholeNumber]
"""Of a version that there is."""
VersionNumber = Annotated[int, Strict(), Field(ge=1, le=1_000_000_000, json_schema_extra=INT32), WholeNumber]
"""One that a person may ask for. A first key may begin there, and every number after it must fit into an int32 of the status."""
Generation = Annotated[int, Strict(), Field(ge=0, le=_MAX_INT64, json_schema_extra=_INT64), WholeNumber]
LargeCount = Annotated[int, Strict(), Field(ge=1, le=10**15, json_schema_extra=_INT64), WholeNumber]
"""How many requests, say, in a long time."""
Boolean = Annotated[bool, Strict()]
NoneIfUnreadable: Final = WrapValidator(_none_if_unreadable)
"""Of a status: one that somebody damaged must not take the object away, or stop the work on it. It is written anew."""
DropsNulls: Final = BeforeValidator(_without_nulls)
