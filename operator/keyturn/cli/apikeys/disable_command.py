"""`keyturn disable` and `keyturn enable`: the planned pause of a key. For a leaked one there is `minVersion` and revocation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.apikeys.selection import Selection, with_selection
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.place import Place, with_place

if TYPE_CHECKING:
    from keyturn.cli.apikeys.apikey_view import ApiKeyView


@dataclass(frozen=True, slots=True)
class Options:
    """Which keys, and whether they are to be refused."""

    place: Place
    selection: Selection
    disabled: bool
    dry_run: bool = False


_DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Have the API server check it; change nothing.")


@click.command(
    cls=Command,
    examples=[
        Example("One key", "keyturn disable billing -n team-a"),
        Example("Which keys a team would lose", "keyturn disable -n team-a -l team=payments --dry-run"),
    ],
)
@with_selection
@with_place(everywhere=True)
@_DRY_RUN
def disable(*, selection: Selection, place: Place, dry_run: bool) -> int:
    """Have keys refused everywhere until they are enabled again. Secrets and workloads stay as they are.

    This sets spec.disabled. Where Git keeps the ApiKey (Argo CD, Flux), Git puts it back: change it there too. For a leaked key rotate
    and raise spec.minVersion instead: that ends it for good.
    """
    return _start(Options(place, selection, disabled=True, dry_run=dry_run))


@click.command(cls=Command, examples=[Example("One key", "keyturn enable billing -n team-a")])
@with_selection
@with_place(everywhere=True)
@_DRY_RUN
def enable(*, selection: Selection, place: Place, dry_run: bool) -> int:
    """Have disabled keys accepted again.

    This removes spec.disabled. What was revoked or has expired stays refused.
    """
    return _start(Options(place, selection, disabled=False, dry_run=dry_run))


def _start(options: Options) -> int:
    if options.selection.names and options.place.everywhere:
        raise click.UsageError("A name means one namespace: give -n instead of -A")
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Patch spec.disabled."""
    from keyturn.cli.apikeys.changing import Change, change_keys

    change = Change(
        patch={"spec": {"disabled": True if options.disabled else None}},
        done="disabled" if options.disabled else "enabled",
        warn=who_may_put_it_back,
        dry_run=options.dry_run,
    )
    async with await deps.connect(options.place) as client:
        _, code = await change_keys(change, client, deps, place=options.place, selection=options.selection)
    return code


def who_may_put_it_back(view: ApiKeyView) -> str:
    """A warning where the object shows that a tool keeps it as Git has it; empty: nothing shows."""
    from keyturn.cli.apikeys.gitops_traces import keeper_by_marks

    tool = keeper_by_marks({*dict(view.labels), *dict(view.annotations)})
    return f"{tool} manages it and may put spec.disabled back: change it in Git as well" if tool else ""
