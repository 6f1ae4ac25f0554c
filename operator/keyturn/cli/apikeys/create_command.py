"""`keyturn create`: an ApiKey from options; what is wrong with it is said before the cluster is asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.command import Command, Example, comma_separated
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.name_completion import complete_products_anywhere
from keyturn.cli.place import Place, with_place
from keyturn.cli.products.product_completion import complete_plans, complete_scopes

if TYPE_CHECKING:
    from keyturn.cli.apikeys.manifest import Wish
    from keyturn.cli.documents import Document
    from keyturn.keys.age_envelope import AgeIdentity


_TIMEOUT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Options:
    """What to create, and what to say of it."""

    place: Place
    wish: Wish
    dry_run: str = ""
    """client: ask nobody; server: ask, but nothing is stored; empty: do it."""
    form: str = ""
    """json, yaml, name; empty: a sentence."""
    wait: bool = False
    timeout: timedelta = _TIMEOUT
    identity: AgeIdentity | None = None
    """Opens the key, which is shown once; None: the key goes to workloads."""


def _pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    for value in values:
        if "=" not in value.lstrip("="):
            raise click.BadParameter(f"{value!r} is no pair: write KEY=VALUE", param=parameter)
    return tuple((key, text) for key, _, text in (value.partition("=") for value in values))


@click.command(
    cls=Command,
    bare={"--dry-run": "client"},
    examples=[
        Example(
            "A key that rotates every thirty days; workloads find it in Secret billing", "keyturn create billing -n team-a --interval 720h"
        ),
        Example("The same as a file for Git", "keyturn create billing -n team-a --interval 720h --dry-run=client -o yaml > billing.yaml"),
        Example(
            "A key of an API: it waits until the API's owner approves it",
            "keyturn create billing -n shop --product billing-api/invoices --plan basic --scopes invoices:read",
        ),
        Example("A key for yourself, shown this once: into the clipboard", "keyturn create laptop -n shop --once --expires 720h | pbcopy"),
        Example(
            "At three in the morning on the first of the month, in a file of its client's own format",
            "keyturn create billing --schedule '0 3 1 * *' --time-zone Europe/Berlin --secret-data 'auth.ini=key=$(API_KEY)'",
        ),
    ],
)
@click.argument("name")
@with_place()
@click.option(
    "--product",
    metavar="[NAMESPACE/]NAME",
    shell_complete=complete_products_anywhere,
    help="The API that the key is for, an ApiProduct. Unset: none, with the default audience and no scopes.",
)
@click.option("--plan", metavar="NAME", shell_complete=complete_plans, help="The product's plan to ask for. Unset: its default one.")
@click.option(
    "--scopes",
    metavar="NAME,...",
    callback=comma_separated,
    shell_complete=complete_scopes,
    help="The scopes to ask for. Unset: all that the plan offers.",
)
@click.option("--interval", metavar="DURATION", help="How old a key may become, in h, m and s: 720h. Unset: the platform's, 2160h.")
@click.option("--schedule", metavar="CRON", help="When rotations are due, instead of --interval: '0 3 1 * *'.")
@click.option("--time-zone", metavar="ZONE", help="Zone of --schedule, for example Europe/Berlin. Unset: UTC.")
@click.option("--manual", is_flag=True, help="Rotate only when asked: keyturn rotate.")
@click.option("--grace-period", metavar="DURATION", help="How long a replaced key lives on at least: 24h.")
@click.option("--expires", metavar="TIME", help="When every version ends: 2027-01-31T18:00:00Z, or 720h from now. Unset: never.")
@click.option("--secret-name", metavar="NAME", help="Secret that holds the key. Unset: the ApiKey's name.")
@click.option(
    "--secret-label", "secret_labels", metavar="KEY=VALUE", multiple=True, callback=_pairs, help="A label for the Secret; repeatable."
)
@click.option(
    "--secret-data",
    metavar="NAME=TEXT",
    multiple=True,
    callback=_pairs,
    help="A further entry of the Secret; $(API_KEY), $(KEY_ID), $(VERSION) and $(PREVIOUS_API_KEY) are replaced. Repeatable.",
)
@click.option("--keep-previous", is_flag=True, help="While a replaced key is accepted, the Secret also holds it.")
@click.option("--label", "labels", metavar="KEY=VALUE", multiple=True, callback=_pairs, help="A label for the ApiKey; repeatable.")
@click.option("--contact", metavar="TEXT", help="Whom to call when this key leaks.")
@click.option(
    "--dry-run", metavar="client|server", type=click.Choice(["client", "server"]), help="client: ask nobody. server: ask, store nothing."
)
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json", "name"]), help="Print the object instead of a sentence.")
@click.option("--wait", is_flag=True, help="Wait until the Secret holds a key.")
@click.option(
    "--once", is_flag=True, help="Print the key on standard output, this once; no Secret is made. Ctrl-C before that takes all back."
)
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait and --once wait.")
def create(
    *, place: Place, dry_run: str | None, form: str | None, wait: bool, once: bool, timeout: str, expires: str | None, **wish: object
) -> int:
    """Ask for a new API key. Without options it rotates every ninety days, into a Secret of its own name.

    With --product it waits until the API's owner approves it, unless the product does so by itself: keyturn products -A.

    With --once the key is for you: it is encrypted on its way to this process, printed, and stored nowhere. It rotates only on request.
    """
    from pydantic import TypeAdapter

    from keyturn.base.clock import utc_now
    from keyturn.cli.apikeys.manifest import Wish, expiration_time
    from keyturn.cli.apikeys.waiting import parse_timeout
    from keyturn.cli.products.apiproduct_view import product_named

    if once and (wait or dry_run or form):
        raise click.UsageError("--once prints the key and nothing else: leave --wait, --dry-run and -o away")
    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run makes nothing to wait for")
    try:
        end = expiration_time(expires, now=utc_now()) if expires else None
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None
    product = product_named(wish["product"], namespace="") if isinstance(wish["product"], str) else None
    if product is None and (wish["plan"] or wish["scopes"]):
        raise click.UsageError("--plan and --scopes are a product's to give: name it with --product")
    identity = _new_identity() if once else None
    recipient = identity.recipient if identity is not None else None
    asked = TypeAdapter(Wish).validate_python({**wish, "product": product, "expiration_time": end, "recipient": recipient})
    _refuse_mistakes(asked)
    options = Options(place, asked, dry_run or "", form or "", wait, parse_timeout(timeout), identity)
    return run_with_deps(lambda deps: run(options, deps))


def _new_identity() -> AgeIdentity:
    from keyturn.keys.age_envelope import AgeIdentity

    return AgeIdentity.generate()


def _refuse_mistakes(wish: Wish) -> None:
    from keyturn.cli.apikeys.manifest import apikey_manifest, mistakes_in

    mistakes = mistakes_in(apikey_manifest(wish, namespace=""))
    if mistakes:
        raise click.UsageError("The ApiKey would be refused; nothing was sent:\n" + "\n".join(f"  {mistake}" for mistake in mistakes))


async def run(options: Options, deps: Deps) -> int:
    """Create it and say so; wait where asked."""
    from keyturn.base.names import Key
    from keyturn.cli.apikeys.apikey_access import namespace_of
    from keyturn.cli.apikeys.create_once import NewKey
    from keyturn.cli.apikeys.manifest import apikey_manifest
    from keyturn.cli.apikeys.waiting import Goal, wait_for
    from keyturn.cluster.apikeys import collection_path

    if options.dry_run == "client":
        _tell(apikey_manifest(options.wish, namespace=options.place.namespace or ""), options, deps)
        return ExitCode.FINE
    async with await deps.connect(options.place) as client:
        namespace = namespace_of(client, options.place)
        query = {"dryRun": "All"} if options.dry_run else None
        manifest = apikey_manifest(options.wish, namespace=namespace)
        if options.identity is not None:
            wanted = NewKey(client, deps, Key(namespace, options.wish.name), manifest, options.identity)
            return await wanted.create_and_take(timeout=options.timeout)
        answer = await client.post(collection_path(namespace), manifest, query=query)
        _tell(answer, options, deps)
        if not options.wait:
            return ExitCode.FINE
        goal = Goal(namespace, options.wish.name, after_version=0, word="issued")
        return await wait_for([goal], client, deps, timeout=options.timeout)


def _tell(answer: Document, options: Options, deps: Deps) -> None:
    from keyturn.cli.documents import render, without_managed_fields

    name = f"apikey/{options.wish.name}"
    if options.form in {"json", "yaml"}:
        deps.console.data(render(without_managed_fields(answer), options.form))
    elif options.form == "name":
        deps.console.data(name)
    else:
        deps.console.data(f"{name} created" + {"client": " (dry run)", "server": " (server dry run)"}.get(options.dry_run, ""))
