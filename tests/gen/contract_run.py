"""Schemathesis against a running server: everything the OpenAPI document allows and forbids is asked, and each answer compared with it.

It is the same in every run: no chance, no clock, no memory of earlier runs.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gen.http_contract import HttpContract

PATIENCE: Final = 60.0
EXAMPLES: Final = "15"
"""Of what is made up for each operation, beside every border of every parameter."""
GATEWAYS: Final = ("--include-tag", "gateways", "--exclude-checks", "unsupported_method")
"""What gateways ask; every method is answered alike there."""
PROBES: Final = ("--include-tag", "probes")
_RAN: Final = (0, 1)
"""Its exit statuses for: all is as it should be; something is not."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what came back. Names of headers in lower case."""

    path: str
    """As the document has it."""
    uri: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class ContractRun:
    """What became of it."""

    told: str
    """What schemathesis prints: every failure with a curl command that shows it."""
    is_clean: bool
    asked: tuple[Asked, ...]

    def assert_keeps(self, contract: HttpContract) -> None:
        """Neither schemathesis nor the other reader of the document found a lie."""
        assert self.is_clean, self.told
        for each in self.asked:
            contract.assert_allows(each.path, each.status, each.headers, each.body)

    @property
    def statuses(self) -> Mapping[tuple[str, int], int]:
        """How often each path answered with each status."""
        return Counter((each.path, each.status) for each in self.asked)


def explore(document: Path, address: str, folder: Path, *options: str, token: str | None = None) -> ContractRun:
    """Ask at `address` (host:port) what the options of schemathesis choose. `token`: sent as a bearer."""
    report = folder / "report.ndjson"
    command = [
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", str(document)),
        *("--url", f"http://{address}", "--checks", "all", "--generation-deterministic", "--max-examples", EXAMPLES, *options),
        *("--report", "ndjson", "--report-ndjson-path", str(report), "--output-sanitize", "false"),
        *("--no-color", "--warnings", "off"),
        *(("--header", f"Authorization: Bearer {token}") if token is not None else ()),
    ]
    # In a folder of its own: it reads settings where it runs, and leaves things there.
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, "NO_PROXY": "*"}, timeout=PATIENCE, capture_output=True, text=True, check=False
    )
    if done.returncode not in _RAN:
        raise RuntimeError(f"schemathesis did not run:\n{done.stdout}{done.stderr}")
    return ContractRun(done.stdout + done.stderr, done.returncode == 0, tuple(_asked(report)) if report.exists() else ())


def _asked(report: Path) -> Iterator[Asked]:
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for interaction in recorder.get("interactions", {}).values():
            request, response = interaction["request"], interaction["response"]
            if request["method"] == "GET" and response is not None:
                yield Asked(
                    path=str(recorder["label"]).removeprefix("GET "),
                    uri=request["uri"],
                    status=response["status_code"],
                    headers={name.lower(): ", ".join(values) for name, values in response["headers"].items()},
                    body=_body(response),
                )


def _body(response: Mapping[str, Any]) -> bytes:
    content = response["content"]
    return b"" if content is None else base64.b64decode(content["$base64"])
