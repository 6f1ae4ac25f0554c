"""`keyturn revoke`: pulls the emergency brake by an ApiKeyRevocation, or shows first what it would end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.name_completion import complete_names
from keyturn.cli.place import Place, with_place
from keyturn.cli.revocations.revocation_order import with_order

if TYPE_CHECKING:
    from keyturn.cli.documents import Document
    from keyturn.cli.revocations.pulling import Pulling
    from keyturn.cli.revocations.revocation_manifest import Order, Target
    from keyturn.cluster.client import Client

_WHICH: Final = "Say which keys: names, or --key-id, or --all, --product and --minted-before; exactly one of the three"


@dataclass(frozen=True, slots=True)
class Options:
    """What to revoke, and what to say of it."""

    place: Place
    target: Target
    order: Order
    every: bool = False
    """All keys of a namespace, or of all."""
    dry_run: bool = False
    form: str = ""
    """json, yaml; empty: a sentence."""
    wait: bool = False
    timeout: timedelta = timedelta(minutes=5)


@click.command(
    cls=Command,
    examples=[
        Example("What would end, and who uses it; changes nothing", "keyturn revoke billing -n team-a --reason Leaked --dry-run"),
        Example("One key leaked; until every verifier refuses it", "keyturn revoke billing -n team-a --reason Leaked --wait"),
        Example("By key ID, as in a scanner's report", "keyturn revoke --key-id Qm8sT2fLx0Za --reason Leaked"),
        Example(
            "Without an outage: consumers have an hour to move",
            "keyturn revoke --product apis/invoices --mode Replace --replace-within 1h --reason Superseded",
        ),
        Example(
            "Everything minted before the backup leaked, as a file for Git",
            "keyturn revoke --minted-before 2027-01-31T18:00:00Z --reason Leaked --dry-run -o yaml > leaked.yaml",
        ),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_names)
@with_place(everywhere=True)
@click.option("--key-id", "key_ids", metavar="ID", multiple=True, help="A key version by its public key ID, wherever it is; repeatable.")
@click.option("--all", "every", is_flag=True, help="All keys of the namespace; with -A, of all namespaces.")
@click.option("--product", metavar="[NAMESPACE/]NAME", help="All keys of an ApiProduct; with -n, those in that namespace.")
@click.option("--minted-before", metavar="TIME", help="Only versions minted before then: 2027-01-31T18:00:00Z.")
@with_order(modes="Immediate: refused at once. Replace: refused when the consumers have moved to the new key.")
@click.option("--dry-run", is_flag=True, help="Show which versions would end and who uses them; with -o, the object. Change nothing.")
@click.option("-o", "--output", "form", type=click.Choice(["yaml", "json"]), help="Print the object instead of a sentence.")
@click.option("--wait", is_flag=True, help="Wait until the keys are dead and every live verifier refuses them.")
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait waits.")
def revoke(  # noqa: PLR0913  click passes each option
    *,
    names: tuple[str, ...],
    place: Place,
    key_ids: tuple[str, ...],
    every: bool,
    product: str | None,
    minted_before: str | None,
    dry_run: bool,
    form: str | None,
    wait: bool,
    timeout: str,
    order: Order,
) -> int:
    """End keys for good: a key leaked, its owner left.

    Keys that end are replaced: their Secrets get new ones, and workloads restart. Deleting the revocation gives nothing back.
    With --wait, exit code 1: it is not complete in time, or it names an ApiKey or a key ID that nobody knows.
    """
    from keyturn.cli.apikeys.selection import names_of
    from keyturn.cli.apikeys.waiting import parse_timeout
    from keyturn.cli.revocations.revocation_manifest import Target

    matches = every or product or minted_before
    if sum(map(bool, (names, key_ids, matches))) != 1:
        raise click.UsageError(_WHICH)
    if names and place.everywhere:
        raise click.UsageError("A name means one namespace: give -n instead of -A")
    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run revokes nothing")
    target = Target(names=names_of(names), key_ids=key_ids, product=product or "", minted_before=minted_before or "")
    options = Options(place, target, order, every, dry_run, form or "", wait, parse_timeout(timeout))
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Show, or create and say so; wait where asked."""
    from keyturn.cli.revocations.pulling import Pulling
    from keyturn.cli.revocations.revocation_manifest import revocation_manifests
    from keyturn.cli.revocations.revoking import are_sound, with_caller

    async with await deps.connect(options.place) as client:
        target = _in_place(options, client)
        manifests = revocation_manifests(target, options.order, now=deps.clock())
        if not are_sound(manifests, deps):
            return ExitCode.USED_WRONGLY
        if options.dry_run:
            return await _show(manifests, options, client, deps)
        return await _pull(await with_caller(manifests, client), options, Pulling(client, deps))


def _in_place(options: Options, client: Client) -> Target:
    """The namespace counts where it was named, and for names and --all also where the kubeconfig names it."""
    from dataclasses import replace

    target, place = options.target, options.place
    wanted = "" if place.everywhere else place.namespace or ""
    if target.names or (options.every and not place.everywhere) or (target.product and "/" not in target.product):
        wanted = wanted or client.namespace
    return replace(target, namespace="" if target.key_ids else wanted)


async def _show(manifests: list[dict[str, object]], options: Options, client: Client, deps: Deps) -> int:
    from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
    from keyturn.base.wording import counted
    from keyturn.cli.revocations.blast_radius import losses, losses_table, not_found, with_workloads
    from keyturn.cli.revocations.pulling import SPELT_RIGHT
    from keyturn.cluster.apikeys import list_apikeys

    if options.form:
        _print(manifests, options, deps, as_one=len(manifests) == 1)
        return ExitCode.FINE
    apikeys = await list_apikeys(client, options.place.namespace or "" if options.target.names else "")
    revocations = [ApiKeyRevocation.model_validate(each) for each in manifests]
    found = [loss for each in revocations for loss in losses(each, apikeys, now=deps.clock())]
    if found:
        deps.console.data(losses_table(await with_workloads(client, found), for_terminal=deps.console.is_terminal))
    for missing in [missing for each in revocations for missing in not_found(each, apikeys)]:
        deps.console.warn(f"{missing}. {SPELT_RIGHT}")
    ending = "end at once" if options.order.mode == "Immediate" else "end when their consumers have moved"
    deps.console.say(f"{counted(len(found), 'key version')} would {ending} (dry run). Keys that outlived their ApiKey are not shown")
    return ExitCode.FINE


def _print(documents: list[dict[str, object]], options: Options, deps: Deps, *, as_one: bool) -> None:
    from keyturn.cli.documents import as_list, render, without_managed_fields

    shown: list[Document] = [without_managed_fields(each) for each in documents]
    deps.console.data(render(shown[0] if as_one else as_list(shown), options.form))


async def _pull(manifests: list[dict[str, object]], options: Options, pulling: Pulling) -> int:
    created, refused = await pulling.create_all(manifests, is_told=not options.form)
    if options.form and created:
        _print([dict(each) for each in created], options, pulling.deps, as_one=len(manifests) == 1)
    return max(refused, await pulling.go_on(created, timeout=options.timeout if options.wait else None))
