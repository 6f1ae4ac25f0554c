"""`keyturn mint`: a key without a cluster. The one command whose output is a secret."""

from __future__ import annotations

import json
from dataclasses import dataclass

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.console import Console


@dataclass(frozen=True, slots=True)
class Options:
    """What kind of key."""

    prefix: str
    as_json: bool = False


@click.command(
    cls=Command,
    examples=[
        Example("A key for a test", "keyturn mint"),
        Example(
            "A key into a file that only you can read; its public ID and digest on the terminal",
            "(umask 077; keyturn mint --prefix acme > key)",
        ),
    ],
)
@click.option(
    "--prefix", default="kt", show_default=True, metavar="PREFIX", help="What keys begin with: 2 to 16 of a-z and 0-9, one inner _ allowed."
)
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="json: key, key ID and digest as one object.")
def mint(*, prefix: str, form: str | None) -> int:
    """Make a new key that no cluster knows, for tests, vectors and imports.

    The key goes to standard output, its key ID and digest to standard error. Nothing is stored: keep the key, or it is gone.
    """
    return run(Options(prefix, as_json=form == "json"), Console.of_process())


def run(options: Options, console: Console) -> int:
    """Mint and print. Raises UsageError for a prefix that is none."""
    from keyturn.keys.mint import mint as mint_key

    try:
        minted = mint_key(options.prefix)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--prefix") from None
    text = minted.plaintext.reveal()
    if options.as_json:
        console.data(json.dumps({"key": text, "keyID": minted.key_id, "digest": minted.digest}, indent=2))
        return 0
    console.data(text)
    console.say(f"Key ID:  {minted.key_id}\nDigest:  {minted.digest}")
    return 0
