"""`keyturn get`: which keys there are, and how they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from keyturn.cli.apikeys.selection import names_of
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.name_completion import complete_names
from keyturn.cli.place import Place, with_place

if TYPE_CHECKING:
    from keyturn.cli.documents import Document
    from keyturn.cluster.client import Client


@dataclass(frozen=True, slots=True)
class Options:
    """What to list and how to show it."""

    place: Place
    names: tuple[str, ...] = ()
    selector: str | None = None
    key_id: str | None = None
    form: str = ""
    """json, yaml, wide, name; empty: the table."""


@click.command(
    cls=Command,
    examples=[
        Example("The keys of a namespace", "keyturn get -n team-a"),
        Example("Whose key is this? (from a log or a leak report; never the whole key)", "keyturn get -A --key-id 4fQ2mZ81LxPd"),
        Example("Key IDs, for a script: one key a line, columns by tabs, no headings", "keyturn get -n team-a | cut -f5"),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
@with_place(everywhere=True)
@click.option("-l", "--selector", metavar="SELECTOR", help="Keys whose labels match, for example team=payments.")
@click.option("--key-id", metavar="ID", help="The key with this public ID, also if it was replaced.")
@click.option("-o", "--output", "form", type=click.Choice(["json", "yaml", "wide", "name"]), help="Form of the output; unset: a table.")
def get(*, names: tuple[str, ...], place: Place, selector: str | None, key_id: str | None, form: str | None) -> int:
    """List API keys: whether they are ready, their version, key ID and next rotation.

    A terminal gets a table. A pipe gets one key a line, with tabs between the columns, times in RFC 3339 and no headings.
    """
    if sum(map(bool, (names, selector, key_id))) > 1:
        raise click.UsageError("Names, -l and --key-id exclude each other: give one of them")
    if names and place.everywhere:
        raise click.UsageError("A name means one namespace: give -n instead of -A")
    if key_id is not None:
        _refuse_whole_key(key_id)
    options = Options(place, names_of(names), selector, key_id, form or "")
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Ask, and print what was found. Names that do not exist are complained about beside the others."""
    from keyturn.cli.apikeys.apikey_access import namespace_of

    async with await deps.connect(options.place) as client:
        namespace = namespace_of(client, options.place)
        items, code = await _find(options, client, namespace, deps)
    if items or options.form in {"json", "yaml"}:
        deps.console.data(_rendered(items, options, deps))
    elif not code:
        deps.console.say(_nothing(options, namespace))
    return code or (1 if options.key_id and not items else 0)


async def _find(options: Options, client: Client, namespace: str, deps: Deps) -> tuple[list[Document], int]:
    from keyturn.cluster.apikeys import list_apikeys

    if options.names:
        return await _by_name(options.names, client, namespace, deps)
    if options.key_id:
        return await _by_key_id(options.key_id, client, namespace), 0
    return list(await list_apikeys(client, namespace, selector=options.selector)), 0


async def _by_name(names: Sequence[str], client: Client, namespace: str, deps: Deps) -> tuple[list[Document], int]:
    from keyturn.base.errors import KeyturnError
    from keyturn.cli.failure import failure_of, worst
    from keyturn.cluster.apikeys import object_path

    found: list[Document] = []
    codes = []
    for name in names:
        try:
            found.append(await client.get(object_path(namespace, name)))
        except KeyturnError as error:
            failure = failure_of(error)
            deps.console.complain(failure.sentence)
            codes.append(failure.code)
    return found, worst(codes)


async def _by_key_id(key_id: str, client: Client, namespace: str) -> list[Document]:
    """By the API server's index the active versions; where it finds none, by reading all, also the replaced ones."""
    from keyturn.cli.apikeys.apikey_view import decode_apikey
    from keyturn.cluster.apikeys import list_apikeys

    active = await list_apikeys(client, namespace, field_selector=f"status.keyID={key_id}")
    if active:
        return list(active)
    return [item for item in await list_apikeys(client, namespace) if any(each.key_id == key_id for each in decode_apikey(item).versions)]


def _rendered(items: list[Document], options: Options, deps: Deps) -> str:
    from keyturn.cli.apikeys.apikey_view import decode_apikey
    from keyturn.cli.apikeys.listing import render_list
    from keyturn.cli.documents import as_list, render, without_managed_fields

    views = [decode_apikey(item) for item in items]
    if options.form == "name":
        return "\n".join(f"apikey/{view.name}" for view in views)
    if options.form in {"json", "yaml"}:
        shown = [without_managed_fields(item) for item in items]
        return render(shown[0] if len(options.names) == 1 and shown else as_list(shown), options.form)
    return render_list(
        views, now=deps.clock(), wide=options.form == "wide", everywhere=options.place.everywhere, for_terminal=deps.console.is_terminal
    )


def _nothing(options: Options, namespace: str) -> str:
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    if options.key_id:
        return f"No ApiKey {where} has or had key ID {options.key_id}" + (": look everywhere with -A" if namespace else "")
    if options.selector:
        return f"No ApiKey {where} matches {options.selector}"
    return f"There are no ApiKeys {where}. To make one: keyturn create NAME" + (f" -n {namespace}" if namespace else "")


def _refuse_whole_key(key_id: str) -> None:
    if not (key_id.isascii() and key_id.isalnum() and len(key_id) <= 32):  # noqa: PLR2004  the API's own limit
        raise click.UsageError(
            "--key-id takes the public ID, 12 letters and digits, not a key: pipe a key into keyturn inspect to see its ID"
        )
