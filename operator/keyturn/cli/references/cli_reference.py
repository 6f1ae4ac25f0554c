"""docs/reference/cli.md, made from the commands themselves. Pure but for the file it writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from keyturn.cli.command import Command
from keyturn.cli.lazy_group import COMMANDS
from keyturn.cli.main import keyturn

_HEAD: Final = """\
<!-- Made by `make docs` from operator/keyturn/cli. Edit the commands there, not this page. -->
# The command `keyturn`

Also installed as `kubectl-keyturn`: wherever this page says `keyturn`, `kubectl keyturn` does the same.

Data goes to standard output, words to standard error. A terminal gets tables and colors (`NO_COLOR` turns them off); a pipe gets one item
a line, tabs between columns, no headings, times in RFC 3339. `-o json` is for programs: its fields are only ever added.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | something failed; the message says what |
| 2 | used wrongly; nothing was tried |
| 4 | not allowed, or not logged in |
| 130 | interrupted |
"""


def write_cli_reference(folder: Path) -> Path:
    """Write cli.md into the folder; the same commands always give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "cli.md"
    page.write_text(cli_reference(), encoding="utf-8")
    return page


def cli_reference() -> str:
    """The page."""
    root = click.Context(keyturn, info_name="keyturn")
    parts = [_HEAD, *("\n".join(_command_section(name, root)) for name in COMMANDS)]
    return "\n".join(parts)


def _command_section(name: str, root: click.Context) -> Iterator[str]:
    command = keyturn.get_command(root, name)
    if command is None:
        raise LookupError(f"{name} is in the table of commands and is none")
    context = click.Context(command, parent=root, info_name=name)
    yield f"## {name}\n"
    yield f"    {' '.join(filter(None, (context.command_path, *command.collect_usage_pieces(context))))}\n"
    yield from (f"{' '.join(paragraph.split())}\n" for paragraph in (command.help or "").split("\n\n"))
    if name == "operator":
        yield "The options are the [settings](settings.md).\n"
    else:
        yield from _option_table(command, context)
    if isinstance(command, Command) and command.examples:
        yield "```sh"
        yield "\n\n".join(f"# {example.purpose}\n{example.line}" for example in command.examples)
        yield "```\n"


def _option_table(command: click.Command, context: click.Context) -> Iterator[str]:
    records = [parameter.get_help_record(context) for parameter in command.params if isinstance(parameter, click.Option)]
    if not any(records):
        return
    yield "| option | |\n|---|---|"
    yield from (f"| `{_escaped(names)}` | {_escaped(text)} |" for names, text in filter(None, records))
    yield ""


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
