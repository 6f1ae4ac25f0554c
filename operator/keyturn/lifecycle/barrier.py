"""Whether a staged version may be delivered: every live verifier must have it in force first, or its consumers would be turned away.

What verifiers have in force they say in their Leases (`controller/verifiers.py`). Where there is none, a delay stands in for them.
However long it takes, nothing is delivered blindly: a verifier that fell silent stops counting when its Lease ends, and answers
503 from then on, not 401, for keys that it does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from keyturn.api.v1alpha1.conditions import Reason
from keyturn.keys.record import VersionEntry
from keyturn.lifecycle.observed import LiveVerifier
from keyturn.lifecycle.plan import Plan, Waiting
from keyturn.lifecycle.situation import Situation

NAMES_SHOWN: Final = 3


def holds_back(case: Situation, staged: VersionEntry) -> Plan | None:
    """Why a staged version must wait; None: everybody who checks keys knows it."""
    return _until_applied(case, staged) if case.seen.verifiers else _until_delay_is_over(case, staged)


def verifiers_behind(verifiers: Iterable[LiveVerifier], record_name: str, resource_version: int | None) -> tuple[str, ...]:
    """The names of those that do not have this state of the record in force. A state that was not seen (None) nobody has."""
    return tuple(
        verifier.name for verifier in verifiers if resource_version is None or not verifier.has_applied(record_name, resource_version)
    )


def _until_delay_is_over(case: Situation, staged: VersionEntry) -> Plan | None:
    reached = staged.staged_time + case.seen.settings.propagation_delay
    return _waiting(case, staged, until=reached) if case.now < reached else None


def _until_applied(case: Situation, staged: VersionEntry) -> Plan | None:
    """The state of the record in view is the one that staged it, or a later one: whoever has applied it knows the version."""
    behind = verifiers_behind(case.seen.verifiers, case.seen.key.record_name, _version_in_view(case))
    if not behind:
        return None
    told_time = staged.staged_time + case.seen.settings.propagation_timeout
    if case.now < told_time:
        return _waiting(case, staged, until=told_time)
    late = Waiting(
        Reason.PROPAGATION_PENDING,
        f"Version {staged.number} is not delivered yet: {named(behind)} not confirmed that it accepts it. Look at its pod and its Lease",
    )
    return Plan(waits_for=late, deferred=late, awaits_version=_version_in_view(case))


def _waiting(case: Situation, staged: VersionEntry, *, until: datetime) -> Plan:
    message = f"Version {staged.number} is staged; waiting until every verifier can know it"
    waits = Waiting(Reason.PROPAGATION_PENDING, message)
    return Plan(waits_for=waits, look_again_time=until, awaits_version=_version_in_view(case))


def _version_in_view(case: Situation) -> int | None:
    mark = case.seen.record_mark
    return mark.resource_version if mark is not None else None


def named(behind: Sequence[str]) -> str:
    """Those of which something is missing, with their verb: `verifier a has`, `verifiers a, b, c and 2 more have`."""
    shown = ", ".join(sorted(behind)[:NAMES_SHOWN])
    more = len(behind) - NAMES_SHOWN
    names = f"{shown} and {more} more" if more > 0 else shown
    return f"verifier {names} has" if len(behind) == 1 else f"verifiers {names} have"
