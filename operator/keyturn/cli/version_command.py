"""`keyturn version`."""

from __future__ import annotations

import click

from keyturn.cli.command import Command, Example


@click.command(cls=Command, examples=[Example("Which version this is", "keyturn version")])
def version() -> int:
    """Show the version of this program. It speaks keyturn.dev/v1alpha1."""
    click.echo(version_text())
    return 0


def version_text() -> str:
    """One line: name and version."""
    from importlib.metadata import version as installed_version

    return f"keyturn {installed_version('keyturn')}"
