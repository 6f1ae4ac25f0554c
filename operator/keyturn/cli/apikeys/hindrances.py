"""What stands in the way of a rotation, in words for a terminal, with what to do. Pure."""

from __future__ import annotations

from typing import Final

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.version_state import VersionState
from keyturn.cli.apikeys.apikey_view import ApiKeyView
from keyturn.lifecycle.rotation import ROTATION_IS_DUE

MADE_ELSEWHERE: Final = "its key is made elsewhere: make another one, and append its digest to spec.digests"


def what_keeps_it_from_rotating(view: ApiKeyView) -> str:
    """Why the rotation will not start at once, with what to do; empty: it will."""
    if view.delivery == Delivery.NONE:
        return MADE_ELSEWHERE
    if view.is_paused:
        return "it is paused and rotates once the annotation keyturn.dev/paused is removed: " + unpause_line(view)
    stalled = view.holds(ConditionType.STALLED)
    if stalled is not None and stalled.reason != Reason.NOT_RECEIVED:  # which this very request ends
        return f"it is stalled and rotates once that is mended: {stalled.message} ({stalled.reason})"
    return rotation_waits_for(view)


def rotation_waits_for(view: ApiKeyView) -> str:
    """Why a rotation that is asked for now will not start at once; empty: it will."""
    retiring = view.in_state(VersionState.RETIRING)
    if not retiring:
        return ""
    last = retiring[-1]
    until = f", at the latest {last.not_after:%Y-%m-%dT%H:%M:%SZ}" if last.not_after else ""
    return f"version {last.number} is still accepted from the last rotation; the next one starts when it has retired{until}"


def told_deferral(view: ApiKeyView) -> str:
    """What the operator says a rotation waits for that was asked for before; empty: nothing. It stands on Ready, the key is in force."""
    ready = view.condition(ConditionType.READY)
    _, begins, rest = ready.message.partition(ROTATION_IS_DUE) if ready is not None else ("", "", "")
    return begins + rest


def unpause_line(view: ApiKeyView) -> str:
    """The command that takes the pause off."""
    return f"kubectl -n {view.namespace} annotate apikey {view.name} keyturn.dev/paused-"
