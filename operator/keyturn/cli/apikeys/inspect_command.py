"""`keyturn inspect`: what is public of a key, read from standard input and never shown."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from keyturn.cli.command import Command, Example
from keyturn.cli.console import Console

if TYPE_CHECKING:
    from keyturn.keys.token_format import Fault

ON_THE_COMMAND_LINE: Final = (
    "A key on the command line stays in the shell's history and shows in ps: pipe it in, as in keyturn inspect < FILE, "
    "or start the command without one and paste it"
)
_LONGEST: Final = 4096


@dataclass(frozen=True, slots=True)
class Options:
    """How to show it."""

    as_json: bool = False


@click.command(
    cls=Command,
    context_settings={"ignore_unknown_options": True},
    examples=[
        Example(
            "The key a Secret holds",
            "kubectl get secret billing -o jsonpath='{.data.api-key}' | base64 -d | keyturn inspect",
        ),
        Example("A key you paste; it is not shown", "keyturn inspect"),
    ],
)
@click.argument("refused", nargs=-1, metavar="", type=click.UNPROCESSED)
@click.option("-o", "--output", "form", type=click.Choice(["json"]), help="json: one object.")
def inspect(*, refused: tuple[str, ...], form: str | None) -> int:
    """Read a key from standard input; show prefix, key ID, digest and whether the checksum is right.

    The key itself is never shown, and no cluster is asked: `keyturn get -A --key-id ID` says whose it is. Exit code 1: not a key.
    """
    if refused:
        raise click.UsageError(ON_THE_COMMAND_LINE)
    console = Console.of_process()
    return run(Options(as_json=form == "json"), console, text=read_key())


def run(options: Options, console: Console, *, text: str) -> int:
    """Say what the text is."""
    from keyturn.keys.digest import digest_token
    from keyturn.keys.token_format import Malformed, Token, parse_token

    match parse_token(text.strip()):
        case Token(prefix=prefix, key_id=key_id):
            digest = digest_token(text.strip())
            if options.as_json:
                shown = {"valid": True, "prefix": prefix, "keyID": key_id, "checksum": "ok", "digest": digest}
                console.data(json.dumps(shown, indent=2))
            else:
                console.data(f"Prefix:    {prefix}\nKey ID:    {key_id}\nChecksum:  ok\nDigest:    {digest}")
            return 0
        case Malformed(fault=fault):
            if options.as_json:
                console.data(json.dumps({"valid": False, "fault": fault.value}, indent=2))
            else:
                console.complain(explained(fault, is_empty=not text.strip()))
            return 1


def explained(fault: Fault, *, is_empty: bool) -> str:
    """What is wrong with a text that is no key."""
    from keyturn.keys.token_format import Fault

    if is_empty:
        return "Nothing came in on standard input: pipe a key into this command"
    if fault is Fault.CHECKSUM:
        return "The checksum is wrong: a typo, a key that was cut or changed, or another system's key"
    return "This is no key of Keyturn's: one is <prefix>_ and 61 letters and digits, on one line"


def read_key() -> str:
    """Standard input, or what a person pastes and nobody sees."""
    if sys.stdin.isatty():
        return str(click.prompt("Paste the key (it is not shown)", hide_input=True, err=True, default="", show_default=False))
    return sys.stdin.buffer.read(_LONGEST).decode("utf-8", "replace")
