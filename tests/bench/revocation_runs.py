"""The runs of the benchmark that pull the brake: every key of a namespace at once, and one key after the other."""

from __future__ import annotations

import io
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import Any, Final

from bench.observed_operator import TAP
from bench.ready_watch import ReadyWatch, is_ready
from bench.runs import PATIENCE, Meter, Spent
from bench.scenery import SAMPLE, BenchOperator, Place, Write, as_templates, create_apikeys, names, operator_at, read_tap, rest
from gen.fence import REVOCATIONS
from gen.person import BIN
from gen.team import Api
from gen.verifier_process import VerifierProcess
from keyturn.cli.main import run_cli
from testbed.plane import Plane

LOOK: Final = 0.05
VERIFIER: Final = {"lease_duration": "15s", "log_level": "info"}


def learn_end(plane: Plane, place: Place, *, into: Place) -> list[Write]:
    """Let the operator revoke one key: the one write that ends it."""
    tap = plane.folder / "revocation.jsonl"
    (uid,) = create_apikeys(plane, place.namespace, [SAMPLE]).values()
    with operator_at(plane, place, **{TAP: str(tap)}) as operator:
        operator.wait_ready()
        rest()
        seen = len(tap.read_text().splitlines())
        revoke(plane, {"match": {"namespace": place.namespace}})
        rest()
        written = [write for write in read_tap(tap, since=seen) if write["method"] == "PATCH" and f"/{place.records}/" in write["path"]]
    tap.unlink()
    return as_templates(written[:1], uid=uid, at=place, into=into)


def revoke(plane: Plane, which: dict[str, Any], *, name: str = "leak") -> tuple[float, dict[str, Any]]:
    """Create a revocation and wait until it is complete, then take it away: seconds since before the POST, and its status."""
    api = Api(plane.login)
    body = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKeyRevocation", "metadata": {"name": name}}
    start = time.monotonic()
    api.ask("POST", REVOCATIONS, {**body, "spec": {"reason": "Leaked", **which}})
    try:
        while not _is_complete(status := api.ask("GET", f"{REVOCATIONS}/{name}").get("status", {})):
            if time.monotonic() - start > PATIENCE:
                raise TimeoutError(f"{name} was not complete after {PATIENCE:.0f} s: {status}")
            time.sleep(LOOK)
        return time.monotonic() - start, status
    finally:
        api.delete(f"{REVOCATIONS}/{name}")
        api.close()


def _is_complete(status: dict[str, Any]) -> bool:
    return any(each["type"] == "Complete" and each["status"] == "True" for each in status.get("conditions", ()))


@contextmanager
def verifiers_at(plane: Plane, place: Place, operator: BenchOperator, *, count: int) -> Iterator[list[VerifierProcess]]:
    """So many verifiers that have read every record."""
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                VerifierProcess.start(
                    plane, records_namespace=place.records, namespace=operator.setting("namespace"), settings=VERIFIER, name=f"v{number}"
                )
            )
            for number in range(count)
        ]
        yield [one.wait_ready(patience=60.0) for one in started]


def revoke_all(plane: Plane, place: Place, operator: BenchOperator, *, keys: int) -> tuple[Spent, Spent]:
    """Revoke every key of a place: until all are refused everywhere, and until all have a successor."""
    meter = Meter(plane, operator=operator)
    with ReadyWatch(plane.login, place.namespace, is_done=is_reissued) as watch:
        start = time.time()
        took, status = revoke(plane, {"match": {"namespace": place.namespace}})
        if status["revokedVersions"] != keys:
            raise RuntimeError(f"{status['revokedVersions']} of {keys} keys were revoked")
        ended = meter.spent(operator, keys=keys, seconds=took)
        replaced = watch.wait_for(keys, patience=PATIENCE) - start
    rest(2.0)
    return ended, meter.spent(operator, keys=keys, seconds=replaced, own_lists=watch.lists)


def is_reissued(line: bytes) -> bool:
    """The successor is in force."""
    return b'"activeVersion":2' in line and is_ready(line)


def single_ends(plane: Plane, key_ids: list[str]) -> list[float]:
    """Revoke keys one after another: seconds from before the POST until every verifier is known to refuse it, for each."""
    took = []
    for number, key_id in enumerate(key_ids):
        seconds, status = revoke(plane, {"keyIDs": [key_id]}, name=f"one-{number}")
        if status["revokedVersions"] != 1:
            raise RuntimeError(f"key ID {key_id} was not revoked: {status}")
        took.append(seconds)
        rest(0.05)
    return took


def ended_by_command(plane: Plane, key_ids: list[str], *, run: Callable[[list[str]], int]) -> list[float]:
    """Revoke keys one after another as a person does: seconds from calling `keyturn revoke --wait` until it is back, for each."""
    took = []
    for key_id in key_ids:
        start = time.monotonic()
        code = run(["revoke", "--key-id", key_id, "--reason", "Leaked", "--wait", "--kubeconfig", str(plane.kubeconfig)])
        took.append(time.monotonic() - start)
        if code:
            raise RuntimeError(f"keyturn revoke of key ID {key_id} ended with {code}")
        rest(0.05)
    api = Api(plane.login)
    api.ask("DELETE", REVOCATIONS)
    api.close()
    return took


def as_a_process(arguments: list[str]) -> int:
    """From a shell: the interpreter's start and every import are in it."""
    return subprocess.run([BIN / "keyturn", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode


def in_this_process(arguments: list[str]) -> int:
    """Everything is loaded."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return run_cli(arguments)


def key_ids(plane: Plane, place: Place, wanted: int) -> list[str]:
    """Of the first keys of a place."""
    api = Api(plane.login)
    path = f"/apis/keyturn.dev/v1alpha1/namespaces/{place.namespace}/apikeys"
    found = [str(api.ask("GET", f"{path}/{name}")["status"]["keyID"]) for name in names(wanted)]
    api.close()
    return found
