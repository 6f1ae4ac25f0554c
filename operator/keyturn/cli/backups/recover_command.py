"""`keyturn recover`: brings a cluster that was restored from a backup up to what lies outside of it: audit log, revocations in Git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.backups.backup_command import open_backup
from keyturn.cli.backups.ledger import Ledger, with_ledger
from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.place import Place

if TYPE_CHECKING:
    from keyturn.cli.backups.audit_history import AuditHistory
    from keyturn.cli.backups.backup_check import BackupContents

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Options:
    """From what to recover, and where."""

    place: Place
    ledger: Ledger
    backup: BackupContents | None = None
    audit: tuple[Path, ...] = ()
    revocations: Path | None = None
    dry_run: bool = False
    wait: bool = False
    timeout: timedelta = timedelta(minutes=30)
    form: str = ""
    """json; empty: the table."""
    user: str = ""
    """Whom to impersonate; empty: nobody."""
    groups: tuple[str, ...] = ()


@click.command(
    cls=Command,
    examples=[
        Example("What the audit log knows and the cluster does not; changes nothing", "keyturn recover --audit audit.jsonl --dry-run"),
        Example("End what had ended, and go on above every number", "keyturn recover --audit audit-1.jsonl --audit audit-2.jsonl"),
        Example("The same, until every live verifier refuses it", "keyturn recover --audit audit.jsonl --wait"),
        Example("Revocations from Git, those that are missing", "keyturn recover --revocations revocations/"),
        Example(
            "Root secret and records from a backup, past the policies, the operator stopped",
            "keyturn recover --backup keyturn.age --identity safe.txt --as $USER --as-group system:masters --as-group keyturn:break-glass",
        ),
    ],
)
@click.option("--backup", metavar="FILE", type=_FILE, help="Made by keyturn backup: what is missing or older is put back.")
@click.option("--identity", metavar="FILE", type=_FILE, help="With --backup: file with the secret key of age.")
@click.option("--audit", metavar="FILE", multiple=True, type=_FILE, help="Audit log of the operator, as JSON lines; repeatable.")
@click.option(
    "--revocations",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of ApiKeyRevocations (YAML, JSON): those that the cluster does not have are created again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done. Change nothing.")
@click.option("--wait", is_flag=True, help="Wait until what it revokes is dead, and every live verifier refuses it.")
@click.option("--timeout", metavar="DURATION", default="30m", show_default=True, help="How long --wait waits.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="Form of the output; unset: a table.")
@click.option("--as", "user", metavar="NAME", help="Act as this user; goes with --as-group.")
@click.option("--as-group", "groups", metavar="GROUP", multiple=True, help="And as a member of this group; repeatable.")
@with_ledger
@click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one.")
def recover(  # noqa: PLR0913  click passes each option
    *,
    backup: Path | None,
    identity: Path | None,
    audit: tuple[Path, ...],
    revocations: Path | None,
    dry_run: bool,
    wait: bool,
    timeout: str,
    form: str | None,
    user: str | None,
    groups: tuple[str, ...],
    kubeconfig: str | None,
    context: str | None,
    ledger: Ledger,
) -> int:
    """Bring a cluster that was restored from a backup up to what lies outside of it.

    Every key that the audit log says ended, and that the cluster's records call live, is ended for good by an ApiKeyRevocation. A key that
    had a successor is replaced. The next versions get numbers above the highest one that the log knows. Keys that end are replaced by the
    operator, which restarts their workloads; the table lists them. It may be run again at any time: what is right is left alone.

    Every line says of which installation it is, and so does every record: lines of another one count for nothing. Where there are
    records and none is of theirs, the exit code is 1.

    With --wait it ends when all of that has happened, also what an earlier run began, which needs an operator that runs; exit code 1: not
    in time.

    From a backup come the root Secret and the public keys, where they are missing, and records that are missing or older. Stop the operator
    first, and bring the ApiKeys back before you start it again: it ends keys whose ApiKey is gone.
    """
    from keyturn.cli.apikeys.waiting import parse_timeout

    if not audit and revocations is None and backup is None:
        raise click.UsageError("Say from what to recover: --backup, --audit, --revocations, or several of them")
    if (backup is None) != (identity is None):
        raise click.UsageError("--backup and --identity go together")
    if groups and not user:
        raise click.UsageError("--as-group goes with --as")
    if wait and dry_run:
        raise click.UsageError("--wait and --dry-run exclude each other: a dry run makes no revocation")
    options = Options(
        Place(kubeconfig=kubeconfig, context=context),
        ledger,
        backup=open_backup(backup, identity) if backup is not None and identity is not None else None,
        audit=audit,
        revocations=revocations,
        dry_run=dry_run,
        wait=wait,
        timeout=parse_timeout(timeout),
        form=form or "",
        user=user or "",
        groups=groups,
    )
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Read everything, say what is to be done, do it."""
    from keyturn.cli.backups.recovering import Recovering
    from keyturn.cli.backups.restoring import Restoring
    from keyturn.cli.backups.revocation_folder import read_revocation_folder
    from keyturn.cli.failure import worst

    history = read_audit(options.audit, deps)
    folder: list[Mapping[str, object]] = []
    folder += read_revocation_folder(options.revocations) if options.revocations is not None else []
    async with await deps.connect(options.place) as client:
        if options.user:
            client.act_as(options.user, options.groups)
        codes, of_backup = [], ""
        if options.backup is not None:
            of_backup = options.backup.installation.id
            restoring = Restoring(client, deps, options.ledger, dry_run=options.dry_run)
            codes.append(await restoring.run(options.backup))
            folder = [*options.backup.backup.revocations, *folder]
        recovering = Recovering(client, deps, options.ledger.namespace, options.ledger.records_namespace, options.dry_run, of_backup)
        codes.append(await recovering.run(history, folder, form=options.form))
        if options.wait:
            codes.append(await recovering.look_on(options.timeout))
        return worst(codes)


def read_audit(files: tuple[Path, ...], deps: Deps) -> AuditHistory:
    """Every line of every file."""
    from keyturn.base.wording import counted
    from keyturn.cli.backups.audit_history import AuditHistory

    history = AuditHistory()
    for file in files:
        with file.open("rb") as reader:
            history.take(reader)
        deps.console.say(f"Read {file}: {counted(history.lines, 'line')}, {counted(len(history.keys), 'ApiKey')}")
    if history.unreadable:
        deps.console.warn(f"Not an audit line: {history.unreadable} of them")
    return history
