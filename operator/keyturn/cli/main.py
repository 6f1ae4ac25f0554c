"""The command `keyturn`, also `kubectl keyturn`: finds the command's module, loads that one only, turns failures into words and codes.

Each command is a module of its own, in a folder by what it is about: it parses into a frozen Options, then `run(options, deps)` does
it. Data goes to standard output, words to standard error. `lazy_group.py` holds the table of commands.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

import click

from keyturn.cli.exit_code import ExitCode
from keyturn.cli.lazy_group import LazyGroup

PROGRAM: Final = "keyturn"
_PLUGIN: Final = "kubectl-keyturn"


def _show_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:  # noqa: FBT001  click calls it so
    if wanted and not context.resilient_parsing:
        from keyturn.cli.version_command import version_text

        click.echo(version_text())
        context.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="Show the version.")
def keyturn() -> None:
    """API keys for Kubernetes that rotate by themselves."""


def main() -> NoReturn:
    """Be the program: never returns."""
    plugin = Path(sys.argv[0]).name == _PLUGIN
    sys.exit(run_cli(sys.argv[1:], program=_PLUGIN.replace("-", " ") if plugin else PROGRAM))


def run_cli(arguments: Sequence[str], *, program: str = PROGRAM) -> int:
    """Do what the arguments say and answer the exit code."""
    try:
        answer = keyturn.main(list(arguments), prog_name=program, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as alone:
        click.echo(alone.format_message(), err=True)
        return ExitCode.USED_WRONGLY
    except click.ClickException as error:
        return _refuse(error)
    except click.Abort:
        click.echo("Interrupted", err=True)
        return ExitCode.INTERRUPTED
    return answer if isinstance(answer, int) else ExitCode.FINE


def _refuse(error: click.ClickException) -> int:
    """Say what was wrong. Without anything that looks like a key: an argument is quoted, and it may have been one."""
    from keyturn.base.log_output import redact

    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        click.echo(f"{context.get_usage()}\nTry '{context.command_path} --help'.\n", err=True)
    click.secho(f"Error: {redact(error.format_message())}", fg="red", err=True, color=_color_of_errors())
    return error.exit_code


def _color_of_errors() -> bool | None:
    from keyturn.cli.console import wants_color

    return wants_color(sys.stderr)
