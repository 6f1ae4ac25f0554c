"""One replica of the verifier with several processes, on a real API server: how they share work, and what follows when one dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import grpc
import pytest

from gen.signed_keys import SignedKeys
from gen.steady_clients import SteadyClients
from gen.verifier_process import VerifierProcess
from testbed.certificates import Authority
from testbed.cluster import wait_until
from testbed.plane import Plane

PATIENCE = 20.0
HOME = "several-processes"
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
HEALTH = "/grpc.health.v1.Health/Check"

Start = Callable[..., VerifierProcess]


@pytest.fixture(scope="module")
def keys(quiet_plane: Plane) -> SignedKeys:
    """An installation of its own, without an operator."""
    quiet_plane.create_namespace(HOME)
    return SignedKeys(quiet_plane, records_namespace=HOME, namespace=HOME)


@pytest.fixture(scope="module")
def token(keys: SignedKeys) -> str:
    return keys.issue("billing")


def started(plane: Plane, *, name: str, **settings: str) -> VerifierProcess:
    wanted = {"processes": "2", **settings}
    return VerifierProcess.start(plane, records_namespace=HOME, namespace=HOME, name=name, settings=wanted)


@pytest.fixture(scope="module")
def two(quiet_plane: Plane, token: str) -> Iterator[VerifierProcess]:
    assert token
    with started(quiet_plane, name="two") as verifier:
        yield verifier.wait_ready()


@pytest.fixture
def start(quiet_plane: Plane, token: str) -> Iterator[Start]:
    """Start one of this test's own: it may be killed."""
    assert token
    with ExitStack() as ends:
        yield lambda name, **settings: ends.enter_context(started(quiet_plane, name=name, **settings)).wait_ready()


def pids(verifier: VerifierProcess) -> dict[int, int]:
    """Process ids by number."""
    begun = [line for line in verifier.log_since_start() if line["message"] == "Started a process"]
    return {line["process"]: line["pid"] for line in begun}


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def accepted(verifier: VerifierProcess) -> list[float]:
    """By process: how many requests it let through."""
    return [verifier.metric("keyturn_verifier_requests_total", process=str(number), verdict="accepted") for number in (0, 1)]


def leases(plane: Plane, verifier: VerifierProcess) -> set[str]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases"
    names = {item["metadata"]["name"] for item in json.loads(plane.login.ask("GET", path))["items"]}
    return {name for name in names if verifier.setting("identity") in name}


def test_no_process_takes_all_connections_over_http(two: VerifierProcess, token: str) -> None:
    """Four each where both have a core; on a machine with more to do, one may not wake up in time for its turn."""
    before = accepted(two)
    with ExitStack() as ends:
        for _ in range(8):
            connection = ends.enter_context(closing(HTTPConnection(str(two.address), timeout=PATIENCE)))
            connection.request("GET", "/verify", headers={"Authorization": f"Bearer {token}"})
            assert connection.getresponse().read() == b""
        share = [after - start for after, start in zip(accepted(two), before, strict=True)]
    assert sum(share) == 8
    assert min(share) >= 2


def test_no_process_takes_all_connections_of_envoy(two: VerifierProcess) -> None:
    with ExitStack() as ends:
        for _ in range(8):
            channel = ends.enter_context(grpc.insecure_channel(str(two.grpc_address), options=OWN_CONNECTION))
            assert channel.unary_unary(HEALTH)(b"", timeout=PATIENCE) == b"\x08\x01"
        share = [connections_at(pid, two.grpc_address) for pid in pids(two).values()]
    assert sum(share) == 8
    assert min(share) >= 2


def connections_at(pid: int, address: str | None) -> int:
    """How many TCP connections at this address a process holds, by the kernel's own books."""
    port = f":{int(str(address).rpartition(':')[2]):04X}"
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if port in line.split()[1] and line.split()[3] == "01"
    }
    links = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(link.readlink()))
    return sum(f"socket:[{inode}]" in links for inode in inodes)


def test_each_process_has_a_lease_of_its_own(quiet_plane: Plane, two: VerifierProcess) -> None:
    identity = two.setting("identity")
    wait_until(
        lambda: leases(quiet_plane, two) == {f"verifier-{identity}-0", f"verifier-{identity}-1"}, patience=PATIENCE, what="both Leases"
    )


def test_metrics_tell_of_each_process_and_of_their_parent(two: VerifierProcess) -> None:
    series = two.metrics()
    for process in ("0", "1"):
        assert series[f'keyturn_verifier_records{{process="{process}"}}'] == 1.0
        assert series[f'keyturn_verifier_process_starts_total{{process="{process}"}}'] == 1.0
        assert series[f'process_resident_memory_bytes{{process="{process}"}}'] > 0
    assert series['process_resident_memory_bytes{process="parent"}'] > 0
    assert {line for line in series if "process=" not in line} == set()
    text = two.ask("/metrics")[1]
    heads = [line for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))


