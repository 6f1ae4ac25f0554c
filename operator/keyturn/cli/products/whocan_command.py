"""`keyturn whocan`: who has keys of an API."""

from __future__ import annotations

from dataclasses import dataclass

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.name_completion import complete_products
from keyturn.cli.place import Place, with_place


@dataclass(frozen=True, slots=True)
class Options:
    """Which product, and in which form."""

    place: Place
    product: str
    as_json: bool = False


@click.command(
    cls=Command,
    examples=[
        Example("Who uses my API, and what may they do?", "keyturn whocan invoices -n billing-api"),
        Example(
            "Who waits for me, for a script",
            "keyturn whocan invoices -n billing-api -o json | jq -r '.keys[] | select(.approved == false) | .namespace + \"/\" + .name'",
        ),
    ],
)
@click.argument("product", shell_complete=complete_products)
@with_place()
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="json: one object whose fields are always there.")
def whocan(*, product: str, place: Place, form: str | None) -> int:
    """Tell who has keys of an ApiProduct: every ApiKey that refers to it, its plan, its scopes in force, its approval, its last use.

    GRANT is what the product's owner wrote. A grant whose ApiKey is not there, or may not be seen, stands with NoApiKey. -n is the
    product's namespace. What your role does not let it read is named on standard error.
    """
    return run_with_deps(lambda deps: run(Options(place, product, as_json=form == "json"), deps))


async def run(options: Options, deps: Deps) -> int:
    """Read, put together, print."""
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.documents import render
    from keyturn.cli.products.apiproduct_view import product_named
    from keyturn.cli.products.product_access import access_json, render_holders
    from keyturn.cli.products.product_sources import read_product_access

    async with await deps.connect(options.place) as client:
        where = product_named(options.product, namespace=namespace_of(client, options.place))
        access = await read_product_access(client, where)
    if options.as_json:
        deps.console.data(render(access_json(access), "json"))
        return ExitCode.FINE
    names = "" if access.admitted is None else f": {', '.join(access.admitted) or 'none has these labels'}"
    deps.console.say(f"ApiProduct {where} admits {access.product.admitted}{names}")
    if access.holders:
        deps.console.data(render_holders(access.holders, now=deps.clock(), for_terminal=deps.console.is_terminal))
    else:
        deps.console.say("No ApiKey refers to it")
    if access.same_audience:
        others = ", ".join(map(str, access.same_audience))
        deps.console.warn(f"audience {access.product.audience} is also named by {others}: the oldest has it, the others give no keys")
    for sentence in access.not_seen:
        deps.console.warn(f"not seen: {sentence}")
    return ExitCode.FINE
