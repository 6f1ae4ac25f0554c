"""`keyturn leak`: somebody found a key. It is read from standard input, told by its key ID and digest, never shown, and revoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.inspect_command import ON_THE_COMMAND_LINE, explained, read_key
from keyturn.cli.place import Place
from keyturn.cli.revoke_command import Options
from keyturn.cli.revoke_command import run as run_revoke

if TYPE_CHECKING:
    from keyturn.base.names import Key
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
@click.option("--dry-run", is_flag=True, help="Show which version would end and who uses it. Change nothing.")
@click.option("--wait", is_flag=True, help="Wait until the key is dead and every live verifier refuses it.")
@click.option("--timeout", metavar="DURATION", default="5m", show_default=True, help="How long --wait waits.")
@click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one.")
def leak(
    *,
    refused: tuple[str, ...],
    note: str | None,
    records_namespace: str,
    dry_run: bool,
    wait: bool,
    timeout: str,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Revoke a key that somebody found, read from standard input.

    The key itself is never shown, logged or sent: the cluster is told its public key ID. Where you may read verifier records, its digest is
    compared first. A key that was made elsewhere is found by its digest. Exit code 1: not a key, or not the one of this key ID.
    """
    from keyturn.cli.revocation_manifest import Order, Target
    from keyturn.cli.waiting import parse_timeout
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
    return run_with_deps(lambda deps: run(options, deps, digest=digest, fault=fault, records_namespace=records_namespace))


def _may_be_imported(text: str, fault: Fault) -> bool:
    """Whether a text that is no key of ours is worth a question: it has no other fault than its form, and is one word."""
    from keyturn.keys.token_format import Fault

    return fault is Fault.SHAPE and len(text) >= _SHORTEST_IMPORTED and not any(letter.isspace() for letter in text)


async def run(options: Options, deps: Deps, *, digest: str, records_namespace: str, fault: Fault | None = None) -> int:
    """Compare where that is possible, then revoke."""
    (key_id,) = options.target.key_ids
    async with await deps.connect(options.place) as client:
        owner = await _owner(client, key_id)
        if owner is None and fault is not None:
            deps.console.complain(f"{explained(fault, is_empty=False)}. Nor is it one that was imported")
            return ExitCode.FAILED
        if owner is None:
            deps.console.warn(f"No ApiKey knows key ID {key_id}")
        elif not await _is_the_one(client, deps, owner, key_id=key_id, digest=digest, records_namespace=records_namespace):
            deps.console.complain(f"Key ID {key_id} is that of ApiKey {owner}, but this is not the key it was issued: nothing was revoked")
            return ExitCode.FAILED
        else:
            deps.console.say(f"Key ID {key_id} is that of ApiKey {owner}")
    return await run_revoke(options, deps)


async def _owner(client: Client, key_id: str) -> Key | None:
    from keyturn.base.names import Key
    from keyturn.cli.apikey_view import decode_apikey
    from keyturn.cluster.apikeys import list_apikeys

    views = map(decode_apikey, await list_apikeys(client, ""))
    return next((Key(view.namespace, view.name) for view in views if any(each.key_id == key_id for each in view.versions)), None)


async def _is_the_one(client: Client, deps: Deps, owner: Key, *, key_id: str, digest: str, records_namespace: str) -> bool:
    """False: the record knows the key ID with another digest. True also where it cannot be compared: better one revoked too many."""
    from keyturn.cluster.api_errors import Forbidden, NotFound
    from keyturn.cluster.record_secrets import RecordSecrets
    from keyturn.keys.record_peek import readable_record

    try:
        stored = await RecordSecrets(client, namespace=records_namespace).read(owner)
        record = readable_record(stored.value.data)
    except (Forbidden, NotFound):
        record = None
    if record is None:
        deps.console.warn("The record cannot be read, so the digest was not compared")
        return True
    return all(entry.digest == digest for entry in record.versions if entry.key_id == key_id)
