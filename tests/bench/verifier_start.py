"""How long a verifier takes to know 10,000 records, beside reading them without believing them; and who waits while many of them change."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Final

import uvloop

from bench.bare_client import BareClient, for_each
from bench.http_load import Load, answers_of, ask, asking
from bench.report import Report, Row
from bench.scenery import access_to
from bench.verifier_scene import NOBODYS, RECORDS, Scene, port_of, scene
from gen import many_keys, verifying
from gen.signed_keys import record_secret
from gen.verifier_process import VerifierProcess
from keyturn.cluster.client import Client
from keyturn.cluster.record_secrets import RECORD_SELECTOR, decode_stored_record
from keyturn.cluster.watch import Collection, Reflector
from keyturn.keys.base64url import decode_base64url
from keyturn.keys.record_signing import _DOMAIN as DOMAIN

HELD: Final = 10_000
CHANGED: Final = 1_000
IN_FLIGHT: Final = 16
RATE: Final = 500.0


def measure(report: Report, *, quick: bool) -> None:
    """Starts and bare lists in turn; then changes that the verifier reads, and the same writes where nobody reads, in turn."""
    held = HELD // 10 if quick else HELD
    changed, rounds = (CHANGED // 4, 3) if quick else (CHANGED, 5)
    with scene(held, nobodys=changed) as here:
        _measure_start(report, here, rounds)
        with here.verifier() as verifier:
            _measure_changes(report, here, verifier, changed=changed, rounds=rounds)


def _measure_start(report: Report, here: Scene, rounds: int) -> None:
    listing, believing, knowing, starting = [], [], [], []
    for _ in range(rounds):
        listing.append(uvloop.run(_bare_list(here, _Nothing())))
        believing.append(uvloop.run(_bare_list(here, _Signatures())))
        began = time.time()
        with here.verifier() as verifier:
            ready = time.time()
            knowing.append(ready - _learned_keys(verifier))
        starting.append(ready - began)
    how = f"median of {rounds}: {median(knowing):.2f} s / {median(listing):.2f} s, same client, same pages"
    report.add(
        Row(f"start with {here.records} records, from the public keys to ready / bare list", _ratio(knowing, listing), "x", 3, how=how),
        Row(
            "  beside a list with its signatures checked",
            _ratio(knowing, believing),
            "x",
            how="Ed25519 alone, which nothing can be left out of",
        ),
        Row("  from the process's birth to ready", median(starting), "s"),
    )


def _ratio(found: list[float], beside: list[float]) -> float:
    return median(one / other for one, other in zip(found, beside, strict=True))


def _learned_keys(verifier: VerifierProcess) -> float:
    """When, in unix seconds."""
    (line,) = (line for line in verifier.log_lines() if line["message"] == "Took the public keys")
    return datetime.fromisoformat(line["time"]).timestamp()


class _Nothing:
    """A sink that believes nothing and keeps nothing."""

    seen_through = 0

    def begin_list(self) -> None: ...

    def take_listed(self, item: Mapping[str, object]) -> None: ...

    def end_list(self, resource_version: int) -> None: ...

    def take_change(self, item: object, *, is_deletion: bool, resource_version: int) -> None: ...

    def advance(self, resource_version: int) -> None: ...


class _Signatures(_Nothing):
    """A sink that does the one thing no verifier may leave out, and keeps nothing."""

    def __init__(self) -> None:
        self._key = verifying.RING.verification_keys.keys[0].public_key

    def take_listed(self, item: Mapping[str, object]) -> None:
        found = decode_stored_record(item)
        assert found is not None
        self._key.verify(decode_base64url(found[1].signature.rpartition(b":")[2].decode()), DOMAIN + found[1].data)


async def _bare_list(here: Scene, sink: _Nothing) -> float:
    """Seconds to read and decode all records by the product's own client."""
    collection = Collection(f"/api/v1/namespaces/{RECORDS}/secrets", label_selector=RECORD_SELECTOR, from_cache=False)
    async with await Client.connect(timeout=timedelta(seconds=30), kubeconfig=str(here.plane.kubeconfig)) as client:
        await client.get("/version")  # the connection
        reflector = Reflector(client, collection, sink=sink)
        start = time.monotonic()
        running = asyncio.create_task(reflector.run())
        await reflector.synced.wait()
        seconds = time.monotonic() - start
        running.cancel()
        return seconds


def _measure_changes(report: Report, here: Scene, verifier: VerifierProcess, *, changed: int, rounds: int) -> None:
    load = Load(port_of(verifier), connections=16, rate=RATE, seconds=600.0, keys=here.records)
    quiet = [ask(Load(port_of(verifier), connections=16, rate=RATE, seconds=3.0, keys=here.records)).p99 for _ in range(rounds)]
    elsewhere, watched, refused = [], [], 0
    for number in range(rounds):
        for namespace, found in ((NOBODYS, elsewhere), (RECORDS, watched)):
            bodies = _bodies(changed, serial=number + 2)
            with asking(load) as others:
                asyncio.run(_write(here, namespace, bodies))
                others.terminate()
                answers = answers_of(others)
            found.append(answers.p99)
            refused += answers.others
        verifier.wait_until(lambda: _applied(verifier, here, changed * (number + 1)), what="to have taken every change")  # noqa: B023
    p99 = {name: median(found) for name, found in (("watched", watched), ("elsewhere", elsewhere), ("quiet", quiet))}
    how = f"{p99['watched']:.1f} ms, {p99['elsewhere']:.1f} ms; without writes {p99['quiet']:.1f} ms; median of {rounds}"
    report.add(
        Row(
            f"{changed} records change at once: a check's p99 / the same writes where nobody reads",
            _ratio(watched, elsewhere),
            "x",
            1.5,
            how=how,
        ),
        Row("  p99 / without any writes", p99["watched"] / p99["quiet"], "x", how="API server, etcd and writer share the cores"),
        Row("  refused meanwhile", refused, "", 0, exactly=True),
    )


def _applied(verifier: VerifierProcess, here: Scene, changes: int) -> bool:
    return verifier.metric("keyturn_verifier_records_taken_total", result="applied") == here.records + changes


def _bodies(changed: int, *, serial: int) -> dict[str, bytes]:
    """Signed beforehand: the writer is not what is measured."""
    secrets = [record_secret(many_keys.record(number, serial=serial)) for number in range(changed)]
    return {f"team-a.key-{number}": json.dumps(secret).encode() for number, secret in enumerate(secrets)}


async def _write(here: Scene, namespace: str, bodies: dict[str, bytes]) -> None:
    async with BareClient(access_to(here.plane)) as client:
        path = f"/api/v1/namespaces/{namespace}/secrets"
        await for_each(bodies.items(), lambda item: client.send("PUT", f"{path}/{item[0]}", item[1]), in_flight=IN_FLIGHT)
