"""`keyturn approve`: the API owner's consent for one ApiKey, written into the ApiProduct or printed for Git."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import click

from keyturn.cli.apikeys.selection import names_of
from keyturn.cli.command import Command, Example, comma_separated
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.name_completion import complete_names, complete_products_anywhere
from keyturn.cli.place import Place, with_place


@dataclass(frozen=True, slots=True)
class Options:
    """Which ApiKey gets what, and how."""

    place: Place
    name: str
    product: str | None = None
    plan: str | None = None
    scopes: tuple[str, ...] | None = None
    form: str = ""
    """yaml, json: print the grant and write nothing; empty: write it."""
    dry_run: bool = False
    force: bool = False
    wait: bool = False
    timeout: timedelta = timedelta(minutes=5)


@click.command(
    cls=Command,
    examples=[
        Example("What would be granted? Nothing is written", "keyturn approve billing -n shop --dry-run"),
        Example("What the ApiKey asks for", "keyturn approve billing -n shop"),
        Example("Less than that, and wait until it is in force", "keyturn approve billing -n shop --scopes invoices:read --wait"),
        Example("For Git: append it to spec.access.grants", "keyturn approve billing -n shop -o yaml"),
        Example(
            "Before the ApiKey is there, or without a right to read it", "keyturn approve billing -n shop --product billing-api/invoices"
        ),
    ],
)
@click.argument("name", shell_complete=complete_names)
@with_place()
@click.option("--plan", metavar="NAME", help="The plan to grant. Unset: the one that the ApiKey asks for, or the product's default.")
@click.option(
    "--scopes",
    metavar="NAME,...",
    callback=comma_separated,
    help="The scopes to grant. Unset: those the ApiKey asks for, or all of the plan.",
)
@click.option(
    "--product",
    metavar="[NAMESPACE/]NAME",
    shell_complete=complete_products_anywhere,
    help="The ApiProduct. Unset: the one that the ApiKey refers to.",
)
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="Print the grant for Git; write nothing.")
@click.option("--dry-run", is_flag=True, help="Have the API server check it; change nothing.")
@click.option("--force", is_flag=True, help="Write it also where Argo CD, Flux or Helm keeps the product.")
@click.option("--wait", is_flag=True, help="Wait until the ApiKey says that it has what was granted.")
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait waits.")
def approve(  # noqa: PLR0913  one for each option
    *,
    name: str,
    place: Place,
    plan: str | None,
    scopes: tuple[str, ...] | None,
    product: str | None,
    form: str | None,
    dry_run: bool,
    force: bool,
    wait: bool,
    timeout: str,
) -> int:
    """Let an ApiKey have a plan of an ApiProduct. -n is the ApiKey's namespace.

    The grant goes into the product's spec.access.grants, beside those of other ApiKeys, in the place of an older one for the same
    ApiKey. Where Git keeps the product it is printed instead, with exit code 1: commit it there. It takes the right to change the
    ApiProduct; the right to read the ApiKey unless --product is given.
    """
    from keyturn.cli.apikeys.waiting import parse_timeout

    if wait and (dry_run or form):
        raise click.UsageError("--wait excludes --dry-run and -o: they change nothing that could be waited for")
    (single,) = names_of((name,))
    options = Options(place, single, product, plan, scopes, form or "", dry_run, force, wait, parse_timeout(timeout))
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Look at both, decide, write or print; wait where asked."""
    from keyturn.base.names import Key
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.products.granting import grant

    async with await deps.connect(options.place) as client:
        return await grant(options, client, deps, apikey=Key(namespace_of(client, options.place), options.name))
