"""`keyturn rotate`: asks the operator for a rotation by an annotation, and follows it where asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from keyturn.cli.apikeys.selection import Selection, with_selection
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.place import Place, with_place

if TYPE_CHECKING:
    from keyturn.cli.apikeys.apikey_view import ApiKeyView


@dataclass(frozen=True, slots=True)
class Options:
    """Which keys, and what to wait for."""

    place: Place
    selection: Selection
    wait: str = ""
    """active, retired; empty: nothing."""
    timeout: timedelta = timedelta(minutes=5)
    dry_run: bool = False
    once: bool = False
    as_json: bool = False


@click.command(
    cls=Command,
    bare={"--wait": "active"},
    examples=[
        Example("One key; go on at once", "keyturn rotate billing -n team-a"),
        Example("And wait until the Secret holds the new key", "keyturn rotate billing -n team-a --wait"),
        Example("Every key of a team, until all old ones have ended", "keyturn rotate -l team=payments --wait=retired --timeout 48h"),
        Example("The next version of your own key, shown this once: into the clipboard", "keyturn rotate laptop -n shop --once | pbcopy"),
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
@click.option(
    "--once",
    is_flag=True,
    help="Of one key that a person takes: print the new version on standard output, this once. Ctrl-C before that leaves all as it was.",
)
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="With --once: key, key ID and version as one object.")
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait and --once wait.")
@click.option("--dry-run", is_flag=True, help="Have the API server check it; change nothing.")
def rotate(*, selection: Selection, place: Place, wait: str | None, once: bool, form: str | None, timeout: str, dry_run: bool) -> int:
    """Replace keys now.

    The operator makes a new version, puts it into the Secret and restarts the workloads that use it. The old key stays valid until
    they have moved. A key that is still in its last rotation starts the next one when that has ended. Of a key that a person takes the new
    version waits in status.sealed for them; with --once it is encrypted to this process instead, printed, and stored nowhere.
    """
    from keyturn.cli.apikeys.waiting import parse_timeout

    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run rotates nothing")
    if selection.names and place.everywhere:
        raise click.UsageError("A name means one namespace: give -n instead of -A")
    _refuse_mistakes(selection, once=once, wait=bool(wait), as_json=form == "json")
    options = Options(place, selection, wait or "", parse_timeout(timeout), dry_run, once, form == "json")
    return run_with_deps(lambda deps: run(options, deps))


def _refuse_mistakes(selection: Selection, *, once: bool, wait: bool, as_json: bool) -> None:
    if as_json and not once:
        raise click.UsageError("-o json shows a key, which goes with --once")
    if once and len(selection.names) != 1:
        raise click.UsageError("--once prints one key: name one ApiKey, without -l and --all")
    if once and wait:
        raise click.UsageError("--once waits by itself: leave --wait away")


async def run(options: Options, deps: Deps) -> int:
    """Annotate; then follow those that were annotated, or take the one that is for this process."""
    if options.once:
        return await _take(options, deps)
    from keyturn.base.clock import format_time
    from keyturn.base.names import ROTATE_ANNOTATION
    from keyturn.cli.apikeys.changing import Change, change_keys
    from keyturn.cli.apikeys.hindrances import what_keeps_it_from_rotating
    from keyturn.cli.apikeys.waiting import Goal, wait_for

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


async def _take(options: Options, deps: Deps) -> int:
    from keyturn.base.names import Key
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.apikeys.rotate_once import Once, rotate_once

    async with await deps.connect(options.place) as client:
        where = Key(namespace_of(client, options.place), options.selection.names[0])
        return await rotate_once(Once(where, options.timeout, as_json=options.as_json, dry_run=options.dry_run), client, deps)


def _nothing(_: ApiKeyView) -> str:
    return ""
