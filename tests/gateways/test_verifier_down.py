"""A gateway that cannot ask lets nothing through."""

from __future__ import annotations

from pathlib import Path

import pytest

from gen.echo_api import EchoApi
from gen.gateway_examples import EXAMPLES, start_example
from gen.raw_request import ask, bearer
from gen.verifying import TOKEN
from testbed.layout import free_ports


@pytest.mark.parametrize("name", EXAMPLES)
def test_nothing_passes_while_the_verifier_is_down(name: str, api: EchoApi, tmp_path: Path) -> None:
    before = api.requests
    (nobody,) = free_ports(1)
    with start_example(name, tmp_path, api=api.port, verifier=nobody) as gateway:
        answered = ask(gateway.port, "/", bearer(TOKEN))
    assert answered.status in {500, 502, 503}
    assert api.requests == before
