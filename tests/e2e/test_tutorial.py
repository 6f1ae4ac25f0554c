"""The tutorial, followed word for word: every command is typed, and must answer what the page says it answers."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from demo.stage import environment_of, plane, start_operator

CHECKOUT: Final = Path(__file__).parents[2]
PAGE: Final = CHECKOUT / "docs" / "tutorials" / "first-key.md"
PATIENCE: Final = 75
LOOKS: Final = ("kubectl get", "kubectl rollout status", "keyturn describe", "keyturn get")
VARIES: Final = (
    (r"\$sha256\$[\w-]{43}", "DIGEST"),
    (r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "UID"),
    (r"\b[0-9a-f]{16,64}\b", "HEX"),
    (r'(serial": |resourceVersion": "|in )\d[\dhdms]*', r"\1NUMBER"),
    (r"(?<![\w])(?=\w*[0-9A-Z])[0-9A-Za-z]{12}(?![\w])", "ID"),
    (r"\b(\d+[dhms])+\b", "AGE"),
    (r"\s+", " "),
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A command of the page and what the page says it answers."""

    command: str
    answer: tuple[str, ...]


def commands_of(page: str) -> Iterator[Typed]:
    """Every `$ ` line of every console block, with the lines below it."""
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = part.partition("\n")
            yield Typed(command, constant(answer))


def constant(text: str) -> tuple[str, ...]:
    """What is the same in every run. Lines of progress depend on how fast one looked."""
    for pattern, word in VARIES[:-1]:
        text = re.sub(pattern, word, text)
    lines = (re.sub(*VARIES[-1], line).strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not re.match(r"apikey/\w+: ", line))


@pytest.fixture(scope="module")
def shell() -> Iterator[Mapping[str, str]]:
    with plane(keep=False) as running:
        environment = {**environment_of(running), "NO_COLOR": "1"}
        running.kubectl("apply", "--server-side", "-f", str(CHECKOUT / "crds"))
        stage = start_operator(running, environment)
        yield environment
        stage.stop_operator()


def answer_to(command: str, shell: Mapping[str, str]) -> tuple[str, ...]:
    # As in a terminal: `script` gives it one, and tables are tables.
    in_terminal = ["script", "--quiet", "--command", f"stty cols 250 2>/dev/null; {command}", "/dev/null"]
    done = subprocess.run(in_terminal, env=dict(shell), cwd=CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return constant(done.stdout)


def test_every_command_of_the_tutorial_answers_what_the_page_says(shell: Mapping[str, str]) -> None:
    for typed in commands_of(PAGE.read_text()):
        answer, end = answer_to(typed.command, shell), time.monotonic() + PATIENCE
        while answer != typed.answer and typed.command.startswith(LOOKS) and time.monotonic() < end:
            time.sleep(0.3)
            answer = answer_to(typed.command, shell)
        assert answer == typed.answer, typed.command
