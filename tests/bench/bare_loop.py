"""The yardstick: a plain asyncio loop that makes the operator's writes for every key, 64 keys at a time, and nothing else.

A program of its own, so that its CPU time is its own: reads a job (JSON) from standard input, answers seconds of wall and CPU time.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.bare_client import Access, BareClient, for_each

UID_MARK: Final = "@uid@"
VERSION_MARK: Final = "@resourceVersion@"
OWNER_MARK: Final = "@owner@"
NAME_MARK: Final = "@name@"
_UID: Final = re.compile(rb'"uid":"([^"]+)"')
_VERSION: Final = re.compile(rb'"resourceVersion":"([^"]+)"')

Job = dict[str, Any]


async def run(job: Job) -> dict[str, float]:
    """Replay the writes for every key. A mark in a body stands for what an earlier answer about the same object said."""
    writes = [(each["method"], each["path"], each["payload"], each["content_type"], each["accept"]) for each in job["writes"]]
    async with BareClient(Access(**job["access"])) as client:
        await client.send("GET", "/version")
        wall, cpu = time.monotonic(), time.process_time()

        async def replay(key: tuple[str, str]) -> None:
            name, owner = key
            known: dict[str, tuple[str, str]] = {path.replace(NAME_MARK, name): tuple(of[name]) for path, of in job["known"].items()}
            for method, path, payload, content_type, accept in writes:
                where = path.replace(NAME_MARK, name)
                uid, version = known.get(where, ("", ""))
                body = payload.replace(NAME_MARK, name).replace(OWNER_MARK, owner).replace(UID_MARK, uid).replace(VERSION_MARK, version)
                answer = await client.send(method, where, body.encode(), content_type=content_type, accept=accept)
                note(known, method, where, body, answer)

        await for_each([(name, owner) for name, owner in job["keys"]], replay)
        return {"seconds": time.monotonic() - wall, "cpu": time.process_time() - cpu}


def note(known: dict[str, tuple[str, str]], method: str, path: str, body: str, answer: bytes) -> None:
    """Keep uid and resourceVersion of a Secret, for the conditional write that comes next; others have none."""
    if "/secrets" not in path:
        return
    if method == "POST":
        path = f"{path.partition('?')[0]}/{json.loads(body)['metadata']['name']}?{path.partition('?')[2]}"
    uid, version = _UID.findall(answer), _VERSION.search(answer)
    if uid and version:
        known[path] = (uid[-1].decode(), version[1].decode())  # an owner's uid stands before the object's own


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
