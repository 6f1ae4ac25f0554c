"""The front that Envoy asks over gRPC, as a process with a socket: the tests of the protocol that others wrote, and a real Envoy."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gen.echo_api import EchoApi
from gen.gateway_examples import start_example
from gen.grpc_server import GrpcServer
from gen.raw_request import ask, bearer
from gen.verifying import TOKEN
from testbed.binaries import program
from testbed.gateways import Gateway


@pytest.fixture(scope="module")
def server() -> Iterator[GrpcServer]:
    with GrpcServer.start() as started:
        yield started


@pytest.fixture(scope="module")
def api() -> Iterator[EchoApi]:
    with EchoApi() as started:
        yield started


@pytest.fixture(scope="module")
def envoy(server: GrpcServer, api: EchoApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with start_example("envoy-grpc", tmp_path_factory.mktemp("envoy"), api=api.port, verifier=server.port) as started:
        yield started


def test_h2spec_finds_nothing(server: GrpcServer) -> None:
    """Its generic, HTTP/2 and HPACK parts: RFC 9113 and 7541, what is to be borne and what to be refused with which error."""
    command = [program("h2spec"), "--strict", "--host", "127.0.0.1", "--port", str(server.port), "--timeout", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:]
    assert " passed, 0 skipped, 0 failed" in done.stdout


def test_many_requests_in_flight_are_all_answered(envoy: Gateway) -> None:
    with ThreadPoolExecutor(32) as pool:
        statuses = Counter(pool.map(lambda _: ask(envoy.port, "/orders/1", bearer(TOKEN)).status, range(1000)))
    assert statuses == {200: 1000}


def test_headers_as_large_as_envoy_takes_them_are_checked(envoy: Gateway) -> None:
    large = tuple((f"x-large-{number}", "x" * 5_000) for number in range(11))
    assert ask(envoy.port, "/orders/1", bearer(TOKEN), *large).status == 200
    assert ask(envoy.port, "/orders/1", *large, ("x-api-key", "k" * 3_000)).status == 401


def test_a_front_that_ends_fails_no_request(api: EchoApi, tmp_path: Path) -> None:
    """It is stopped while Envoy asks without pause; another one listens at the same place."""
    first = GrpcServer.start()
    with first, start_example("envoy-grpc", tmp_path, api=api.port, verifier=first.port) as envoy, ThreadPoolExecutor(8) as pool:
        assert ask(envoy.port, "/orders/1", bearer(TOKEN)).status == 200
        with GrpcServer.start(port=first.port):
            asked = [pool.submit(ask, envoy.port, "/orders/1", bearer(TOKEN)) for _ in range(1000)]
            asked[100].result()
            first.ask_to_stop()
            assert first.wait() == 0
            assert not asked[-1].done()
            assert Counter(each.result().status for each in asked) == {200: 1000}
