"""What the program's exit code says to scripts."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The codes, documented for users: changing one breaks their scripts."""

    FINE = 0
    """Everything that was asked for is done."""
    FAILED = 1
    """Something was not: the message says what."""
    USED_WRONGLY = 2
    """The command line is wrong; nothing was tried."""
    NOT_ALLOWED = 4
    """The cluster knows you, or does not, and said no."""
    INTERRUPTED = 130
    """Ctrl-C: 128 and the signal's number, as shells have it."""
