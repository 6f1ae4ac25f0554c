"""Tables: aligned, with headings, for a terminal; tabs and nothing else for a pipe. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import click

_GAP: Final = "   "
_NOTHING: Final = "-"
_UNPRINTABLE: Final = dict.fromkeys((*range(32), *range(127, 160)), "�")
"""A status or a label is written by somebody else: no control sequence of theirs reaches the terminal."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A value as a person reads it, as a script does, and the color it has on a terminal."""

    text: str
    raw: str | None = None
    """For scripts, where it differs."""
    color: str | None = None

    @property
    def for_scripts(self) -> str:
        """The plain value."""
        return self.text if self.raw is None else self.raw


def render_table(headings: Sequence[str], rows: Sequence[Sequence[Cell]], *, for_terminal: bool) -> str:
    """The table as lines without a last line end. Scripts get no headings: `cut -f` counts columns."""
    if not for_terminal:
        return "\n".join("\t".join(printable(cell.for_scripts) for cell in row) for row in rows)
    texts = [[printable(cell.text) or _NOTHING for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    lines = [_line(headings, [None] * len(headings), widths)]
    lines += [_line(line, [cell.color for cell in row], widths) for line, row in zip(texts, rows, strict=True)]
    return "\n".join(lines)


def printable(text: str) -> str:
    """The text on one line, with what a terminal would obey replaced."""
    return text.translate(_UNPRINTABLE)


def _line(texts: Sequence[str], colors: Sequence[str | None], widths: Sequence[int]) -> str:
    last = len(texts) - 1
    padded = [text if index == last else text.ljust(widths[index]) for index, text in enumerate(texts)]
    return _GAP.join(_painted(text, color) for text, color in zip(padded, colors, strict=True)).rstrip()


def _painted(text: str, color: str | None) -> str:
    if color is None:
        return text
    bare = text.rstrip()
    return click.style(bare, fg=color) + " " * (len(text) - len(bare))
