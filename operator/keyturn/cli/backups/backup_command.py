"""`keyturn backup`: the ledger as one file, encrypted before it leaves the process; and what is in such a file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.backups.ledger import Ledger, with_ledger
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.exit_code import ExitCode
from keyturn.cli.place import Place

if TYPE_CHECKING:
    from keyturn.cli.backups.backup_check import BackupContents

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Options:
    """What to back up, for whom, and where to."""

    place: Place
    recipients: tuple[str, ...]
    ledger: Ledger
    output: Path | None = None


@click.command(
    cls=Command,
    examples=[
        Example("A key pair; its secret half belongs into a safe", "age-keygen -o safe.txt"),
        Example("Back up, for two safes", "keyturn backup --recipient age1… --recipient age1… -o keyturn.age"),
        Example("What is in it, and whether it can be believed", "keyturn backup --verify keyturn.age --identity safe.txt"),
    ],
)
@click.option("--recipient", "recipients", metavar="AGE1…", multiple=True, help="Public key of age that may open it; repeatable.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Unset: armored, to standard output.")
@click.option("--verify", metavar="FILE", type=_FILE, help="Make none; say what is in this one, and check every signature.")
@click.option("--identity", metavar="FILE", type=_FILE, help="With --verify: file with the secret key of age.")
@with_ledger
@click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one.")
def backup(
    *,
    recipients: tuple[str, ...],
    output: Path | None,
    verify: Path | None,
    identity: Path | None,
    ledger: Ledger,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Write root secret, verifier records, public keys and revocations into one file, encrypted with age.

    With it keyturn recover stands the ledger up again. It holds no API key: those are in their Secrets alone. Nothing unencrypted is
    written anywhere. Whoever can open it can sign records, so the secret half of the recipient belongs into a safe.
    """
    from keyturn.keys.age_envelope import NotARecipient, check_recipient

    if verify is not None:
        if identity is None or recipients or output is not None:
            raise click.UsageError("--verify goes with --identity and makes no backup")
        return verify_file(verify, identity)
    if not recipients or identity is not None:
        raise click.UsageError("Say who may open it: --recipient age1…, once or more")
    for recipient in recipients:
        try:
            check_recipient(recipient)
        except NotARecipient as error:
            raise click.UsageError(str(error)) from None
    place = Place(kubeconfig=kubeconfig, context=context)
    options = Options(place, recipients, ledger, output)
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Read, encrypt, write."""
    from keyturn.base.wording import counted
    from keyturn.cli.backups.backing_up import read_backup
    from keyturn.keys.age_envelope import encrypt_to
    from keyturn.keys.backup import encode_backup

    async with await deps.connect(options.place) as client:
        made = await read_backup(client, options.ledger, now=deps.clock())
    sealed = encrypt_to(options.recipients, encode_backup(made), armored=options.output is None)
    if options.output is None:
        deps.console.data(sealed.decode("ascii").rstrip("\n"))
    else:
        _write(options.output, sealed)
    where = f" in {options.output}" if options.output is not None else ""
    held = f"{counted(len(made.records), 'record')} and {counted(len(made.revocations), 'revocation')}"
    deps.console.say(f"Backed up {held}, {counted(len(sealed), 'byte')}{where}")
    return ExitCode.FINE


def verify_file(file: Path, identity: Path) -> int:
    """Say what is in a backup."""
    import json

    from keyturn.base.wording import counted
    from keyturn.cli.backups.backup_check import contents_json
    from keyturn.cli.console import Console

    contents = open_backup(file, identity)
    console = Console.of_process()
    console.data(json.dumps(contents_json(contents), indent=2))
    if contents.refused:
        console.complain(f"{counted(len(contents.refused), 'record')} cannot be believed: the signature does not hold")
        return ExitCode.FAILED
    return ExitCode.FINE


def open_backup(file: Path, identity: Path) -> BackupContents:
    """Decrypt and check. Raises ClickException with a sentence."""
    from keyturn.base.errors import KeyturnError
    from keyturn.base.plaintext import SecretBytes
    from keyturn.cli.backups.backup_check import check_backup
    from keyturn.keys.age_envelope import AgeIdentity, NotAnIdentity, NotDecrypted
    from keyturn.keys.backup import decode_backup

    lines = [line.strip() for line in identity.read_bytes().splitlines()]
    secrets = [SecretBytes("age identity", line) for line in lines if line and not line.startswith(b"#")]
    if len(secrets) != 1:
        raise click.ClickException(f"{identity} must hold one age secret key, as age-keygen writes it")
    try:
        return check_backup(decode_backup(AgeIdentity.parse(secrets[0]).decrypt(file.read_bytes())))
    except (NotAnIdentity, NotDecrypted, KeyturnError) as error:
        raise click.ClickException(f"{file}: {error}") from None


def _write(file: Path, sealed: bytes) -> None:
    """For its owner alone, and whole or not at all."""
    fresh = file.with_name(file.name + ".new")
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as writer:
            writer.write(sealed)
        fresh.replace(file)
    except OSError as error:
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
