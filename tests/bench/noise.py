"""A tenant who makes noise until he is told to stop, in a process of his own: `python noise.py`, what to do as JSON on standard input.

He is an ordinary user with a token, so that the API server treats him as one; it would let an administrator past its queues.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.bare_client import MERGE_PATCH, Access, BareClient

APIKEYS: Final = "/apis/keyturn.dev/v1alpha1/namespaces/{}/apikeys"
SECRETS: Final = "/api/v1/namespaces/{}/secrets"
SPEC: Final = {"rotation": {"gracePeriod": "1s"}, "rollout": {"policy": "Disabled"}}

Json = dict[str, Any]
Disturb = Callable[[BareClient, str, int, int], Awaitable[object]]
"""With a client, in a namespace, for the n-th time, among so many keys."""


def _body(value: Json) -> bytes:
    return json.dumps(value).encode()


def _name(number: int) -> str:
    return f"noise-{number:05}"


async def create(client: BareClient, namespace: str, turn: int, _keys: int) -> object:
    """One more ApiKey."""
    manifest = {"apiVersion": "keyturn.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": _name(turn)}, "spec": SPEC}
    return await client.send("POST", APIKEYS.format(namespace), _body(manifest))


async def touch(client: BareClient, namespace: str, turn: int, keys: int) -> object:
    """A note on an ApiKey, which means nothing."""
    path = f"{APIKEYS.format(namespace)}/{_name(turn % keys)}"
    return await client.send("PATCH", path, _body({"metadata": {"annotations": {"note": str(turn)}}}), content_type=MERGE_PATCH)


async def edit(client: BareClient, namespace: str, turn: int, keys: int) -> object:
    """An ApiKey's spec is another, which changes nothing of how it stands."""
    path = f"{APIKEYS.format(namespace)}/{_name(turn % keys)}"
    change = {"spec": {"rotation": {"overlapLimit": f"{3600 + turn // keys % 1000}s"}}}
    return await client.send("PATCH", path, _body(change), content_type=MERGE_PATCH)


async def rotate(client: BareClient, namespace: str, turn: int, keys: int) -> object:
    """An ApiKey is to rotate."""
    path = f"{APIKEYS.format(namespace)}/{_name(turn % keys)}"
    change = {"metadata": {"annotations": {"keyturn.dev/rotate-requested-at": str(turn)}}}
    return await client.send("PATCH", path, _body(change), content_type=MERGE_PATCH)


async def fight(client: BareClient, namespace: str, turn: int, keys: int) -> object:
    """A label of a credential Secret is not what Keyturn wrote."""
    path = f"{SECRETS.format(namespace)}/{_name(turn % keys)}"
    change = {"metadata": {"labels": {"app.kubernetes.io/managed-by": "keyturn", "keyturn.dev/apikey": f"x{turn}"}}}
    return await client.send("PATCH", path, _body(change), content_type=MERGE_PATCH)


async def come_and_go(client: BareClient, namespace: str, turn: int, keys: int) -> object:
    """An ApiKey is deleted, and is there again."""
    path = f"{APIKEYS.format(namespace)}/{_name(turn % keys)}"
    await client.send("DELETE", path)
    return await create(client, namespace, turn % keys, keys)


async def keep_secret(client: BareClient, namespace: str, turn: int, _keys: int) -> object:
    """A Secret where no operator makes one, for fights without him."""
    return await client.send(
        "POST", SECRETS.format(namespace), _body({"metadata": {"name": _name(turn)}, "stringData": {"api-key": "x" * 64}})
    )


KINDS: Final[dict[str, Disturb]] = {
    "create": create,
    "touch": touch,
    "edit": edit,
    "rotate": rotate,
    "fight": fight,
    "come and go": come_and_go,
}
PREPARATIONS: Final[dict[str, Disturb]] = {"create": create, "keep secret": keep_secret}


async def make(job: Json) -> Json:
    """Until `most` is reached, or the process is asked to end."""
    disturb, most, is_over = (KINDS | PREPARATIONS)[job["kind"]], job["most"], asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, is_over.set)
    turns: Iterator[int] = itertools.count(job["first"])
    counts, started = {"done": 0, "refused": 0}, time.monotonic()
    pace = job["pace"]

    async def go_on(client: BareClient) -> None:
        for turn in turns:
            if (most and turn >= most) or is_over.is_set():
                return
            await asyncio.sleep(max(0.0, started + counts["done"] / pace - time.monotonic()))
            try:
                await disturb(client, job["namespace"], turn, job["keys"])
                counts["done"] += 1
            except RuntimeError:
                counts["refused"] += 1

    async with BareClient(Access(**job["access"])) as client:
        await asyncio.gather(*(go_on(client) for _ in range(job["in_flight"])))
    return {**counts, "seconds": time.monotonic() - started}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(make(json.load(sys.stdin)))))
