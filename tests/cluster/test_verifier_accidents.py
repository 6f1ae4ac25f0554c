"""What becomes of a verifier's keys when somebody spoils, forges, replays or removes their records: traffic goes on, and it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gen.api_call import Call, Delay, Fault, Refuse
from gen.fault_proxy import Door, FaultProxy
from gen.ledger import Ledger, token_of
from gen.team import Api
from gen.verifier_process import VerifierProcess
from gen.verifying import RING
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import encode_record
from keyturn.keys.record_signing import sign_record
from keyturn.keys.root_secret import RootSecret, SigningRing
from testbed.cluster import wait_until
from testbed.plane import Plane

OTHER_RING = SigningRing.of(RootSecret(b"o" * 32))
SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Watching:
    """A verifier, the ledger it reads, and the way by which it reaches the API server."""

    verifier: VerifierProcess
    ledger: Ledger
    door: Door

    def status(self, name: str, *, version: int = 1) -> int:
        """What a gateway is told of this key."""
        return self.verifier.check(token_of(name, version=version)).status

    def wait_status(self, name: str, status: int, *, version: int = 1) -> None:
        wait_until(lambda: self.status(name, version=version) == status, patience=SECONDS, what=f"status {status} for {name}")

    def issue(self, name: str, **fields: object) -> Record:
        """A record that is in force."""
        record = self.ledger.record(name, serial=10, **fields)
        self.ledger.write(record)
        self.wait_status(name, 200)
        return record

    def taken(self, result: str) -> float:
        """How many records were offered that became this."""
        return self.verifier.metric("keyturn_verifier_records_taken_total", result=result)

    @contextmanager
    def told(self, result: str) -> Iterator[None]:
        """In the block a record is offered that is refused for this reason: wait until the metric says so."""
        before = self.taken(result)
        yield
        wait_until(lambda: self.taken(result) > before, patience=SECONDS, what=f"the alarm {result}; the log:\n{self.verifier.tail()}")

    def wait_metric(self, name: str, is_so: Callable[[float], bool]) -> None:
        wait_until(lambda: is_so(self.verifier.metric(name)), patience=SECONDS, what=f"{name} to say so: {self.verifier.metric(name)}")


@contextmanager
def open_watching(plane: Plane, folder: Path) -> Iterator[Watching]:
    with closing(Api(plane.login)) as api:
        ledger = Ledger.open(plane, api)
        ledger.publish()
        records, system = ledger.records_namespace, ledger.system_namespace
        with FaultProxy(plane, folder=folder, records_namespace=records, namespace=system) as proxy:
            door = proxy.door("verifier")
            with VerifierProcess.start(plane, records_namespace=records, kubeconfig=door.kubeconfig) as verifier:
                yield Watching(verifier.wait_ready(), ledger, door)


@pytest.fixture(scope="module")
def watching(quiet_plane: Plane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    with open_watching(quiet_plane, tmp_path_factory.mktemp("watching")) as watching:
        yield watching


def altered(record: Record, **fields: object) -> bytes:
    """The encoded record with other fields."""
    return json.dumps({**json.loads(encode_record(record)), **fields}, separators=(",", ":")).encode()


def signature_of(data: bytes, *, ring: SigningRing = RING) -> bytes:
    return sign_record(data, ring=ring).encode()


def of_a_stranger(record: Record) -> tuple[bytes | None, bytes | None]:
    data = altered(record, serial=99, versions=[])
    return data, signature_of(data, ring=OTHER_RING)


def with_a_signature_of_before(record: Record) -> tuple[bytes | None, bytes | None]:
    return altered(record, serial=99, versions=[]), signature_of(encode_record(record))


def half_written(record: Record) -> tuple[bytes | None, bytes | None]:
    return altered(record, serial=99, versions=[]), None


def without_data(_record: Record) -> tuple[bytes | None, bytes | None]:
    return None, None


def of_a_newer_format(record: Record) -> tuple[bytes | None, bytes | None]:
    data = altered(record, serial=99, format=1000, versions=[])
    return data, signature_of(data)


def no_json(_record: Record) -> tuple[bytes | None, bytes | None]:
    return b"not json", signature_of(b"not json")


def huge(_record: Record) -> tuple[bytes | None, bytes | None]:
    data = b"[" * 700_000
    return data, signature_of(data)


def of_another_key(record: Record) -> tuple[bytes | None, bytes | None]:
    data = altered(record, serial=99, name="another", versions=[])
    return data, signature_of(data)


def of_before(record: Record) -> tuple[bytes | None, bytes | None]:
    data = altered(record, serial=9, versions=[])
    return data, signature_of(data)


SPOILED = {
    of_a_stranger: "unknown_signer",
    with_a_signature_of_before: "forged",
    half_written: "forged",
    without_data: "forged",
    of_a_newer_format: "too_new",
    no_json: "damaged",
    huge: "damaged",
    of_another_key: "forged",
    of_before: "older",
}

PUBLISHED = {"gone": None, "empty": {}, "no-json": {"keys.json": "{"}, "no-key": {"keys.json": '{"keys":[{"keyID":"x"}]}'}}


@pytest.mark.parametrize(("spoil", "why"), SPOILED.items(), ids=[each.__name__ for each in SPOILED])
def test_a_spoiled_record_is_ignored_and_told_and_the_key_works_on(
    watching: Watching, spoil: Callable[[Record], tuple[bytes | None, bytes | None]], why: str
) -> None:
    name = f"spoiled-{spoil.__name__.replace('_', '-')}"
    record = watching.issue(name)
    with watching.told(why):
        data, signature = spoil(record)
        watching.ledger.put(name, data=data, signature=signature)
    assert watching.status(name) == 200
    watching.ledger.write(watching.ledger.record(name, serial=100, version=2))
    watching.wait_status(name, 200, version=2)
    assert watching.status(name) == 401
    assert watching.taken("applied") > 0


def test_a_record_that_loses_its_labels_has_vanished_and_counts(watching: Watching) -> None:
    watching.issue("unlabelled")
    stripped = {**watching.ledger.api.ask("GET", watching.ledger.path("unlabelled"))}
    del stripped["metadata"]["labels"]
    before = watching.verifier.metric("keyturn_verifier_records_vanished")
    watching.ledger.replace("unlabelled", stripped)
    watching.wait_metric("keyturn_verifier_records_vanished", lambda value: value == before + 1)
    assert watching.status("unlabelled") == 200
    watching.ledger.write(watching.ledger.record("unlabelled", serial=11, version=2))
    watching.wait_metric("keyturn_verifier_records_vanished", lambda value: value == before)


def test_all_records_deleted_at_once_stay_in_force_and_are_counted(watching: Watching) -> None:
    for number in range(5):
        watching.issue(f"deleted-{number}")
    before = watching.verifier.metric("keyturn_verifier_records_vanished")
    listed = len(watching.ledger.api.ask("GET", watching.ledger.path(""))["items"])
    watching.ledger.api.ask("DELETE", watching.ledger.path(""))
    watching.wait_metric("keyturn_verifier_records_vanished", lambda value: value == before + listed)
    assert [watching.status(f"deleted-{number}") for number in range(5)] == [200] * 5


@pytest.mark.parametrize("how", PUBLISHED)
def test_public_keys_that_are_gone_or_spoiled_end_no_key(watching: Watching, how: str) -> None:
    published = PUBLISHED[how]
    watching.issue("published")
    if published is None:
        watching.ledger.api.delete(watching.ledger.keys_path)
    else:
        watching.ledger.publish(published)
    watching.issue(f"keys-{how}")
    assert watching.status("published") == 200
    watching.ledger.publish()


def test_public_keys_of_another_root_end_no_key_and_are_told(watching: Watching) -> None:
    watching.issue("kept")
    with watching.told("unknown_signer"):
        watching.ledger.publish(ring=OTHER_RING)
    assert watching.status("kept") == 200
    with watching.told("unknown_signer"):
        watching.ledger.write(watching.ledger.record("kept", serial=11, version=2))
    assert (watching.status("kept"), watching.status("kept", version=2)) == (200, 401)
    watching.ledger.publish()
    watching.wait_status("kept", 200, version=2)
    assert watching.status("kept") == 401


def test_a_cut_watch_is_opened_again_and_misses_nothing(watching: Watching) -> None:
    watching.issue("cut")
    for serial in range(11, 15):
        watching.door.cut_watches()
        watching.ledger.write(watching.ledger.record("cut", serial=serial, disabled=serial % 2 == 1))
        watching.wait_status("cut", 401 if serial % 2 else 200)


def test_a_watch_that_must_begin_anew_misses_nothing(watching: Watching) -> None:
    """410: the API server has forgotten the version from which the watch would go on."""
    watching.issue("gone")
    refused: list[Call] = []

    def once(call: Call) -> Fault | None:
        if call.resource != "records" or not call.is_watch or refused:
            return None
        refused.append(call)
        return Refuse(410)

    watching.door.rule = once
    watching.door.cut_watches()
    watching.ledger.write(watching.ledger.record("gone", serial=11, disabled=True))
    watching.wait_status("gone", 401)
    assert refused


def test_a_half_open_watch_is_seen_in_the_age_and_costs_no_key(watching: Watching) -> None:
    watching.issue("half-open")
    watching.door.watches_flow = False
    watching.ledger.write(watching.ledger.record("half-open", serial=11, disabled=True))
    watching.wait_metric("keyturn_verifier_heard_age_seconds", lambda age: age > 1.0)
    assert watching.status("half-open") == 200
    watching.door.watches_flow = True
    watching.wait_status("half-open", 401)


def test_a_slow_api_server_delays_news_and_nothing_else(watching: Watching) -> None:
    watching.issue("slow")
    watching.door.rule = lambda _call: Delay(1.0)
    watching.door.cut_watches()
    watching.ledger.write(watching.ledger.record("slow", serial=11, disabled=True))
    assert watching.verifier.check(token_of("slow")).status in {200, 401}
    watching.wait_status("slow", 401)
    watching.door.rule = lambda _call: None


def test_a_records_namespace_that_is_deleted_takes_no_key_with_it(plane: Plane, tmp_path: Path) -> None:
    with open_watching(plane, tmp_path) as watching:
        watching.issue("bereft")
        plane.delete_namespace(watching.ledger.records_namespace)
        watching.wait_metric("keyturn_verifier_records_vanished", lambda value: value == 1.0)
        assert watching.status("bereft") == 200
        assert watching.verifier.is_running
