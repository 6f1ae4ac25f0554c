"""`keyturn rotate`: asks the operator for a rotation by an annotation, and follows it where asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.place import Place, with_place
from keyturn.cli.selection import Selection, with_selection

if TYPE_CHECKING:
    from keyturn.cli.apikey_view import ApiKeyView


@dataclass(frozen=True, slots=True)
class Options:
    """Which keys, and what to wait for."""

    place: Place
    selection: Selection
    wait: str = ""
    """active, retired; empty: nothing."""
    timeout: timedelta = timedelta(minutes=5)
    dry_run: bool = False


@click.command(
    cls=Command,
    bare={"--wait": "active"},
    examples=[
        Example("One key; go on at once", "keyturn rotate billing -n team-a"),
        Example("And wait until the Secret holds the new key", "keyturn rotate billing -n team-a --wait"),
        Example("Every key of a team, until all old ones have ended", "keyturn rotate -l team=payments --wait=retired --timeout 48h"),
    ],
)
@with_selection
@with_place(everywhere=True)
@click.option(
    "--wait",
    metavar="[active|retired]",
    type=click.Choice(["active", "retired"]),
    help="Wait until the new key is in the Secret (active, also without a value), or until no older one is accepted (--wait=retired).",
)
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait waits.")
@click.option("--dry-run", is_flag=True, help="Have the API server check it; change nothing.")
def rotate(*, selection: Selection, place: Place, wait: str | None, timeout: str, dry_run: bool) -> int:
    """Replace keys now.

    The operator makes a new version, puts it into the Secret and restarts the workloads that use it. The old key stays valid until
    they have moved. A key that is still in its last rotation starts the next one when that has ended. Of a key that a person takes the new
    version waits in status.sealed for them.
    """
    from keyturn.cli.waiting import parse_timeout

    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run rotates nothing")
    if selection.names and place.everywhere:
        raise click.UsageError("A name means one namespace: give -n instead of -A")
    options = Options(place, selection, wait or "", parse_timeout(timeout), dry_run)
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Annotate; then follow those that were annotated."""
    from keyturn.base.clock import format_time
    from keyturn.base.names import ROTATE_ANNOTATION
    from keyturn.cli.changing import Change, change_keys
    from keyturn.cli.waiting import Goal, wait_for

    change = Change(
        patch={"metadata": {"annotations": {ROTATE_ANNOTATION: format_time(deps.clock())}}},
        done="rotation requested",
        warn=what_keeps_it_from_rotating if not options.wait else _nothing,
        dry_run=options.dry_run,
    )
    async with await deps.connect(options.place) as client:
        changed, code = await change_keys(change, client, deps, place=options.place, selection=options.selection)
        if not options.wait:
            return code
        goals = [
            Goal(view.namespace, view.name, after_version=view.active_version, word="rotated", until_retired=options.wait == "retired")
            for view in changed
        ]
        return max(code, await wait_for(goals, client, deps, timeout=options.timeout))


def what_keeps_it_from_rotating(view: ApiKeyView) -> str:
    """Why the rotation will not start at once, with what to do; empty: it will."""
    from keyturn.api.v1alpha1.apikey_delivery import Delivery
    from keyturn.api.v1alpha1.conditions import ConditionType, Reason
    from keyturn.cli.waiting import MADE_ELSEWHERE, rotation_waits_for, unpause_line

    if view.delivery == Delivery.NONE:
        return MADE_ELSEWHERE
    if view.is_paused:
        return "it is paused and rotates once the annotation keyturn.dev/paused is removed: " + unpause_line(view)
    stalled = view.holds(ConditionType.STALLED)
    if stalled is not None and stalled.reason != Reason.NOT_RECEIVED:  # which this very request ends
        return f"it is stalled and rotates once that is mended: {stalled.message} ({stalled.reason})"
    return rotation_waits_for(view)


def _nothing(_: ApiKeyView) -> str:
    return ""
