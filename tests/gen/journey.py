"""A client behind a real gateway, the verifiers that the gateway asks, the operator, and whatever may happen to them.

with Journey.open(plane, folder=tmp_path) as journey:
    with journey.travel():                      # the client asks without pause, with the key that it finds in a mounted file
        journey.rotate()
    journey.judge()                             # raises with every failed request, and what the world was doing at the time
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final, Self

from gen import journey_client
from gen.echo_api import EchoApi
from gen.gateway_examples import EXAMPLES, FOLDER
from gen.mounted_key import MountedKey
from gen.operator_process import OperatorProcess, unique_name
from gen.outcomes import Diary, Outcome, failures_of, read_outcomes, speed_of, told
from gen.raw_request import ask, bearer
from gen.team import Api, Team
from gen.verifier_process import VerifierProcess
from keyturn.keys.token_format import format_token
from testbed.cluster import Cluster, wait_until
from testbed.gateways import Gateway
from testbed.layout import free_ports
from testbed.processes import Component, Group

NAME: Final = "orders"
SPEC: Final[Mapping[str, object]] = {"rotation": {"policy": "Manual", "gracePeriod": "1s", "quietPeriod": "2s", "overlapLimit": "5m"}}
"""Grace is over long before the last client has noticed: it is the quiet period that keeps the old key for it."""
OPERATOR: Final = {"lease_duration": "3s"}
VERIFIER: Final = {"lease_duration": "3s", "use_report_pause": "100ms"}
PATIENCE: Final = 60.0
UNAUTHORIZED: Final = 401
UNAVAILABLE: Final = 503
SIGHT: Final = 20.0
"""Seconds after the API server's return within which every verifier must have caught up."""
PAUSE: Final = 4.0
"""Milliseconds between the client's requests."""
MOUNT_DELAYS: Final = (0.0, 0.5, 2.0)
"""How late the mounted file follows its Secret, in turn."""
_ONE: Final = "{ address: 127.0.0.1, port_value: <verifier> }"
_ANOTHER: Final = "\n              - endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: %d } } }"

PATIENT: Final = {" timeout: 0.5s": " timeout: 8s", "max_interval: 0.2s": "max_interval: 3s"}
"""Half a second, and a fifth of one for each try, is soon over on a machine with more to do than it has cores."""


