"""Everything a walk through the gateways needs: an API that tells what it saw, a real verifier with keys, each gateway started once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Final

from gen.echo_api import EchoApi, Seen, seen_in
from gen.gateway_examples import EXAMPLES, start_example
from gen.raw_request import Answered, ask, bearer
from gen.signed_keys import SignedKeys
from gen.verifier_process import VerifierProcess
from testbed.cluster import Cluster, wait_until
from testbed.gateways import Gateway
from testbed.layout import free_ports

PATIENCE: Final = 30.0


class Surroundings:
    """One verifier, fed by a real API server, and the gateways that ask it. Stop it at the end."""

    def __init__(self, plane: Cluster, *, records_namespace: str, folder: Path) -> None:
        namespace = f"{records_namespace}-system"
        plane.create_namespace(namespace)
        self._folder, self._stack = folder, ExitStack()
        self._gateways, self._tokens = dict[str, Gateway](), dict[str, str]()
        self.keys = SignedKeys(plane, records_namespace=records_namespace, namespace=namespace)
        self.api = self._stack.enter_context(EchoApi())
        self.good = self.keys.issue("good")
        self._http, self._grpc = free_ports(2)
        self._plane, self._records_namespace = plane, records_namespace
        self.verifier = self._start_verifier("verifier", http=self._http, grpc=self._grpc)
        self._stack.callback(self.verifier.close)

    def gateway(self, name: str) -> Gateway:
        """One of EXAMPLES, started when it is asked for the first time, and letting the good key through."""
        if name not in self._gateways:
            folder = self._folder / name
            folder.mkdir()
            verifier = self._grpc if EXAMPLES[name].asks_over_grpc else self._http
            started = self._stack.enter_context(start_example(name, folder, api=self.api.port, verifier=verifier))
            self._gateways[name] = started
            wait_until(lambda: self.lets_through(name, self.good), patience=PATIENCE, what=f"{name} to let the good key through")
        return self._gateways[name]

    @contextmanager
    def before_two(self, name: str, folder: Path) -> Iterator[tuple[Gateway, VerifierProcess]]:
        """An Envoy of its own before the verifier and a second one, and that second one."""
        http, grpc = free_ports(2)
        over_grpc = EXAMPLES[name].asks_over_grpc
        verifier, another = (self._grpc, grpc) if over_grpc else (self._http, http)
        with (
            self._start_verifier("second", http=http, grpc=grpc) as second,
            start_example(name, folder, api=self.api.port, verifier=verifier, another=another) as gateway,
        ):
            yield gateway, second.wait_ready()

    @contextmanager
    def before_a_gone_one(self, name: str, folder: Path) -> Iterator[Gateway]:
        """An Envoy of its own before the verifier and an address where nobody is: a pod that DNS still names, on a node that died.

        No connection is refused there, and none is made: the queue of a socket that accepts nothing is full.
        """
        self.verifier.wait_ready()
        verifier = self._grpc if EXAMPLES[name].asks_over_grpc else self._http
        with socket.socket() as nobody, ExitStack() as waiting:
            nobody.bind(("127.0.0.1", 0))
            nobody.listen(0)
            gone: int = nobody.getsockname()[1]
            for _ in range(3):
                connection = waiting.enter_context(socket.socket())
                connection.settimeout(0.0)
                connection.connect_ex(("127.0.0.1", gone))
            with start_example(name, folder, api=self.api.port, verifier=verifier, another=gone) as gateway:
                yield gateway

    def _start_verifier(self, name: str, *, http: int, grpc: int) -> VerifierProcess:
        settings = {"listen_address": f"127.0.0.1:{http}", "grpc_address": f"127.0.0.1:{grpc}"}
        return VerifierProcess.start(self._plane, records_namespace=self._records_namespace, settings=settings, name=name)

    def ask(self, name: str, target: str, *headers: tuple[str, str]) -> Answered:
        """Ask the gateway of this name."""
        return ask(self.gateway(name).port, target, *headers)

    def lets_through(self, name: str, token: str) -> bool:
        """Whether a request with this key reaches the API."""
        return self.ask(name, "/orders/1", bearer(token)).status == HTTPStatus.OK

    def seen(self, name: str, target: str, *headers: tuple[str, str]) -> Seen:
        """What the API saw of a request that gets there."""
        answered = self.ask(name, target, *headers)
        assert answered.status == HTTPStatus.OK, answered
        return seen_in(answered.body)

    def seen_in(self, answered: Answered) -> Seen:
        """What the API saw of the request that it answered so."""
        return seen_in(answered.body)

    def send(self, name: str, target: str, *headers: tuple[str, str], body: str) -> Seen:
        """POST something and answer what the API saw."""
        answered = ask(self.gateway(name).port, target, *headers, method="POST", body=body)
        assert answered.status == HTTPStatus.OK, answered
        return seen_in(answered.body)

    @contextmanager
    def nothing_reaches_the_api(self, name: str) -> Iterator[None]:
        """Assert that no request of the block got through."""
        self.gateway(name)  # its start sends requests of its own
        before = self.api.requests
        yield
        assert self.api.requests == before

    def status(self, name: str, target: str, *headers: tuple[str, str]) -> int:
        """What the gateway answers; 0: it ended the connection without a word."""
        try:
            return self.ask(name, target, *headers).status
        except (ConnectionError, HTTPException):
            return 0

    def known(self, key: str, **fields: object) -> str:
        """The token of a key that the verifier knows; issued when it is asked for the first time."""
        if key not in self._tokens:
            self._tokens[key] = self.keys.issue(key, **fields)
            token = self._tokens[key]
            wait_until(lambda: not self._is_unknown(token), patience=PATIENCE, what=f"the verifier to know {key}")
        return self._tokens[key]

    def _is_unknown(self, token: str) -> bool:
        """A key that nobody has gets the answer that garbage gets."""
        return self.verifier.check(token).body == self.verifier.check("garbage" * 9).body

    def stop(self) -> None:
        """End all of it."""
        self._stack.close()
