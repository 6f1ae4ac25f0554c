"""A picture of the terminal from what `make demo` really printed: `make picture` writes docs/images/demo.svg.

It takes the chapters that the README shows, and needs no font from elsewhere.
"""

from __future__ import annotations

import re
import sys
import textwrap
from html import escape
from typing import Final

CHAPTERS: Final = ("Ask for a key", "Rotate,", "The old key retires")
COLUMNS: Final = 112
_LEFT_OUT: Final = re.compile(r"^ +\^C$|^testbed: |set-context")
_SPACE: Final = "\N{NO-BREAK SPACE}"  # several ordinary ones are drawn as one
_CELL: Final = 8.4
_LINE: Final = 19
_EDGE: Final = 18
_FONTS: Final = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_COLOURS: Final = {"== ": "#f2cc60", "$ ": "#7ee787", "   #": "#8b949e"}
_PLAIN: Final = "#e6edf3"


def chosen_lines(printed: str) -> list[str]:
    """The lines of the chapters, wrapped; without the seconds that a chapter began at."""
    lines: list[str] = []
    is_in = False
    for line in printed.splitlines():
        if line.startswith("== "):
            is_in = line.removeprefix("== ").startswith(CHAPTERS)
            line = re.sub(r" +\(\d+ s\)$", "", line)  # noqa: PLW2901 - the line as it is shown
        if is_in and not _LEFT_OUT.search(line):
            lines += textwrap.wrap(line, COLUMNS, subsequent_indent="      ", drop_whitespace=False) or [""]
    return lines[:-1] if lines and not lines[-1] else lines


def picture(lines: list[str]) -> str:
    """The lines as an SVG."""
    width, height = round(COLUMNS * _CELL) + 2 * _EDGE, len(lines) * _LINE + 2 * _EDGE
    rows = "".join(
        f'<text x="{_EDGE}" y="{_EDGE + _LINE * (number + 1) - 5}" fill="{_colour(line)}">{_kept(line)}</text>\n'
        for number, line in enumerate(lines)
        if line
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">\n'
        "<title>What make demo prints</title>\n"
        f'<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>\n'
        f'<g font-family="{_FONTS}" font-size="14">\n{rows}</g>\n</svg>\n'
    )


def _kept(line: str) -> str:
    return escape(line).replace(" ", _SPACE)


def _colour(line: str) -> str:
    return next((colour for start, colour in _COLOURS.items() if line.startswith(start)), _PLAIN)


if __name__ == "__main__":
    sys.stdout.write(picture(chosen_lines(sys.stdin.read())))