@dataclass(slots=True)
class Journey:
    """Made by `Journey.open`."""

    plane: Cluster
    team: Team
    folder: Path
    verifiers: tuple[VerifierProcess, ...]
    gateways: Mapping[str, Gateway]
    """By the way in which they ask the verifiers."""
    diary: Diary = field(default_factory=Diary)
    outages: list[tuple[float, float]] = field(default_factory=list)
    """From when to when the API server was away: a verifier whose Lease ended cannot say of an unknown key that it does not exist."""
    tokens: list[str] = field(default_factory=list)
    """Every key the Secret has held, oldest first."""

    @classmethod
    @contextmanager
    def open(
        cls,
        plane: Cluster,
        *,
        folder: Path,
        verifiers: int = 2,
        operator_settings: Mapping[str, str] | None = None,
        verifier_settings: Mapping[str, str] | None = None,
    ) -> Iterator[Self]:
        """Everything but the client, ready, with a first key issued."""
        namespace, records = unique_name("t"), unique_name("records")
        plane.create_namespace(namespace)
        with ExitStack() as ends:
            settings = {**OPERATOR, "watch_namespaces": namespace, **(operator_settings or {})}
            operator = ends.enter_context(OperatorProcess.start(plane, settings=settings, records_namespace=records))
            ports = {"envoy-http": free_ports(verifiers), "envoy-grpc": free_ports(verifiers)}
            asked = tuple(
                ends.enter_context(
                    _verifier(plane, records, pair, name=f"verifier-{number}", settings={**VERIFIER, **(verifier_settings or {})})
                )
                for number, pair in enumerate(zip(*ports.values(), strict=True), start=1)
            )
            api = Api(plane.login)
            ends.callback(api.close)
            behind = ends.enter_context(EchoApi()).port
            gateways = {name: ends.enter_context(_start_envoy(name, folder, api=behind, verifiers=ports[name])) for name in ports}
            team = Team(plane, api, namespace, operator.wait_ready(), records_namespace=records, system_namespace=f"{records}-system")
            journey = cls(plane, team, folder, asked, gateways)
            for verifier in asked:
                verifier.wait_ready()
            journey.tokens.append(team.issue(NAME, SPEC).token)
            journey.wait_status(journey.tokens[0], 200)
            yield journey
        plane.delete_namespace(namespace)

    @contextmanager
    def travel(self) -> Iterator[None]:
        """A client behind each gateway asks from the beginning to the end of the block."""
        group = Group()
        with MountedKey(self.plane, self.team.secret_path(NAME), self.folder / "api-key", delays=MOUNT_DELAYS) as mounted:
            clients = [self._client(name, mounted.file, group) for name in self.gateways]
            for client in clients:
                client.start()
            try:
                self._wait(lambda: self.is_used(self.tokens[-1]), what="every client to ask")
                yield
                for client in clients:
                    client.complain_if_dead()
            finally:
                group.kill()

    def _client(self, name: str, key: Path, group: Group) -> Component:
        where = f"127.0.0.1:{self.gateways[name].port}"
        command = (sys.executable, journey_client.__file__, key, where, str(PAUSE), self.new_client(name) / "1")
        return Component(name, group=group, command=command, log=self.folder / f"client-{name}.log")

    def new_client(self, name: str) -> Path:
        """Where a client writes a line per request: a folder, with a file for each of its processes."""
        folder = self.folder / "outcomes" / name
        folder.mkdir(parents=True)
        return folder

    def ask(self, token: str) -> int:
        """The status that a request with this key gets at both gateways; 0: not the same."""
        answers = {ask(gateway.port, "/orders", bearer(token)).status for gateway in self.gateways.values()}
        return answers.pop() if len(answers) == 1 else 0

    def wait_status(self, token: str, status: int, *, patience: float = PATIENCE) -> None:
        """Wait until the gateway answers a key so."""
        wait_until(lambda: self.ask(token) == status, patience=patience, what=f"status {status} for {token[:15]}")

    def begin_rotation(self) -> int:
        """Ask for a new version; answers the number of the old one."""
        old = self.team.secret(NAME).version
        self.diary.note(f"rotation of version {old} asked for")
        self.team.request_rotation(NAME, f"journey-{old}")
        return old

    def end_rotation(self, old: int) -> None:
        """Wait until the Secret holds a new key and the old one has ended, and see that it is refused."""
        self._wait(lambda: self.team.secret(NAME).version > old, what=f"version {old} to be replaced in the Secret")
        self.tokens.append(self.team.secret(NAME).token)
        self.diary.note(f"the Secret holds version {self.team.secret(NAME).version}")
        self._wait(lambda: self.is_used(self.tokens[-1]), what="the client to use the new key")
        self.diary.note("the client uses the new key")
        self._wait(lambda: self.team.states(NAME)[old] == "Retired", what=f"version {old} to retire")
        self.diary.note(f"version {old} retired")
        self.wait_status(self.tokens[-2], 401, patience=10.0)

    def rotate(self) -> None:
        """One rotation from beginning to end."""
        self.end_rotation(self.begin_rotation())

    def is_used(self, token: str) -> bool:
        """Whether every client has asked with this key."""
        return all(any(outcome.key_id == key_id_of(token) for outcome in asked) for asked in self.outcomes().values())

    def outcomes(self) -> dict[str, list[Outcome]]:
        """Of all requests so far, by client."""
        folders = sorted((self.folder / "outcomes").iterdir())
        return {folder.name: [outcome for file in folder.iterdir() for outcome in read_outcomes(file)] for folder in folders}

    def judge(self) -> None:
        """No request failed, each key was used, and of all keys only the last is accepted."""
        failures: list[Outcome] = []
        for client, outcomes in self.outcomes().items():
            failures += failures_of(outcomes)
            self.diary.note(f"{client}: {len(outcomes)} requests with {len(self.tokens)} keys, {speed_of(outcomes)}")
            assert {outcome.key_id for outcome in outcomes} == {key_id_of(token) for token in self.tokens}
        assert not failures, told(failures, self.diary)
        assert [self.ask(token) for token in self.tokens] == [*[401] * (len(self.tokens) - 1), 200]

    @contextmanager
    def garbage(self, *, rate: float = 50.0) -> Iterator[None]:
        """Meanwhile others send keys that are none, so many a second. Every one is refused; while verifiers cannot know, with 503."""
        stop, answers = threading.Event(), list[Outcome]()

        def send() -> None:
            for number in count():
                for gateway in self.gateways.values():
                    status = ask(gateway.port, "/orders", bearer(_garbage(number))).status
                    answers.append(Outcome(time.time(), status, f"garbage {number % 3}", 0.0))
                if stop.wait(1 / rate):
                    return

        thread = threading.Thread(target=send, name="garbage", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(PATIENCE)
        wrong = [each for each in answers if each.status != UNAUTHORIZED and not (each.status == UNAVAILABLE and self._is_blind(each.time))]
        assert not wrong, told(wrong, self.diary)
        assert answers[-1].status == UNAUTHORIZED

    def _is_blind(self, instant: float) -> bool:
        return any(begin <= instant <= end + SIGHT for begin, end in self.outages)

    def _wait(self, is_so: Callable[[], bool], *, what: str) -> None:
        self.team.wait_until(is_so, about=NAME, what=what, patience=PATIENCE)


def key_id_of(token: str) -> str:
    """Its public name."""
    return token.rpartition("_")[2][: journey_client.KEY_ID_LENGTH]


def _garbage(number: int) -> str:
    """Well formed and unknown, badly formed, or nothing like a key."""
    match number % 3:
        case 0:
            return format_token("kt", key_id=f"{number:012d}", secret="s" * 43)
        case 1:
            return f"kt_{number:061d}"
        case _:
            return "\xff" * (number % 500 + 1)


def _verifier(plane: Cluster, records: str, ports: Sequence[int], *, name: str, settings: Mapping[str, str]) -> VerifierProcess:
    http, grpc = (f"127.0.0.1:{port}" for port in ports)
    wanted = {"listen_address": http, "grpc_address": grpc, **settings}
    return VerifierProcess.start(plane, records_namespace=records, settings=wanted, name=name)


def _start_envoy(name: str, folder: Path, *, api: int, verifiers: Sequence[int]) -> Gateway:
    """An Envoy of deploy/gateways before several verifiers."""
    example, (port,), (first, *others) = EXAMPLES[name], free_ports(1), verifiers
    text = (FOLDER / example.program / example.files[0]).read_text()
    for old, new in {**example.replaced, **PATIENT}.items():
        if old not in text:
            raise LookupError(f"deploy/gateways/envoy no longer says {old!r}: say here what stands for it")
        text = text.replace(old, new.replace(_ONE, _ONE + "".join(_ANOTHER % other for other in others)))
    for word, value in {"port": port, "api": api, "verifier": first}.items():
        text = text.replace(f"<{word}>", str(value))
    file = folder / name / "envoy.yaml"
    file.parent.mkdir()
    file.write_text(text)
    return Gateway.start("envoy", file, port=port)
