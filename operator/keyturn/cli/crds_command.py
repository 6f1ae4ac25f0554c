"""`keyturn crds`: the resources' definitions, for clusters that are set up by hand."""

from __future__ import annotations

import click

from keyturn.cli.command import Command, Example


@click.command(
    cls=Command,
    examples=[Example("Install or upgrade the resources", "keyturn crds | kubectl apply --server-side -f -")],
)
def crds() -> int:
    """Print the CustomResourceDefinitions as YAML.

    They are what the chart installs. Apply them server-side: they are too long for kubectl's last-applied annotation.
    """
    click.echo(crds_yaml(), nl=False)
    return 0


def crds_yaml() -> str:
    """All definitions, one YAML document each."""
    import yaml

    from keyturn.api.crd_generation import KINDS, crd

    documents = [yaml.safe_dump(crd(kind), sort_keys=False, width=120, allow_unicode=True) for kind in KINDS]
    return "---\n".join(documents)
