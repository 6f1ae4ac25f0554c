"""What an API's owner takes away reaches also keys that nobody works on: of paused and unreadable ApiKeys, and retained ones. Pure.

Otherwise a tenant would keep what was taken from him by pausing his ApiKey, or by deleting it with `deletionPolicy: Retain`. Such a key
counts as asking for just what it has, so it never gets more; once refused it is so until somebody works on it again. Part of `decide.py`.
"""

from __future__ import annotations

from dataclasses import replace

from keyturn.api.v1alpha1.apikey import ApiKey, ApiKeySpec, DeletionPolicy, ObjectMeta, ProductRef, Restrictions
from keyturn.base.names import Key
from keyturn.keys.record import Record
from keyturn.lifecycle.consent import consent_for, product_name
from keyturn.lifecycle.held_power import product_of_key
from keyturn.lifecycle.observed import GoodRecord, Observed
from keyturn.lifecycle.plan import Change, Plan, SaveRecord
from keyturn.lifecycle.power import refusal_time, with_power
from keyturn.lifecycle.situation import is_paused


def product_in_question(apikey: ApiKey | None, record: Record | None, *, spec_is_readable: bool) -> Key | None:
    """Whose word counts: the product that is asked for; where nobody may ask just now, the one whose power the key has."""
    asked = product_name(apikey) if apikey is not None else ""
    held = product_of_key(record)
    is_asking = apikey is not None and spec_is_readable and not is_paused(apikey)
    namespace, _, name = (asked if is_asking else held or asked).partition("/")
    return Key(namespace, name) if name else None


def withdrawal(seen: Observed) -> Plan:
    """Write what the product leaves of the key's power, and say when the delay of a lost access is over."""
    record = seen.record.record if isinstance(seen.record, GoodRecord) else None
    if record is None or product_of_key(record) is None:
        return Plan()
    asking = _asks_for_what_it_has(record)
    consent = consent_for(asking, seen.product, record=record, settings=seen.settings)
    left = with_power(record, asking, consent, now=seen.now, clock_is_off=seen.clock_is_off, retained=record.retained)
    if left is not record:
        return Plan((SaveRecord(replace(left, change=Change.UPDATED)),))
    refused = refusal_time(record, consent)
    return Plan(look_again_time=refused if refused is not None and refused > seen.now else None)


def _asks_for_what_it_has(record: Record) -> ApiKey:
    """The ApiKey that would have led to this record. Not validated: a record is ours."""
    namespace, _, name = (record.product or "").partition("/")
    return ApiKey.model_construct(
        metadata=ObjectMeta.model_construct(name=record.name, namespace=record.namespace, uid=record.uid),
        spec=ApiKeySpec.model_construct(
            product_ref=ProductRef.model_construct(name=name, namespace=namespace),
            plan=record.plan,
            scopes=record.scopes,
            restrictions=Restrictions.model_construct(allowed_cidrs=record.allowed_cidrs),
            expiration_time=record.expiration_time,
            disabled=record.disabled,
            deletion_policy=DeletionPolicy.RETAIN if record.retain_on_delete else DeletionPolicy.REVOKE,
        ),
    )
