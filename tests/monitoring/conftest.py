"""What Prometheus sees of Keyturn, set up once for all tests of the folder: none of them changes anything."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from gen.observatory import Observatory, open_observatory
from testbed import prometheus

HERE = Path(__file__).parent
NEED_PROMETHEUS = {"observatory", "promtool"}


@pytest.fixture(scope="session")
def observatory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observatory]:
    if prometheus.what_is_missing():
        yield cast("Observatory", None)  # no body gets to see it, see pytest_pyfunc_call
        return
    with open_observatory(tmp_path_factory.mktemp("monitoring")) as opened:
        yield opened


@pytest.fixture
def promtool() -> Callable[..., subprocess.CompletedProcess[str]]:
    return prometheus.promtool


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Where no Prometheus can run, the tests that need one are not skipped in silence: they prove that the message says why."""
    needs_one = pyfuncitem.path.is_relative_to(HERE) and NEED_PROMETHEUS & {*pyfuncitem.fixturenames}
    missing = prometheus.what_is_missing()
    if not needs_one or missing is None:
        return None
    with pytest.raises(prometheus.NoPrometheus, match="A real Prometheus needs"):
        prometheus.programs()
    return True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    missing = prometheus.what_is_missing()
    if missing and any(f"tests/{HERE.name}/" in report.nodeid for report in terminalreporter.getreports("passed")):
        terminalreporter.section("proved only that this machine cannot run Prometheus")
        terminalreporter.write_line(f"It needs {missing}")
