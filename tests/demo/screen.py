"""What the person at the terminal sees: chapters, commands as one would type them with their real output, remarks."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[2]
TOKEN: Final = re.compile(r"([a-z0-9_]{2,16}_[0-9A-Za-z]{12})[0-9A-Za-z]{49}")
PATIENCE: Final = 60.0


class CommandFailed(Exception):
    """A command of the demo did not end as it should; the message has its output."""


class Screen:
    """Prints, and runs commands in the environment of the demo's cluster. Colors and a dim prompt only on a terminal."""

    def __init__(self) -> None:
        self._color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._start = time.monotonic()
        self.environment: Mapping[str, str] = dict(os.environ)

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._start

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        print(f"\n{self._paint('1;36', f'== {title}')}  {self._paint('2', f'({self.seconds:.0f} s)')}", flush=True)

    def say(self, text: str) -> None:
        """A remark."""
        for line in text.splitlines():
            print(self._paint("2", f"   # {line}"), flush=True)

    def result(self, text: str) -> None:
        """Something that was found out, and not printed by a command."""
        for line in text.splitlines():
            print(f"   {line}", flush=True)

    def run(self, command: str) -> str:
        """Type a command, show what it answers, and answer that too; raise CommandFailed where it fails."""
        self._type(command)
        output, status = self._in_terminal(command)
        if status:
            raise CommandFailed(f"$ {command}\n{output}")
        return output

    def quietly(self, command: str) -> str:
        """Run a command without showing it: to wait for something."""
        done = subprocess.run(
            ["bash", "-c", command],
            env=self.environment,
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise CommandFailed(f"$ {command}\n{done.stderr}")
        return done.stdout.strip()

    def watch(self, command: str, *, until: Callable[[str], bool]) -> None:
        """Type a command that goes on, show its lines as they come, and interrupt it at the line that was waited for."""
        self._type(f"{command}")
        words = shlex.split(command)
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=self.environment, cwd=CHECKOUT) as process:
            too_long = threading.Timer(PATIENCE, process.kill)
            too_long.start()
            try:
                for line in process.stdout or ():
                    self.result(masked(line.rstrip()))
                    if until(line):
                        break
                else:
                    raise CommandFailed(f"$ {command}\nwhat was waited for did not come within {PATIENCE:.0f} s")
            finally:
                too_long.cancel()
                process.terminate()
        self.result(self._paint("2", "^C"))

    def _type(self, command: str) -> None:
        print(f"{self._paint('32', '$')} {self._paint('1', command)}", flush=True)

    def _in_terminal(self, command: str) -> tuple[str, int]:
        """Run it as in a terminal, so that commands print what people get; standard error comes in between, as there."""
        ours, theirs = pty.openpty()
        attributes = termios.tcgetattr(theirs)
        attributes[1] &= ~termios.OPOST  # no carriage returns
        termios.tcsetattr(theirs, termios.TCSANOW, attributes)
        termios.tcsetwinsize(theirs, (50, 160))
        environment = {**self.environment, "TERM": "xterm" if self._color else "dumb"}
        # A shell, since the commands are typed as in one: pipes, quotes.
        process = subprocess.Popen(
            ["bash", "-c", command],  # commands are written in story.py
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            cwd=CHECKOUT,
        )
        os.close(theirs)
        chunks: list[bytes] = []
        with os.fdopen(ours, "rb", buffering=0) as reader, suppress(OSError):  # the last one closes: EIO
            while chunk := reader.read(65536):
                chunks.append(chunk)
        status = process.wait(PATIENCE)
        output = b"".join(chunks).decode(errors="replace")
        for line in output.rstrip("\n").splitlines():
            self.result(masked(line))
        return output, status

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._color else text


def masked(text: str) -> str:
    """The same text with the secret part of every key hidden: prefix and key ID are public."""
    return TOKEN.sub(lambda found: f"{found[1]}{'*' * 8}", text)
