"""`keyturn completion`: scripts for shells and for kubectl; and the hidden command that kubectl's script asks."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from keyturn.cli.command import Command, Example

_SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
_NO_FILES: Final = ":4"
"""Cobra's ShellCompDirectiveNoFileComp: kubectl reads it from the last line."""

_KUBECTL: Final = """\
#!/bin/sh
# kubectl completes `kubectl keyturn ...` by this file. Save it as kubectl_complete-keyturn, executable, in a folder on the PATH.
exec keyturn __complete -- "$@"
"""


@click.command(
    cls=Command,
    examples=[
        Example("bash, for this user", "keyturn completion bash > ~/.local/share/bash-completion/completions/keyturn"),
        Example("zsh, into a folder on the fpath", 'keyturn completion zsh > "${fpath[1]}/_keyturn"'),
        Example("fish", "keyturn completion fish > ~/.config/fish/completions/keyturn.fish"),
        Example(
            "kubectl keyturn, in every shell that completes kubectl (1.26 or newer)",
            "keyturn completion kubectl > ~/.local/bin/kubectl_complete-keyturn && chmod +x ~/.local/bin/kubectl_complete-keyturn",
        ),
    ],
)
@click.argument("shell", type=click.Choice([*_SHELLS, "kubectl"]))
def completion(*, shell: str) -> int:
    """Print a completion script: commands, options, and the names of ApiKeys, ApiProducts and namespaces in the cluster.

    Names are asked for with a deadline of 1.5 s; a cluster that is slower completes nothing.
    """
    click.echo(script_for(shell), nl=False)
    return 0


def script_for(shell: str) -> str:
    """The script for bash, zsh, fish or kubectl."""
    if shell == "kubectl":
        return _KUBECTL
    maker = _SHELLS[shell](_program(), {}, "keyturn", "_KEYTURN_COMPLETE")
    # Past BashComplete.source, which starts the local bash to ask its version: the script may be for another machine.
    return ShellComplete.source(maker).lstrip("\n")


@click.command(hidden=True, context_settings={"ignore_unknown_options": True})
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def complete(*, words: tuple[str, ...]) -> int:
    """Answer what may follow: one completion a line, then a directive. The last word is the one being typed."""
    *before, incomplete = words or ("",)
    found = ShellComplete(_program(), {}, "keyturn", "_KEYTURN_COMPLETE").get_completions(before, incomplete)
    for item in found:
        click.echo(f"{item.value}\t{item.help}" if item.help else str(item.value))
    click.echo(_NO_FILES)
    return 0


def _program() -> click.Command:
    from keyturn.cli.main import keyturn

    return keyturn
