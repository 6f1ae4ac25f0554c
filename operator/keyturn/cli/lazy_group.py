"""The table of commands: their names and one line each are known here, their modules are loaded when they are called.

So `keyturn --help` and completion do not pay for pydantic, aiohttp and Kubernetes' client.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from keyword import iskeyword
from typing import Final

import click
from click.shell_completion import CompletionItem


@dataclass(frozen=True, slots=True)
class Entry:
    """A command: the module it stands in (as an object of the command's name), a line for people, its heading in the help."""

    module: str
    summary: str
    section: str


_KEYS: Final = "Keys in the cluster"
_PRODUCTS: Final = "APIs, and who may use them"
_OFFLINE: Final = "Without a cluster"
_PLATFORM: Final = "For the platform"

COMMANDS: Final[dict[str, Entry]] = {
    "get": Entry("apikeys.get_command", "List API keys: ready, version, key ID, next rotation", _KEYS),
    "describe": Entry("apikeys.describe_command", "Tell everything about one API key and what it waits for", _KEYS),
    "create": Entry("apikeys.create_command", "Ask for a new API key", _KEYS),
    "import": Entry("apikeys.import_command", "Have keys accepted that exist already, from a file", _KEYS),
    "rotate": Entry("apikeys.rotate_command", "Replace keys now; old ones stay valid while their users move", _KEYS),
    "disable": Entry("apikeys.disable_command", "Have keys refused everywhere until they are enabled again", _KEYS),
    "enable": Entry("apikeys.disable_command", "Have disabled keys accepted again", _KEYS),
    "revoke": Entry("revocations.revoke_command", "End keys for good: leaked ones, those of who left", _KEYS),
    "revoke-all": Entry("revocations.revoke_all_command", "End every key that was minted before a time: a backup leaked", _KEYS),
    "leak": Entry("revocations.leak_command", "Revoke a key that somebody found, read from standard input", _KEYS),
    "products": Entry("products.products_command", "List ApiProducts: the APIs that keys are for", _PRODUCTS),
    "approve": Entry("products.approve_command", "Let an ApiKey have a plan of an ApiProduct", _PRODUCTS),
    "whocan": Entry("products.whocan_command", "Tell who has keys of an ApiProduct", _PRODUCTS),
    "inspect": Entry("apikeys.inspect_command", "Read a key from standard input and show what is public of it", _OFFLINE),
    "mint": Entry("apikeys.mint_command", "Make a key that no cluster knows, for tests and imports", _OFFLINE),
    "backup": Entry("backups.backup_command", "Write the ledger into one encrypted file, or look into one", _PLATFORM),
    "recover": Entry("backups.recover_command", "Bring a restored cluster up to its backup, its audit log and Git", _PLATFORM),
    "crds": Entry("crds_command", "Print the CustomResourceDefinitions", _PLATFORM),
    "operator": Entry("operator_command", "Run the operator", _PLATFORM),
    "verifier": Entry("verifier_command", "Run the verifier, which gateways ask", _PLATFORM),
    "completion": Entry("completion_command", "Print a script that completes commands and names in your shell", _PLATFORM),
    "version": Entry("version_command", "Show the version", _PLATFORM),
}

HIDDEN: Final = {"__complete": Entry("completion_command", "Answer kubectl's question for completions", _PLATFORM)}


class LazyGroup(click.Group):
    """The program itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """All commands, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  click's signature
        """Load a command; None if there is none of this name."""
        entry = COMMANDS.get(cmd_name) or HIDDEN.get(cmd_name)
        if entry is None:
            return None
        word = cmd_name.strip("_").replace("-", "_")
        command = getattr(import_module(f"keyturn.cli.{entry.module}"), f"{word}_" if iskeyword(word) else word)
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.{cmd_name} is no command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a guess at what was meant."""
        name = args[0]
        if name not in COMMANDS and name not in HIDDEN and not name.startswith("-"):
            close = get_close_matches(name, COMMANDS, n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"There is no command {name!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  click's signature
        """The commands under their headings, from the table."""
        for section in dict.fromkeys(entry.section for entry in COMMANDS.values()):
            with formatter.section(section):
                formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items() if entry.section == section])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names that begin so, from the table."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=entry.summary) for name, entry in COMMANDS.items() if name.startswith(incomplete)]
