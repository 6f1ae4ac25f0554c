"""Waiting for keys: looks at each again and again, tells on standard error what changed, ends when all are done or cannot be.

`verdict_on` decides by one look, pure; `wait_for` looks. Used by the --wait of rotate, create and approve.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol

import click

from keyturn.api.v1alpha1.apikey_delivery import Delivery
from keyturn.api.v1alpha1.conditions import ConditionType, Reason
from keyturn.base.duration import format_duration, parse_duration
from keyturn.base.errors import RetryLater
from keyturn.base.version_state import VersionState
from keyturn.cli.apikeys.apikey_view import ApiKeyView, VersionView, decode_apikey
from keyturn.cli.apikeys.hindrances import MADE_ELSEWHERE, rotation_waits_for, told_deferral, unpause_line
from keyturn.cli.deps import Deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.failure import failure_of
from keyturn.cluster.api_errors import Forbidden, NotFound, Unauthorized
from keyturn.cluster.apikeys import object_path

if TYPE_CHECKING:
    from keyturn.cluster.client import Client

_FIRST_PAUSE: Final = timedelta(milliseconds=250)
_LONGEST_PAUSE: Final = timedelta(seconds=2)
_GROWTH: Final = 1.25
_DEFERRED: Final = frozenset(
    {Reason.ROTATION_DEFERRED, Reason.WAITING_FOR_WINDOW, Reason.WAITING_FOR_PACER, Reason.WAITING_FOR_SPACING, Reason.CLOCK_SKEWED}
)
"""Reasons that speak of a rotation to come, on whatever condition they stand."""


class Awaited(Protocol):
    """Something that an ApiKey will say one day."""

    @property
    def namespace(self) -> str:
        """Of the ApiKey."""
        ...

    @property
    def name(self) -> str:
        """Of the ApiKey."""
        ...

    @property
    def word(self) -> str:
        """What has then been done: rotated, issued, approved."""
        ...

    def verdict(self, view: ApiKeyView) -> Look:
        """Decide by one look, pure."""
        ...


@dataclass(frozen=True, slots=True)
class Goal:
    """A version above `after_version` that is Active; `until_retired`: and none older alive."""

    namespace: str
    name: str
    after_version: int
    word: str
    """What has then been done: rotated, issued."""
    until_retired: bool = False

    def verdict(self, view: ApiKeyView) -> Look:
        """As `verdict_on`."""
        return verdict_on(self, view)


class Progress(StrEnum):
    """Where a goal stands."""

    DONE = "done"
    UNDER_WAY = "under way"
    HOPELESS = "hopeless"
    """It will not happen until somebody acts."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a key says of its goal."""

    progress: Progress
    sentence: str


def verdict_on(goal: Goal, view: ApiKeyView) -> Look:
    """Decide by one look whether the goal is reached, and say what is the case."""
    active = _new_active(goal, view)
    if active is None:
        return _why_not_yet(goal, view)
    older = [each for each in view.versions if each.number < active.number and each.state in {VersionState.ACTIVE, VersionState.RETIRING}]
    if goal.until_retired and older:
        return Look(Progress.UNDER_WAY, _overlap(active, older[-1], view))
    return Look(Progress.DONE, f"{goal.word} (version {active.number}, key ID {active.key_id})")


def parse_timeout(text: str) -> timedelta:
    """The value of --timeout. Raises UsageError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--timeout") from None


async def wait_for(goals: Sequence[Awaited], client: Client, deps: Deps, *, timeout: timedelta) -> int:  # noqa: ASYNC109  the person's own
    """Follow all goals at once; print a line of data for each that was reached. Answers the exit code."""
    end = time.monotonic() + timeout.total_seconds()
    codes = await asyncio.gather(*(_follow(goal, client, deps, end=end, timeout=timeout) for goal in goals))
    return max(codes, default=ExitCode.FINE)


async def _follow(goal: Awaited, client: Client, deps: Deps, *, end: float, timeout: timedelta) -> ExitCode:  # noqa: ASYNC109  as above
    reached = await reach(goal, client, deps, end=end, timeout=timeout)
    if reached is None:
        return ExitCode.FAILED
    deps.console.data(f"apikey/{goal.name} {reached}")
    return ExitCode.FINE


async def reach(goal: Awaited, client: Client, deps: Deps, *, end: float, timeout: timedelta) -> str | None:  # noqa: ASYNC109  as above
    """Follow one goal, telling what changes. Answers what is so then; None: it was not reached, and why is said."""
    told, pause = "", _FIRST_PAUSE.total_seconds()
    while True:
        look = await _look(goal, client)
        if look.progress is Progress.DONE:
            return look.sentence
        if look.progress is Progress.HOPELESS:
            deps.console.complain(f"apikey/{goal.name}: {look.sentence}")
            return None
        if time.monotonic() >= end:
            deps.console.complain(f"apikey/{goal.name} is not {goal.word} after {format_duration(timeout)}: {look.sentence}")
            return None
        if look.sentence != told:
            told = look.sentence
            deps.console.say(f"apikey/{goal.name}: {told}")
        await asyncio.sleep(max(0.0, min(pause, end - time.monotonic())))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE.total_seconds())


async def _look(goal: Awaited, client: Client) -> Look:
    try:
        return goal.verdict(decode_apikey(await client.get(object_path(goal.namespace, goal.name))))
    except (NotFound, Forbidden, Unauthorized) as error:
        return Look(Progress.HOPELESS, failure_of(error).sentence)
    except RetryLater as error:
        return Look(Progress.UNDER_WAY, str(error))


def _new_active(goal: Goal, view: ApiKeyView) -> VersionView | None:
    found = [each for each in view.in_state(VersionState.ACTIVE) if each.number > goal.after_version]
    return found[-1] if found else None


def _why_not_yet(goal: Goal, view: ApiKeyView) -> Look:
    if view.is_paused:
        return Look(Progress.HOPELESS, "paused by the annotation keyturn.dev/paused; remove it: " + unpause_line(view))
    stalled = view.holds(ConditionType.STALLED)
    if stalled is not None and stalled.reason != Reason.NOT_RECEIVED:  # which a request ends
        return Look(Progress.HOPELESS, f"stalled, {stalled.reason}: {stalled.message}")
    if view.delivery == Delivery.NONE and goal.after_version:
        return Look(Progress.HOPELESS, MADE_ELSEWHERE)
    staged = [each for each in view.in_state(VersionState.STAGED) if each.number > goal.after_version]
    if staged:
        return Look(Progress.UNDER_WAY, f"version {staged[-1].number} is staged (key ID {staged[-1].key_id}); verifiers learn it now")
    waits = view.holds(ConditionType.RECONCILING) or next((each for each in view.conditions if each.reason in _DEFERRED), None)
    if waits is not None:
        return Look(Progress.UNDER_WAY, f"{waits.message} ({waits.reason})")
    return Look(Progress.UNDER_WAY, told_deferral(view) or rotation_waits_for(view) or "waits for the operator")


def _overlap(active: VersionView, old: VersionView, view: ApiKeyView) -> str:
    rollout = f"; rollout: {view.rollout_summary}" if view.rollout_summary else ""
    return f"version {active.number} is active (key ID {active.key_id}), version {old.number} is still accepted{rollout}"
