"""Where a command writes: data to standard output, words to standard error, colors only for a terminal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import Final, TextIO

import click

_USUAL_COLUMNS: Final = 80


@dataclass(frozen=True, slots=True)
class Console:
    """Standard output and standard error, and what stands behind them."""

    out: TextIO
    err: TextIO
    is_terminal: bool
    """A person reads standard output: tables are aligned, times are words. Otherwise: tabs and RFC 3339."""
    color: bool = False
    err_color: bool = False

    @classmethod
    def of_process(cls) -> Console:
        """The process's own."""
        return cls(sys.stdout, sys.stderr, sys.stdout.isatty(), color=wants_color(sys.stdout), err_color=wants_color(sys.stderr))

    @property
    def err_columns(self) -> int:
        """How wide the terminal is to which standard error goes, at this moment."""
        try:
            return os.get_terminal_size(self.err.fileno()).columns or _USUAL_COLUMNS
        except (OSError, ValueError):
            return _USUAL_COLUMNS

    def data(self, text: str) -> None:
        """Write what was asked for."""
        click.echo(text, file=self.out, color=self.color)

    def say(self, text: str) -> None:
        """Tell the person something; scripts do not read it."""
        click.echo(text, file=self.err, color=self.err_color)

    def warn(self, text: str) -> None:
        """Tell the person something that should not be overlooked."""
        self.say(click.style("Warning:", fg="yellow") + f" {text}")

    def complain(self, text: str) -> None:
        """Say that one of several things failed, and go on."""
        self.say(click.style(f"Error: {text}", fg="red"))


def wants_color(stream: TextIO) -> bool:
    """Whether to color what goes there: a terminal that can, and nobody objects (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
