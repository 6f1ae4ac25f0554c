"""The pages "protect an API with ...": their commands run, and what they promise is seen."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from gen.gateway_examples import EXAMPLES
from gen.gateway_walk import Surroundings
from gen.raw_request import bearer
from testbed.gateway_programs import gateway_program

HOW_TO: Final = Path(__file__).parents[2] / "docs" / "how-to"
CHECKS: Final = {"envoy-http": "envoy --mode validate", "haproxy": "haproxy -c", "caddy": "caddy validate"}
"""How the check that a page names begins; nginx's needs an installed nginx, and Traefik has none."""


def page_of(name: str) -> str:
    return (HOW_TO / f"protect-an-api-with-{EXAMPLES[name].program}.md").read_text()


@pytest.mark.parametrize("name", CHECKS)
def test_the_check_of_the_page_takes_the_example(name: str, walk: Surroundings) -> None:
    folder = walk.gateway(name).log.parent
    command = next(line.strip() for line in page_of(name).splitlines() if line.strip().startswith(CHECKS[name]))
    program, *arguments = re.sub(r"/etc/\w+/", "", command).split()
    found = gateway_program(program)
    done = subprocess.run([found.path, *arguments], cwd=folder, env=found.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_page_promises_what_is_seen(name: str, walk: Surroundings) -> None:
    page, refused = page_of(name), walk.ask(name, "/orders")
    assert "The first is a 401" in page
    assert refused.status == 401
    assert ("`An API key is needed`" in page) == (b"An API key is needed" in refused.body)
    seen = walk.seen(name, "/orders", bearer(walk.good))
    assert "x-keyturn-apikey" in seen.names()
    assert "authorization" not in seen.names()
    assert walk.ask(name, "/reports", bearer(walk.good)).status == 403
