"""`keyturn describe`: one answer from many objects."""

from __future__ import annotations

from dataclasses import dataclass

import click

from keyturn.cli.apikeys.selection import names_of
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.name_completion import complete_names
from keyturn.cli.place import Place, with_place


@dataclass(frozen=True, slots=True)
class Options:
    """Which key, and in which form."""

    place: Place
    name: str
    as_json: bool = False


@click.command(
    cls=Command,
    examples=[
        Example("Why does it not rotate? Who still uses the old key?", "keyturn describe billing -n team-a"),
        Example(
            "Which workloads are not done, for a script",
            "keyturn describe billing -o json | jq -r '.consumers[] | select(.done == false) | .name'",
        ),
    ],
)
@click.argument("name", shell_complete=complete_names)
@with_place()
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="json: one object whose fields are always there.")
def describe(*, name: str, place: Place, form: str | None) -> int:
    """Tell everything about one API key: its versions, who uses it, what it waits for, what you can do.

    It reads the ApiKey, the metadata of its Secret (never its data), the workloads and pods of the namespace, and Events. What your
    role does not let it read is named at the end.
    """
    (single,) = names_of((name,))
    return run_with_deps(lambda deps: run(Options(place, single, as_json=form == "json"), deps))


async def run(options: Options, deps: Deps) -> int:
    """Read, put together, print."""
    from keyturn.cli.apikeys.advice import next_steps, things_waited_for
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.apikeys.describe_sources import read_sources
    from keyturn.cli.apikeys.description import Description, consumers_of
    from keyturn.cli.apikeys.description_json import description_json
    from keyturn.cli.apikeys.description_text import render_description
    from keyturn.cli.documents import render

    async with await deps.connect(options.place) as client:
        seen = await read_sources(client, namespace_of(client, options.place), options.name)
    consumers = consumers_of(seen.key, seen.consumers) if seen.consumers is not None else None
    description = Description(
        key=seen.key,
        secret=seen.secret,
        consumers=consumers,
        events=seen.events,
        waits_for=things_waited_for(seen.key, consumers),
        next_steps=next_steps(seen.key, seen.secret, consumers),
        not_seen=seen.not_seen,
    )
    deps.console.data(
        render(description_json(description), "json") if options.as_json else render_description(description, now=deps.clock())
    )
    return ExitCode.FINE
