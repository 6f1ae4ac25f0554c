"""`keyturn leak`: somebody found a key. It is read from standard input, told by its key ID and digest, never shown, and revoked."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.apikeys.inspect_command import ON_THE_COMMAND_LINE, explained, read_key
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.place import Place
from keyturn.cli.revocations.found_key import Verdict, verdict_on
from keyturn.cli.revocations.revoke_command import Options
from keyturn.cli.revocations.revoke_command import run as run_revoke

if TYPE_CHECKING:
    from keyturn.cluster.client import Client
    from keyturn.keys.token_format import Fault

_SHORTEST_IMPORTED: Final = 16
RECORDS_NAMESPACE: Final = "keyturn-verifiers"


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True},
    examples=[
        Example("Whose it is, and what would end", "keyturn leak --dry-run < found.txt"),
        Example("End it everywhere, and replace it", "keyturn leak --wait < found.txt"),
        Example("A key you paste; it is not shown", "keyturn leak --wait --note 'in a public repository'"),
    ],
)
@click.argument("refused", nargs=-1, metavar="", type=click.UNPROCESSED)
@click.option("--note", metavar="TEXT", help="For people: where it was found. Not the key.")
@click.option(
    "--records-namespace", metavar="NAME", default=RECORDS_NAMESPACE, show_default=True, help="Where the digest to compare with stands."
)
@click.option("--without-comparing", is_flag=True, help="Revoke whatever has this key ID, also where the key may be made up.")
@click.option("--dry-run", is_flag=True, help="Show which version would end and who uses it. Change nothing.")
@click.option("--wait", is_flag=True, help="Wait until the key is dead and every live verifier refuses it.")
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait waits.")
@click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one.")
def leak(  # noqa: PLR0913  click passes each option
    *,
    refused: tuple[str, ...],
    note: str | None,
    records_namespace: str,
    without_comparing: bool,
    dry_run: bool,
    wait: bool,
    timeout: str,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Revoke a key that somebody found, read from standard input.

    The key itself is never shown, logged or sent: the cluster is told its public key ID. Its digest is compared with the verifier records
    first, for anybody can make up a key under somebody else's key ID: to read them needs the Role keyturn-revoke beside the ClusterRole.
    A key that was made elsewhere is found by its digest, whatever key ID it was listed with. Exit code 1: not a key, or not the one of
    this key ID; 0 without a word on standard output: it has ended already.
    """
    from keyturn.cli.apikeys.waiting import parse_timeout
    from keyturn.cli.revocations.revocation_manifest import Order, Target
    from keyturn.keys.digest import derived_key_id, digest_token
    from keyturn.keys.token_format import Malformed, Token, parse_token

    if refused:
        raise click.UsageError(ON_THE_COMMAND_LINE)
    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run revokes nothing")
    text = read_key().strip()
    parsed, digest = parse_token(text), digest_token(text)
    if isinstance(parsed, Malformed) and not _may_be_imported(text, parsed.fault):
        raise click.ClickException(explained(parsed.fault, is_empty=not text))
    key_id = parsed.key_id if isinstance(parsed, Token) else derived_key_id(digest)
    place = Place(kubeconfig=kubeconfig, context=context)
    order, target = Order(reason="Leaked", note=note or ""), Target(key_ids=(key_id,))
    options = Options(place, target, order, dry_run=dry_run, wait=wait, timeout=parse_timeout(timeout))
    fault = parsed.fault if isinstance(parsed, Malformed) else None
    where = "" if without_comparing else records_namespace
    return run_with_deps(lambda deps: run(options, deps, digest=digest, fault=fault, records_namespace=where))


def _may_be_imported(text: str, fault: Fault) -> bool:
    """Whether a text that is no key of ours is worth a question: it has no other fault than its form, and is one word."""
    from keyturn.keys.token_format import Fault

    return fault is Fault.SHAPE and len(text) >= _SHORTEST_IMPORTED and not any(letter.isspace() for letter in text)


async def run(options: Options, deps: Deps, *, digest: str, records_namespace: str, fault: Fault | None = None) -> int:
    """Compare with the records of a namespace, then revoke; no namespace: without comparing."""
    (key_id,) = options.target.key_ids
    async with await deps.connect(options.place) as client:
        if records_namespace:
            verdict = await _compared(client, key_id, digest=digest, records_namespace=records_namespace)
        else:
            verdict = await _not_compared(client, key_id)
    if verdict is None and fault is not None:
        verdict = Verdict(f"{explained(fault, is_empty=False)}. Nor is it one that was imported", ExitCode.FAILED)
    elif verdict is None:
        verdict = _unknown(key_id, records_namespace)
    match verdict.ends_with:
        case None:
            deps.console.say(verdict.sentence)
            target = replace(options.target, key_ids=(verdict.key_id or key_id,))
            return await run_revoke(replace(options, target=target), deps)
        case ExitCode.FINE:
            deps.console.say(verdict.sentence)
        case _:
            deps.console.complain(verdict.sentence)
    return verdict.ends_with


async def _compared(client: Client, key_id: str, *, digest: str, records_namespace: str) -> Verdict | None:
    from keyturn.cluster.api_errors import Forbidden
    from keyturn.cluster.record_secrets import list_records

    try:
        listed = await list_records(client, namespace=records_namespace)
    except Forbidden as refused:
        return Verdict(
            f"Nothing was compared and nothing revoked: {refused}. Whoever answers for this cluster binds you the Role keyturn-revoke "
            f"in the namespace of the records. In a hurry add --without-comparing: then whatever has key ID {key_id} ends",
            ExitCode.NOT_ALLOWED,
        )
    return verdict_on(key_id, digest=digest, records=((owner, entry.value.data) for owner, entry in listed))


async def _not_compared(client: Client, key_id: str) -> Verdict | None:
    from keyturn.cli.apikeys.apikey_view import decode_apikey
    from keyturn.cluster.apikeys import list_apikeys

    views = map(decode_apikey, await list_apikeys(client, ""))
    owners = (f"{view.namespace}/{view.name}" for view in views if any(each.key_id == key_id for each in view.versions))
    owner = next(owners, None)
    return Verdict(f"Key ID {key_id} is that of ApiKey {owner}; the digest was not compared") if owner is not None else None


def _unknown(key_id: str, records_namespace: str) -> Verdict:
    if not records_namespace:
        return Verdict(f"No ApiKey knows key ID {key_id}; the digest was not compared")
    return Verdict(
        f"No record in namespace {records_namespace} knows key ID {key_id}: nothing was revoked. Where the records are in another "
        f"namespace name it with --records-namespace; otherwise the key is another installation's, or ended long ago. If a verifier "
        f"accepts it all the same, its record is lost: add --without-comparing",
        ExitCode.FAILED,
    )
