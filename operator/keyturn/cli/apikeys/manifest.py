"""An ApiKey's manifest from the options of `keyturn create`, checked by the same model that the operator reads it with. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from keyturn.api.rules import explain_invalid
from keyturn.api.v1alpha1.apikey import ApiKey
from keyturn.base.clock import format_time, parse_time
from keyturn.base.duration import parse_duration
from keyturn.base.names import Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the person asked for, as texts; unset is inherited."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    product: Key | None = None
    """An empty namespace: the ApiKey's own."""
    plan: str | None = None
    scopes: tuple[str, ...] | None = None
    secret_name: str | None = None
    secret_labels: tuple[tuple[str, str], ...] = ()
    secret_data: tuple[tuple[str, str], ...] = ()
    keep_previous: bool = False
    interval: str | None = None
    schedule: str | None = None
    time_zone: str | None = None
    grace_period: str | None = None
    manual: bool = False
    expiration_time: str | None = None
    contact: str | None = None
    recipient: str | None = None
    """Public key of age: the key is for a person, and stands in no Secret."""
    digest: str | None = None
    """Of a key that was made elsewhere."""
    digest_key_id: str | None = None


def apikey_manifest(wish: Wish, *, namespace: str) -> dict[str, object]:
    """The object to POST, with nothing in it that was not asked for; an empty namespace is left out."""
    template = {
        "labels": dict(wish.secret_labels),
        "data": dict(wish.secret_data),
        "keepPrevious": wish.keep_previous,
    }
    rotation = {
        "policy": "Manual" if wish.manual else None,
        "interval": wish.interval,
        "schedule": wish.schedule,
        "timeZone": wish.time_zone,
        "gracePeriod": wish.grace_period,
    }
    spec = {
        "productRef": _said({"namespace": wish.product.namespace, "name": wish.product.name}) if wish.product else None,
        "plan": wish.plan,
        "scopes": list(wish.scopes or ()),
        "contact": wish.contact,
        "delivery": "Sealed" if wish.recipient else "None" if wish.digest else None,
        "digests": [_said({"digest": wish.digest, "keyID": wish.digest_key_id})] if wish.digest else None,
        "sealed": {"recipient": wish.recipient} if wish.recipient else None,
        "secretName": wish.secret_name,
        "secretTemplate": _said(template),
        "rotation": _said(rotation),
        "expirationTime": wish.expiration_time,
    }
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ApiKey",
        "metadata": {"name": wish.name, **_said({"namespace": namespace, "labels": dict(wish.labels)})},
        "spec": _said(spec),
    }


def mistakes_in(manifest: Mapping[str, object]) -> list[str]:
    """What the API server or the operator would refuse, a line each; empty: nothing."""
    try:
        ApiKey.model_validate(manifest)
    except ValidationError as invalid:
        return [line.replace("Value error, ", "") for line in explain_invalid(invalid)]
    return []


def expiration_time(text: str, *, now: datetime) -> str:
    """The instant in RFC 3339, from itself or from a length of time from now (720h). Raises ValueError that says what to write."""
    try:
        instant = now.replace(microsecond=0) + parse_duration(text)
    except (ValueError, OverflowError):
        try:
            instant = parse_time(text)
        except ValueError:
            raise ValueError(f"{text!r} is no instant: write 2027-01-31T18:00:00Z, or how long from now: 720h") from None
    if instant <= now:
        raise ValueError(f"{format_time(instant)} has passed: write a later instant")
    return format_time(instant)


def _said(fields: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}
