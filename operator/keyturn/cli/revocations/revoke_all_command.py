"""`keyturn revoke-all`: a backup leaked, so every key in it ends. One revocation, looked on until no verifier takes any of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.place import Place, with_place
from keyturn.cli.revocations.revocation_order import with_order
from keyturn.cluster.raw import mapping_of, text_of

if TYPE_CHECKING:
    from keyturn.cli.revocations.revocation_manifest import Order, Target
    from keyturn.cli.revocations.revoking import Outcome
    from keyturn.cluster.client import Client


@dataclass(frozen=True, slots=True)
class Options:
    """What to revoke, or which revocation to look on at."""

    place: Place
    target: Target
    order: Order
    follow: str = ""
    """Name of one that is there."""
    dry_run: bool = False
    as_json: bool = False
    timeout: timedelta = timedelta(minutes=30)


@click.command(
    cls=Command,
    examples=[
        Example(
            "A backup of 31 January leaked: what would end?",
            "keyturn revoke-all --minted-before 2027-01-31T18:00:00Z --reason Leaked --dry-run",
        ),
        Example("End it all", "keyturn revoke-all --minted-before 2027-01-31T18:00:00Z --reason Leaked --note 'INC-1234'"),
        Example(
            "Every consumer gets its new key first; four hours at the most",
            "keyturn revoke-all --minted-before 2027-01-31T18:00:00Z --reason Leaked --mode Replace --replace-within 4h",
        ),
        Example("Look on again, after Ctrl-C or from elsewhere", "keyturn revoke-all --follow leaked-keys-20270201-091500"),
    ],
)
@with_place(everywhere=True)
@click.option(
    "--minted-before", metavar="TIME", help="Every version minted before then, say when the backup was made: 2027-01-31T18:00:00Z."
)
@click.option("--product", metavar="[NAMESPACE/]NAME", help="Only keys of an ApiProduct.")
@with_order(
    modes="Immediate: all refused at once, then replaced. Replace: replaced one after another, each refused when its consumers have moved.",
    required=False,
)
@click.option("--follow", metavar="NAME", help="Create nothing: look on at a revocation that is there.")
@click.option("--dry-run", is_flag=True, help="Show how many keys would end, by namespace. Change nothing.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="json: one object whose fields are always there.")
@click.option("--timeout", metavar="DURATION", default="30m", show_default=True, help="How long to look on.")
def revoke_all(
    *,
    place: Place,
    minted_before: str | None,
    product: str | None,
    follow: str | None,
    dry_run: bool,
    form: str | None,
    timeout: str,
    order: Order,
) -> int:
    """End every key that was minted before a time: a backup leaked, a namespace's Secrets were read.

    What leaked ends first, all of it; only then new keys are issued into the same Secrets. The operator does it: Ctrl-C ends the looking
    on and nothing else. Without -n: of all namespaces.
    """
    from keyturn.cli.apikeys.waiting import parse_timeout
    from keyturn.cli.revocations.revocation_manifest import Target

    if bool(follow) == bool(minted_before):
        raise click.UsageError("Say what ends by --minted-before, or which revocation to look on at by --follow; one of the two")
    if follow and dry_run:
        raise click.UsageError("--follow and --dry-run exclude each other: nothing is created in either case")
    if minted_before and not order.reason:
        raise click.UsageError("Missing option '--reason'")
    target = Target(product=product or "", minted_before=minted_before or "")
    options = Options(place, target, order, follow or "", dry_run, form == "json", parse_timeout(timeout))
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Show, or create and look on."""
    from keyturn.cli.revocations.revocation_manifest import revocation_manifests
    from keyturn.cli.revocations.revoking import are_sound

    async with await deps.connect(options.place) as client:
        if options.follow:
            return await _look_on(options.follow, options, client, deps)
        (manifest,) = revocation_manifests(_in_place(options, client), options.order, now=deps.clock())
        if not are_sound([manifest], deps):
            return ExitCode.USED_WRONGLY
        if options.dry_run:
            return await _show(manifest, options, client, deps)
        return await _pull(manifest, options, client, deps)


def _in_place(options: Options, client: Client) -> Target:
    """Without -n, all namespaces: the kubeconfig's own would leave most of a backup alive."""
    from dataclasses import replace

    target, place = options.target, options.place
    if target.product and "/" not in target.product:
        target = replace(target, product=f"{place.namespace or client.namespace}/{target.product}")
    return replace(target, namespace=place.namespace or "")


async def _show(manifest: dict[str, object], options: Options, client: Client, deps: Deps) -> int:
    from keyturn.api.v1alpha1.apikeyrevocation import ApiKeyRevocation
    from keyturn.base.wording import counted
    from keyturn.cli.documents import render
    from keyturn.cli.revocations.blast_radius import losses, radius, radius_json, radius_table
    from keyturn.cluster.apikeys import list_apikeys

    found = radius(losses(ApiKeyRevocation.model_validate(manifest), await list_apikeys(client, ""), now=deps.clock()))
    if options.as_json:
        deps.console.data(render(radius_json(found), "json"))
    elif found:
        deps.console.data(radius_table(found, for_terminal=deps.console.is_terminal))
    versions, keys = sum(each.versions for each in found), sum(each.apikeys for each in found)
    ending = "end at once" if options.order.mode == "Immediate" else "end when their consumers have moved"
    what = f"{counted(versions, 'key version')} of {counted(keys, 'ApiKey')}"
    deps.console.say(f"{what} would {ending} (dry run). Keys that outlived their ApiKey are not shown")
    return ExitCode.FINE


async def _pull(manifest: dict[str, object], options: Options, client: Client, deps: Deps) -> int:
    from keyturn.cli.revocations.revoking import create, with_caller

    (named,) = await with_caller([manifest], client)
    answer = await create(named, client, deps)
    if isinstance(answer, int):
        return answer
    name = text_of(mapping_of(answer, "metadata"), "name")
    deps.console.say(f"apikeyrevocation/{name} created. Ctrl-C does not stop it; to look on again: keyturn revoke-all --follow {name}")
    return await _look_on(name, options, client, deps)


async def _look_on(name: str, options: Options, client: Client, deps: Deps) -> int:
    from keyturn.cli.documents import render
    from keyturn.cli.revocations.revoking import follow

    outcome = await follow(name, client, deps, timeout=options.timeout)
    if options.as_json:
        deps.console.data(render(_as_json(name, outcome), "json"))
    elif outcome.is_complete:
        deps.console.data(f"apikeyrevocation/{name} complete: {outcome.sentence}")
    return outcome.code


def _as_json(name: str, outcome: Outcome) -> dict[str, object]:
    from keyturn.base.duration import parse_duration

    status = outcome.revocation.status if outcome.revocation is not None else None
    latency = parse_duration(status.latency).total_seconds() if status is not None and status.latency else None
    return {
        "name": name,
        "complete": outcome.is_complete,
        "revokedVersions": (status.revoked_versions if status is not None else None) or 0,
        "remainingVersions": status.remaining_versions if status is not None else None,
        "deadBeforeVersions": (status.dead_before_versions if status is not None else None) or 0,
        "latencySeconds": latency,
        "message": outcome.sentence,
    }
