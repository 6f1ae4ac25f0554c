"""A real Prometheus for tests: started with given targets and rules, asked over HTTP, ended for certain. And promtool.

    with Prometheus.start(folder, targets=[Target("127.0.0.1:8080", {"job": "keyturn"})], rules=[file]) as prometheus:
        prometheus.query("sum(keyturn_leader)"), prometheus.firing()

It scrapes and evaluates every second.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode

import yaml

from testbed.cluster import wait_until
from testbed.debian import unpacked
from testbed.layout import free_ports
from testbed.processes import Component, Group

Json = dict[str, Any]
INTERVAL: Final = "1s"


class NoPrometheus(Exception):
    """There is none on this machine and none to be had; the message says what to do."""


class QueryFailed(Exception):
    """Prometheus refused a query; the message says why."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is scraped, and the labels that a Kubernetes' service discovery would give it."""

    address: str
    labels: Mapping[str, str]


class Prometheus:
    """Made by `Prometheus.start`."""

    def __init__(self, folder: Path, *, port: int) -> None:
        self._port = port
        self._group = Group()
        command = [
            programs() / "prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
        ]  # fmt: skip
        self._component = Component("prometheus", group=self._group, command=command, log=folder / "prometheus.log")

    @classmethod
    def start(cls, folder: Path, *, targets: Sequence[Target], rules: Sequence[Path]) -> Self:
        """Start one and wait until it answers."""
        (folder / "prometheus.yml").write_text(yaml.safe_dump(_configuration(targets, rules)))
        prometheus = cls(folder, port=free_ports(1)[0])
        try:
            prometheus._component.start()
            wait_until(prometheus._is_ready, patience=30.0, what="Prometheus to become ready")
        except BaseException:
            prometheus.stop()
            raise
        return prometheus

    def query(self, expression: str) -> list[Json]:
        """The series an expression gives now, each with `metric` and `value`; raise QueryFailed if it cannot be evaluated."""
        return self._ask(f"/api/v1/query?{urlencode({'query': expression})}")["result"]

    def label_values(self, label: str, series: str) -> list[str]:
        """As Grafana asks to fill a variable."""
        answer = self._ask(f"/api/v1/label/{label}/values?{urlencode({'match[]': series})}")
        return [str(value) for value in answer]

    def rules(self) -> list[Json]:
        """Every rule with its `health`, `lastError` and `alerts`."""
        return [rule for group in self._ask("/api/v1/rules")["groups"] for rule in group["rules"]]

    def firing(self) -> list[Json]:
        """The alerts that fire now, each with `labels` and `annotations`."""
        return [alert for alert in self._ask("/api/v1/alerts")["alerts"] if alert["state"] == "firing"]

    def stop(self) -> None:
        """End it at once; its folder is its owner's."""
        self._group.kill()

    def _is_ready(self) -> bool:
        self._component.complain_if_dead()
        try:
            return self._get("/-/ready")[0] == HTTPStatus.OK
        except OSError:
            return False

    def _ask(self, path: str) -> Any:  # noqa: ANN401 - whatever stands under `data` of an answer
        status, text = self._get(path)
        if status != HTTPStatus.OK:
            raise QueryFailed(text)
        return json.loads(text)["data"]

    def _get(self, path: str) -> tuple[int, str]:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=10.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()


def programs() -> Path:
    """The folder of prometheus and promtool: Debian's, or elsewhere the machine's own. Raise NoPrometheus where there is none."""
    if what_is_missing() is not None:
        raise NoPrometheus(f"A real Prometheus needs {what_is_missing()}")
    own = shutil.which("prometheus")
    return Path(own).parent if own and not _has_apt() else unpacked("prometheus") / "usr" / "bin"


def what_is_missing() -> str | None:
    """Why no Prometheus can run here; None: it can."""
    if _has_apt() or (shutil.which("prometheus") and shutil.which("promtool")):
        return None
    return "Debian's package of it (apt-get, dpkg-deb), or prometheus and promtool on the PATH"


def _has_apt() -> bool:
    return shutil.which("apt-get") is not None and shutil.which("dpkg-deb") is not None


def promtool(*arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool and answer what it said."""
    return subprocess.run([programs() / "promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)


def _configuration(targets: Sequence[Target], rules: Sequence[Path]) -> Json:
    scraped = [{"targets": [target.address], "labels": dict(target.labels)} for target in targets]
    return {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(file) for file in rules],
        "scrape_configs": [{"job_name": "static", "static_configs": scraped}],
    }
