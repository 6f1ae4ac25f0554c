"""`keyturn products`: which APIs there are to have keys of."""

from __future__ import annotations

from dataclasses import dataclass

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.place import Place, with_place


@dataclass(frozen=True, slots=True)
class Options:
    """Where to look, and how to show it."""

    place: Place
    form: str = ""
    """json, yaml, wide; empty: the table."""


@click.command(
    cls=Command,
    examples=[
        Example("Every API that there is", "keyturn products -A"),
        Example("Who waits for an approval of mine? NAME and PENDING, for a script", "keyturn products -n billing-api | cut -f1,7"),
    ],
)
@with_place(everywhere=True)
@click.option("-o", "--output", "form", type=click.Choice(["json", "yaml", "wide"]), help="Form of the output; unset: a table.")
def products(*, place: Place, form: str | None) -> int:
    """List ApiProducts: audience, plans, who approves, who is admitted, and how their ApiKeys stand.

    READY counts ApiKeys whose key is accepted, PENDING those that wait for the product's owner, DISABLED those whose key is refused.
    With -A it warns of an audience that products of several namespaces name: the oldest of them has it, the others give no keys.
    A terminal gets a table. A pipe gets one product a line, with tabs between the columns, times in RFC 3339 and no headings.
    """
    return run_with_deps(lambda deps: run(Options(place, form or ""), deps))


async def run(options: Options, deps: Deps) -> int:
    """Ask, and print what was found."""
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.documents import as_list, render, without_managed_fields
    from keyturn.cli.products.apiproduct_view import decode_product_view
    from keyturn.cli.products.product_listing import render_products, shared_audiences
    from keyturn.cluster.apiproducts import list_apiproducts

    async with await deps.connect(options.place) as client:
        namespace = namespace_of(client, options.place)
        items = await list_apiproducts(client, namespace)
    views = [decode_product_view(item) for item in items]
    if options.form in {"json", "yaml"}:
        deps.console.data(render(as_list([without_managed_fields(item) for item in items]), options.form))
    elif items:
        table = render_products(
            views,
            now=deps.clock(),
            wide=options.form == "wide",
            everywhere=options.place.everywhere,
            for_terminal=deps.console.is_terminal,
        )
        deps.console.data(table)
    else:
        where = f"in namespace {namespace}: look everywhere with -A" if namespace else "in the cluster"
        deps.console.say(f"There are no ApiProducts {where}")
    for sentence in shared_audiences(views):
        deps.console.warn(sentence)
    return ExitCode.FINE
