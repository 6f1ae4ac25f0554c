"""`make demo` itself, as a person runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
LONGEST = 60.0


@pytest.fixture(scope="module")
def shown() -> str:
    """What the demo prints, into a pipe."""
    environment = {name: value for name, value in os.environ.items() if name not in {"KEEP", "KUBECONFIG"}}
    done = subprocess.run(
        [sys.executable, "tests/demo/__main__.py"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_demo_tells_the_whole_life_of_a_key(shown: str) -> None:
    told = [line.split()[1] for line in shown.splitlines() if line.strip().startswith("Normal ") and line.split()[1:]]
    assert told == ["Issued", "Rotated", "Retired"]


def test_demo_shows_both_keys_accepted_and_then_the_old_one_refused(shown: str) -> None:
    verdicts = [word for line in shown.splitlines() for word in line.split() if word in {"ACCEPTED", "REFUSED"}]
    assert verdicts == ["ACCEPTED", "ACCEPTED", "REFUSED", "ACCEPTED"]


def test_demo_shows_no_whole_key(shown: str) -> None:
    from keyturn.keys.token_format import find_tokens

    assert find_tokens(shown) == ()


def test_demo_leaves_no_colors_in_a_pipe(shown: str) -> None:
    assert "\x1b" not in shown