def test_a_process_that_is_killed_costs_no_client_that_tries_again(start: Start, token: str) -> None:
    verifier = start("killed")
    first = pids(verifier)
    with SteadyClients(token, [verifier]) as clients:
        wait_until(lambda: clients.answered > 40, patience=PATIENCE, what="clients to ask")
        os.kill(first[1], signal.SIGKILL)
        wait_until(lambda: pids(verifier)[1] != first[1], patience=PATIENCE, what="it to be started again")
        assert verifier.ask("/readyz") == (200, "ok")
        wait_until(lambda: verifier.check(token).status == 200 and min(accepted(verifier)) > 0, patience=PATIENCE, what="both to answer")
    # Each of the four may lose the connection it had, once: a refusal would be a status.
    assert len(clients.failures) <= 4
    assert [failure for failure in clients.failures if failure[0].isdigit()] == []
    assert verifier.metric("keyturn_verifier_process_starts_total", process="1") == 2.0
    assert verifier.metric("keyturn_verifier_process_starts_total", process="0") == 1.0


def test_a_process_that_was_started_again_is_given_its_share_of_what_there_is(start: Start, token: str) -> None:
    """Gateways keep their connections for hours, and all of them are with the process that lived on."""
    verifier = start("rested")
    first = pids(verifier)
    with SteadyClients(token, [verifier]) as clients, ExitStack() as ends:
        channels = [ends.enter_context(grpc.insecure_channel(str(verifier.grpc_address), options=OWN_CONNECTION)) for _ in range(4)]
        os.kill(first[1], signal.SIGKILL)
        wait_until(lambda: pids(verifier)[1] != first[1], patience=PATIENCE, what="it to be started again")
        failed = len(clients.failures)
        asked = [channel.unary_unary(HEALTH) for channel in channels]

        def is_shared_out() -> bool:
            assert [ask(b"", timeout=PATIENCE, wait_for_ready=True) for ask in asked] == [b"\x08\x01"] * 4
            share = [
                connections_at(pid, address) for address in (verifier.address, verifier.grpc_address) for pid in pids(verifier).values()
            ]
            return share == [2, 2, 2, 2]

        wait_until(is_shared_out, patience=40.0, what="half of the connections to go there")
        assert len(clients.failures) == failed


def test_a_process_that_is_stuck_gets_no_connection(start: Start, token: str) -> None:
    verifier = start("stuck")
    os.kill(pids(verifier)[0], signal.SIGSTOP)
    try:
        assert [verifier.check(token).status for _ in range(20)] == [200] * 20
        assert accepted(verifier)[1] == 20.0
    finally:
        os.kill(pids(verifier)[0], signal.SIGCONT)


def test_asked_to_stop_under_load_it_loses_no_request(quiet_plane: Plane, start: Start, token: str) -> None:
    old, new = start("old", drain_delay="2s"), start("new")
    with SteadyClients(token, [old]) as clients:
        wait_until(lambda: clients.answered > 40, patience=PATIENCE, what="clients to ask")
        clients.use([new])
        assert old.stop() == 0
        before = clients.answered
        wait_until(lambda: clients.answered > before + 20, patience=PATIENCE, what="clients to go on")
    assert clients.failures == []
    assert leases(quiet_plane, old) == set()
    assert not any(map(lives, pids(old).values()))


def test_a_parent_that_is_killed_takes_its_processes_with_it(start: Start) -> None:
    verifier = start("orphaned")
    workers = pids(verifier).values()
    verifier.kill()
    wait_until(lambda: not any(map(lives, workers)), patience=PATIENCE, what="its processes to end")
    verifier.restart()
    verifier.wait_ready()


def test_connections_with_tls_are_let_in_beside_one_that_never_says_hello(start: Start, token: str, tmp_path: Path) -> None:
    authority = Authority(tmp_path, name="ca")
    pair = authority.issue_server("verifier", user="verifier", hosts=["127.0.0.1"])
    verifier = start("tls", tls_certificate=str(pair.certificate), tls_key=str(pair.key))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.crt"))
    host, _, port = str(verifier.address).rpartition(":")
    with closing(socket.create_connection((host, int(port)))):
        for _ in range(4):
            with closing(HTTPSConnection(str(verifier.address), context=context, timeout=PATIENCE)) as connection:
                connection.request("GET", "/verify", headers={"Authorization": f"Bearer {token}"})
                assert connection.getresponse().status == 200
    credentials = grpc.ssl_channel_credentials((tmp_path / "ca.crt").read_bytes())
    with grpc.secure_channel(str(verifier.grpc_address), credentials) as channel:
        assert channel.unary_unary(HEALTH)(b"", timeout=PATIENCE) == b"\x08\x01"


def test_one_process_needs_no_parent_and_no_label(start: Start) -> None:
    verifier = start("alone", processes="1")
    assert pids(verifier) == {}
    assert verifier.metrics()["keyturn_verifier_records"] == 1.0


@pytest.mark.parametrize(("setting", "value"), [("listen_address", "192.0.2.1:1"), ("tls_certificate", "/nowhere")])
def test_what_no_process_can_do_ends_all_of_them(quiet_plane: Plane, setting: str, value: str) -> None:
    with started(quiet_plane, name="hopeless", **{setting: value}) as verifier:
        assert verifier.wait_exit() == 1


def test_snapshots_are_one_a_process(start: Start, tmp_path: Path) -> None:
    start("snapshots", snapshot=str(tmp_path / "records"))
    wait_until(lambda: {path.name for path in tmp_path.iterdir()} == {"records.0", "records.1"}, patience=PATIENCE, what="both snapshots")
