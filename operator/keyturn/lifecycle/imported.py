"""Rules of delivery None: keys that were made elsewhere, and are known here by the digests in the spec.

The same states as any other key has, and nothing to deliver: a version is Active once every verifier knows it. Nothing is minted, and
no Secret is made. `decide.py` asks these rules instead of those in `issuing.py` and `rotation.py`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.apikey import Delivery, ListedDigest
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.version_state import Cause, VersionState
from keyturn.keys.digest import derived_key_id
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.lifecycle import barrier
from keyturn.lifecycle.issuing import expired
from keyturn.lifecycle.observed import REFUSAL_RECHECK, Holder, NoRecord
from keyturn.lifecycle.plan import Change, Plan, SaveRecord, Waiting
from keyturn.lifecycle.power import shortest_overlap, with_requests
from keyturn.lifecycle.revocation_hit import knowing
from keyturn.lifecycle.situation import Situation, rotate_annotation
from keyturn.lifecycle.versions import ELSEWHERE, activate, bury

NOT_LISTED: Final = "NotListed"
"""Reason of a tombstone whose digest was taken off the list."""
DIGESTS_REMEMBERED: Final = 1000
"""Ended keys without a tombstone after which a record takes no other: 54 bytes each, in a Secret that may have a mebibyte."""

_ANOTHER: Final = "Make another one, and write its digest in the place of this one"


def key_id_of(listed: ListedDigest) -> str:
    """Under which public ID a listed key is known."""
    return listed.key_id or derived_key_id(listed.digest)


def digest_left_the_list(case: Situation) -> Plan | None:
    """An end by intent. Also of a version that an ApiKey of this name left behind which delivered it otherwise."""
    if case.apikey.spec.delivery is not Delivery.NONE:
        return None
    listed, elsewhere = {each.digest for each in case.apikey.spec.digests or ()}, case.seen.elsewhere
    gone = tuple(entry for entry in case.record.versions if entry.digest not in listed)
    not_ours = tuple(entry for entry in case.record.versions if entry.digest in listed and entry.digest in elsewhere)
    if not gone and not not_ours:
        return None
    ended = bury(case.record, *gone, state=VersionState.REVOKED, reason=NOT_LISTED, now=case.now)
    ended = bury(ended, *not_ours, state=VersionState.REVOKED, reason=ELSEWHERE, now=case.now)
    return Plan((SaveRecord(replace(ended, secret=None, change=Change.REVOKED)),))


def listed_version_is_in_force(case: Situation) -> Plan | None:
    """Its users have it already: it is Active as soon as every verifier knows it."""
    staged = _staged(case)
    if staged is None:
        return None
    not_after = case.now + shortest_overlap(case, staged.cause)
    activated = activate(case.record, staged.number, secret=None, not_after=not_after, now=case.now)
    return barrier.holds_back(case, staged) or Plan((SaveRecord(activated),))


def digest_was_listed(case: Situation) -> Plan | None:
    """The next version is the first digest that is none yet, and may be one."""
    new = next((each for each in _not_in_force(case) if _why_not(case, each) is None), None)
    if new is None or _staged(case) is not None:
        return None
    if case.problem is not None:
        return Plan(stalled=case.problem)
    if case.seen.clock_is_off and case.active is not None:  # its end would come from a wrong clock
        return None
    return Plan((SaveRecord(_with_version(case, new), create=isinstance(case.seen.record, NoRecord)),))


def no_listed_key_is_left(case: Situation) -> Plan | None:
    """Nothing is made in the place of a key that ended: whoever made it makes another one."""
    if case.active is not None or _staged(case) is not None:
        return None
    expiration = case.record.expiration_time
    if expiration is not None and expiration <= case.now:
        return Plan(stalled=expired(expiration))
    message = "The newest key in spec.digests has ended, for good. Make another one, and append its digest"
    return Plan(stalled=digest_problem(case) or Waiting(Reason.DIGEST_ENDED, message))


def digest_problem(case: Situation) -> Waiting | None:
    """Why a listed key is not in force and will not be, until a person acts. That an older one has ended is no problem."""
    newest = next(reversed(case.apikey.spec.digests or ()), None)
    for each in _not_in_force(case):
        why = _why_not(case, each)
        if why is not None and (why.reason != Reason.DIGEST_ENDED or each == newest):
            return why
    return None


def recheck_time(case: Situation) -> datetime | None:
    """When to look again at a key that another ApiKey has: its record may have been lost, or never written."""
    waits = any(not holder.has_ended for holder in case.seen.elsewhere.values())
    return case.now + REFUSAL_RECHECK if waits else None


def request_problem(case: Situation) -> Waiting | None:
    """A rotation was asked for that nobody here can do."""
    requested = rotate_annotation(case.apikey)
    if requested is None or requested == case.record.rotate_requested_at:
        return None
    message = "A rotation is requested, and this key is made elsewhere: make another one, and append its digest to spec.digests"
    return Waiting(Reason.ROTATION_DEFERRED, message)


def has_ended(record: Record, *, digest: str, key_id: str) -> bool:
    """Whether a listed key is dead by this record: whatever ended it, and however long ago."""
    return digest in record.ended_digests or any(_is_grave_of(dead, digest=digest, key_id=key_id) for dead in record.dead)


def _is_grave_of(dead: DeadEntry, *, digest: str, key_id: str) -> bool:
    return (digest == dead.digest or key_id == dead.key_id) and dead.reason != ELSEWHERE


def _staged(case: Situation) -> VersionEntry | None:
    """Also one that was given an end meanwhile: nobody mints another in its place, so it is no orphan."""
    return next(iter(case.record.in_state(VersionState.STAGED)), None)


def _not_in_force(case: Situation) -> list[ListedDigest]:
    live = {entry.digest for entry in case.record.versions}
    return [each for each in case.apikey.spec.digests or () if each.digest not in live]


def _with_version(case: Situation, listed: ListedDigest) -> Record:
    entry = VersionEntry(
        number=case.next_number,
        key_id=key_id_of(listed),
        digest=listed.digest,
        state=VersionState.STAGED,
        staged_time=case.now,
        cause=Cause.IMPORTED,
        imported=True,
    )
    entry = knowing(entry, case.seen.newest_revocations, now=case.now)
    record = with_requests(case.record, case.apikey)
    highest = max(record.highest, entry.number)
    return replace(record, versions=(*record.versions, entry), highest=highest, change=Change.STAGED, ended_time=None)


def _why_not(case: Situation, listed: ListedDigest) -> Waiting | None:
    """Why a listed key that is no version can be none."""
    holder, key_id = case.seen.elsewhere.get(listed.digest), key_id_of(listed)
    if holder is not None:
        return _not_here(case, holder, key_id=key_id)
    if _has_ended(case, digest=listed.digest, key_id=key_id):
        message = f"Key {key_id} in spec.digests has ended, for good. {_ANOTHER}"
        return Waiting(Reason.DIGEST_ENDED, message)
    listing = case.apikey.spec.digests or ()
    live, behind = {entry.digest for entry in case.record.versions}, listing[listing.index(listed) + 1 :]
    if any(each.digest in live for each in behind):
        message = f"Key {key_id} stands in spec.digests before one that is in force. The last one is the newest: write the new key last"
        return Waiting(Reason.DIGEST_OUT_OF_ORDER, message)
    if len(case.record.ended_digests) >= DIGESTS_REMEMBERED:
        message = "More keys ended under this name than a record remembers, and none may be forgotten. List the next one in a new ApiKey"
        return Waiting(Reason.TOO_MANY_DIGESTS, message)
    return None


def _not_here(case: Situation, holder: Holder, *, key_id: str) -> Waiting:
    """Whose key it is, and whether it lives, is told within the namespace alone."""
    if holder.key.namespace != case.seen.key.namespace:
        whose = "is or was one of an ApiKey in another namespace"
        return Waiting(Reason.DIGEST_ELSEWHERE, f"Key {key_id} in spec.digests {whose}. {_ANOTHER}")
    if holder.has_ended:
        return Waiting(Reason.DIGEST_ENDED, f"Key {key_id} in spec.digests has ended, for good, in ApiKey {holder.key}. {_ANOTHER}")
    whose = f"belongs to ApiKey {holder.key}, which had it first"
    advice = "Leave it there, where it would end for good if it were taken off, and write the digest of another one here"
    return Waiting(Reason.DIGEST_ELSEWHERE, f"Key {key_id} in spec.digests {whose}. {advice}")


def _has_ended(case: Situation, *, digest: str, key_id: str) -> bool:
    """By the record; and by the status, which may know more than a record that was lost."""
    if has_ended(case.record, digest=digest, key_id=key_id):
        return True
    told = case.apikey.status.versions if case.apikey.status is not None else ()
    return any(each.key_id == key_id and each.end_reason not in {None, ELSEWHERE} for each in told)
