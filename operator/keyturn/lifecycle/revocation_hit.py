"""Which versions an ApiKeyRevocation means. What becomes of them decides `revocation.py`. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation, RevocationMatch, RevocationMode
from keyturn.base.clock import DAY
from keyturn.keys.record import Record, VersionEntry

MINTERS_AHEAD: Final = DAY
"""No minter's clock is further ahead. What seems to be younger than that was minted later, by somebody who may not read revocations."""


@dataclass(frozen=True, slots=True)
class RevocationHit:
    """A revocation that concerns one record."""

    name: str
    reason: str
    created: datetime
    uid: str = ""
    replaces: bool = False
    """Mode Replace: the successor comes first."""
    replace_within: timedelta | None = None
    """None: the operator's."""
    key_ids: frozenset[str] = frozenset()
    minted_before: datetime | None = None
    """Versions minted before then are meant; None: only those of `key_ids`."""
    is_of_many: bool = False
    """It means keys of many ApiKeys."""

    def end(self, *, default: timedelta) -> datetime | None:
        """When its versions end at the latest; None: at once."""
        within = self.replace_within if self.replace_within is not None else default
        return self.created + within if self.replaces else None


def hit_on(revocation: ApiKeyRevocation, record: Record) -> RevocationHit | None:
    """The revocation as it concerns a record; None: not at all."""
    spec, created = revocation.spec, revocation.metadata.creation_timestamp
    if created is None:
        return None
    hit = RevocationHit(
        name=revocation.metadata.name,
        reason=str(spec.reason),
        created=created,
        uid=revocation.metadata.uid,
        replaces=spec.mode is RevocationMode.REPLACE,
        replace_within=spec.replace_within,
        is_of_many=spec.match is not None,
    )
    if spec.key_ids is not None:
        known = {entry.key_id for entry in record.versions} | {entry.key_id for entry in record.dead}
        meant = known.intersection(spec.key_ids)
        return replace(hit, key_ids=frozenset(meant)) if meant else None
    is_meant = _is_named(revocation, record) or (spec.match is not None and _matches(spec.match, record))
    return replace(hit, minted_before=revocation.minted_before(created=created)) if is_meant else None


def _is_named(revocation: ApiKeyRevocation, record: Record) -> bool:
    ref = revocation.spec.api_key_ref
    return ref is not None and (ref.namespace, ref.name) == (record.namespace, record.name) and ref.uid in (None, record.uid)


def _matches(match: RevocationMatch, record: Record) -> bool:
    product = match.product_ref
    is_of_product = product is None or record.product == f"{product.namespace}/{product.name}"
    return is_of_product and match.namespace in (None, record.namespace)


def is_hit(hit: RevocationHit, entry: VersionEntry, record: Record) -> bool:
    """Whether a revocation means this live version.

    `stagedTime` is by its minter's clock, and the creation of a revocation by the API server's. So whatever is there when the operator
    first sees the revocation is meant, though it seems to be a little younger; whoever mints later notes what they know of.
    """
    if entry.key_id in hit.key_ids:
        return True
    if hit.minted_before is None or _was_known_to_its_minter(hit, entry):
        return False
    means_all = hit.minted_before >= hit.created
    if entry.staged_time >= hit.minted_before + (MINTERS_AHEAD if means_all else timedelta(0)):
        return False
    is_done = record.revoked_before is not None and hit.minted_before <= record.revoked_before
    return not is_done or entry.minted_after is not None or entry.number <= record.revoked_through


def _was_known_to_its_minter(hit: RevocationHit, entry: VersionEntry) -> bool:
    if entry.minted_after is None or entry.minted_after < hit.created:
        return False
    return entry.minted_after > hit.created or hit.uid in entry.minted_knowing


@dataclass(frozen=True, slots=True)
class NewestRevocations:
    """Those of the latest second in which any was created that is known here: a creationTimestamp says no more."""

    created: datetime
    uids: frozenset[str]

    def with_another(self, *, created: datetime, uid: str) -> NewestRevocations:
        """The same when one more is known."""
        if created < self.created:
            return self
        return NewestRevocations(created, self.uids | {uid} if created == self.created else frozenset({uid}))


def knowing(entry: VersionEntry, newest: NewestRevocations | None, *, now: datetime) -> VersionEntry:
    """A version that is minted now, with what its minter knows of revocations; of old ones nothing, for its time tells."""
    if newest is None or newest.created <= now - 2 * MINTERS_AHEAD:
        return entry
    return replace(entry, minted_after=newest.created, minted_knowing=tuple(sorted(newest.uids)))


def revoked_by(record: Record, entry: VersionEntry, hits: Iterable[RevocationHit], *, default: timedelta) -> RevocationHit | None:
    """The revocation that ends a live version first; None: none means it."""
    meant = [hit for hit in hits if is_hit(hit, entry, record)]
    return min(meant, key=lambda hit: (hit.replaces, hit.end(default=default) or hit.created, hit.name), default=None)
