"""`keyturn recover`: brings a cluster that was restored from a backup up to what lies outside of it: audit log, revocations in Git."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.deps import Deps, run_with_deps
from keyturn.cli.place import Place

if TYPE_CHECKING:
    from keyturn.cli.audit_history import AuditHistory

RECORDS_NAMESPACE: Final = "keyturn-verifiers"
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True)
class Options:
    """From what to recover, and where."""

    place: Place
    records_namespace: str = RECORDS_NAMESPACE
    audit: tuple[Path, ...] = ()
    revocations: Path | None = None
    dry_run: bool = False
    form: str = ""
    """json; empty: the table."""


@click.command(
    cls=Command,
    examples=[
        Example("What the audit log knows and the cluster does not; changes nothing", "keyturn recover --audit audit.jsonl --dry-run"),
        Example("End what had ended, and go on above every number", "keyturn recover --audit audit-1.jsonl --audit audit-2.jsonl"),
        Example("Revocations from Git, those that are missing", "keyturn recover --revocations revocations/"),
    ],
)
@click.option("--audit", metavar="FILE", multiple=True, type=_FILE, help="Audit log of the operator, as JSON lines; repeatable.")
@click.option(
    "--revocations",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of ApiKeyRevocations (YAML, JSON): those that the cluster does not have are created again.",
)
@click.option("--dry-run", is_flag=True, help="Show what would be done. Change nothing.")
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="Form of the output; unset: a table.")
@click.option("--records-namespace", metavar="NAME", default=RECORDS_NAMESPACE, show_default=True, help="Where the verifier records stand.")
@click.option("--kubeconfig", metavar="FILE", help="Kubeconfig; unset: as kubectl finds it.")
@click.option("--context", metavar="NAME", help="Context of the kubeconfig; unset: its current one.")
def recover(
    *,
    audit: tuple[Path, ...],
    revocations: Path | None,
    dry_run: bool,
    form: str | None,
    records_namespace: str,
    kubeconfig: str | None,
    context: str | None,
) -> int:
    """Bring a cluster that was restored from a backup up to what lies outside of it.

    Every key that the audit log says ended, and that the cluster's records call live, is ended for good by an ApiKeyRevocation. A key that
    had a successor is replaced. The next versions get numbers above the highest one that the log knows. Keys that end are replaced by the
    operator, which restarts their workloads; the table lists them. It may be run again at any time: what is right is left alone.
    """
    if not audit and revocations is None:
        raise click.UsageError("Say from what to recover: --audit, --revocations, or both")
    options = Options(Place(kubeconfig=kubeconfig, context=context), records_namespace, audit, revocations, dry_run, form or "")
    return run_with_deps(lambda deps: run(options, deps))


async def run(options: Options, deps: Deps) -> int:
    """Read everything, say what is to be done, do it."""
    from keyturn.cli.recovering import Recovering
    from keyturn.cli.revocation_folder import read_revocation_folder

    history = read_audit(options.audit, deps)
    folder = read_revocation_folder(options.revocations) if options.revocations is not None else []
    async with await deps.connect(options.place) as client:
        work = Recovering(client, deps, records_namespace=options.records_namespace, dry_run=options.dry_run)
        return await work.run(history, folder, form=options.form)


def read_audit(files: tuple[Path, ...], deps: Deps) -> AuditHistory:
    """Every line of every file."""
    from keyturn.cli.audit_history import AuditHistory

    history = AuditHistory()
    for file in files:
        with file.open("rb") as reader:
            history.take(reader)
        deps.console.say(f"Read {file}: {history.lines} lines, {len(history.keys)} ApiKeys")
    if history.unreadable:
        deps.console.warn(f"{history.unreadable} of them are no audit lines")
    return history
