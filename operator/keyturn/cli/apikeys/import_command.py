"""`keyturn import`: ApiKeys for keys that exist already, from a file. Keys are hashed here; none of them is sent anywhere."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.place import Place, with_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn.cli.apikeys.import_rows import Row
    from keyturn.cli.apikeys.importing import Outcome


@dataclass(frozen=True, slots=True)
class Options:
    """What to do with the file, and what to say of it."""

    place: Place
    at_least_bits: int = 0
    dry_run: bool = False
    form: str = ""
    """json: the report; yaml: manifests, and no cluster is asked; empty: a table."""


@click.command(
    cls=Command,
    name="import",
    examples=[
        Example("What would become of each row; nothing is stored", "keyturn import keys.csv -n shop --dry-run"),
        Example("Do it; what was done before is left alone", "keyturn import keys.csv -n shop"),
        Example("Manifests for Git, of digests alone", "keyturn import digests.csv -n shop --at-least-bits 128 -o yaml > keys.yaml"),
        Example("From another system, without a file on the disk", "export-keys | keyturn import - -n shop"),
    ],
)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@with_place()
@click.option(
    "--at-least-bits", metavar="N", type=click.IntRange(min=0), default=0, help="How strong the keys behind bare digests are, by your word."
)
@click.option("--dry-run", is_flag=True, help="Have the API server check it; store nothing.")
@click.option(
    "-o", "--output", "form", type=click.Choice(["json", "yaml"]), help="json: the report. yaml: manifests for Git, nothing else."
)
def import_(*, file: TextIO, place: Place, at_least_bits: int, dry_run: bool, form: str | None) -> int:
    """Have keys accepted that exist already: of another system, or minted outside of the cluster.

    FILE is CSV with a line of column names, or a JSON list of objects; -: standard input. Columns: name, key or digest, and where wanted
    namespace, keyID, product, plan, scopes (separated by spaces), audience and expirationTime. A key is hashed here and never sent; each
    row becomes an ApiKey of delivery None with its digest. Keys under 112 bits are refused. Exit code 1: some row was not imported; run it
    again after mending that one.
    """
    try:
        text = file.read()
    except UnicodeDecodeError:
        raise click.UsageError("the file is no text in UTF-8") from None
    options = Options(place, at_least_bits, dry_run, form or "")
    return run_with_deps(lambda deps: run(options, deps, text=text))


async def run(options: Options, deps: Deps, *, text: str) -> int:
    """Judge every row, make ApiKeys of the good ones, and report."""
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.apikeys.importing import import_rows, refused

    if options.form == "yaml":
        rows = _rows(options, deps, text=text, namespace=options.place.namespace or "default")
        return _print_manifests(rows, deps)
    async with await deps.connect(options.place) as client:
        rows = _rows(options, deps, text=text, namespace=namespace_of(client, options.place))
        if all(row.manifest is None for row in rows):
            return _report([refused(row) for row in rows], options, deps)
        return _report(await import_rows(client, rows, dry_run=options.dry_run), options, deps)


def _rows(options: Options, deps: Deps, *, text: str, namespace: str) -> tuple[Row, ...]:
    from keyturn.cli.apikeys.import_rows import read_rows

    return read_rows(text, namespace=namespace, at_least_bits=options.at_least_bits, now=deps.clock())


def _print_manifests(rows: Sequence[Row], deps: Deps) -> int:
    from keyturn.cli.documents import render

    good = [row.manifest for row in rows if row.manifest is not None]
    if good:
        deps.console.data("\n---\n".join(render(manifest, "yaml") for manifest in good))
    for row in rows:
        if row.manifest is None:
            deps.console.complain(f"line {row.line} ({row.where}): {row.problem}")
    return ExitCode.FINE if len(good) == len(rows) else ExitCode.FAILED


def _report(outcomes: Sequence[Outcome], options: Options, deps: Deps) -> int:
    from keyturn.cli.apikeys.importing import report_json, report_table
    from keyturn.cli.documents import render
    from keyturn.cli.failure import worst

    console = deps.console
    if options.form == "json":
        console.data(render(report_json(outcomes), "json"))
    else:
        console.data(report_table(outcomes, for_terminal=console.is_terminal))
    counted = Counter(str(each.result) for each in outcomes)
    dry = " (server dry run)" if options.dry_run else ""
    console.say(", ".join(f"{count} {result}" for result, count in sorted(counted.items())) + dry)
    return worst([each.code for each in outcomes])
