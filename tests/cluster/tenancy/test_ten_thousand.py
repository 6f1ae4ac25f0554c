"""A tenant makes ten thousand ApiKeys in a loop, and may have three: what that costs, and what another tenant notices of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pytest

from gen.flood import MOST, ask_for_a_rotation, flood, memory_mib, open_fair
from gen.installed import EVERYWHERE, Installed
from gen.market import Market
from gen.operator_process import OperatorProcess
from gen.team import Api
from gen.tenancy import Tenant
from testbed.cache import say
from testbed.cluster import wait_until
from testbed.plane import Plane

MANY: Final = 10_000
PAGE: Final = 1000
SECONDS: Final = 30.0
"""In which another tenant's key is there, on a machine with ten times more work than it can do: behind the ten thousand it would take ten
minutes there."""
PATIENCE: Final = 900.0
AS_BY_DEFAULT: Final = {
    "sweep_interval": "5m",
    "fence_check_interval": "1m",
    "secret_look_rate": "3.2",
    "secret_look_interval": "1m",
    "log_level": "info",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
"""So many are made and taken away: five minutes, and on a busy machine three times that."""


@dataclass(frozen=True, slots=True)
class Flooded:
    """After the flood: all that wait are known to wait."""

    market: Market
    noisy: Tenant
    quiet: Tenant
    rotations: list[float]
    """How many seconds each of the quiet tenant's took meanwhile."""
    memory_mib: float
    """What the operator has more than before."""


@pytest.fixture(scope="module")
def flooded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flooded]:
    """On a plane of its own, with an operator that looks at everything as seldom as it does by default."""
    with ExitStack() as ends:
        plane = ends.enter_context(Plane.start())
        api = ends.enter_context(closing(Api(plane.login)))
        installed = Installed.install(plane, EVERYWHERE, scratch=tmp_path_factory.mktemp("flood"))
        operator = ends.enter_context(installed.start_operator(AS_BY_DEFAULT)).wait_ready()
        verifier = ends.enter_context(installed.start_verifier()).wait_ready()
        market = ends.enter_context(Market.open(installed, api, operator=operator, verifier=verifier))
        open_fair(market)
        noisy, *_, quiet = sorted(market.tenants, key=lambda tenant: tenant.namespace)
        before, rotations = memory_mib(operator), list[float]()
        with told("made"), ThreadPoolExecutor(1) as hand:
            making = hand.submit(flood, noisy, market.owners[1].reference, many=MANY)
            while not making.done():
                rotations.append(rotate_once(quiet))
            making.result()
        with told("looked at by the operator"):
            wait_for_rest(operator)
        yield Flooded(market, noisy, quiet, rotations, memory_mib(operator) - before)


@contextmanager
def told(what: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    say(f"{MANY} ApiKeys {what}: {time.monotonic() - start:.1f} s")


def wait_for_rest(operator: OperatorProcess) -> None:
    """Until all are known to wait or to be ready. Counting them for the metrics takes the operator a moment: so it is asked seldom."""
    wait_until(
        lambda: operator.metric("keyturn_apikeys") >= MANY and is_idle(operator), patience=PATIENCE, what="all to be looked at", pause=1.0
    )


def is_idle(operator: OperatorProcess) -> bool:
    return operator.metrics().get("keyturn_queue_depth") == 0.0


def rotate_once(tenant: Tenant) -> float:
    """Seconds from the request until the new version is in force; the one before the last has ended when it begins."""
    team = tenant.team
    team.wait_until(
        lambda: team.says("used", "PreviousVersionActive")[0] == "False", about="used", what="one version is left", patience=PATIENCE
    )
    start = time.monotonic()
    team.wait_ready("used", version=ask_for_a_rotation(tenant), patience=PATIENCE)
    return time.monotonic() - start


def reasons(tenant: Tenant) -> Counter[str]:
    """Why ApiKeys are Ready, or are not, and how many."""
    found: Counter[str] = Counter()
    query = f"limit={PAGE}"
    while query:
        page = tenant.user.ask("GET", f"{tenant.apikeys_path}?{query}")
        for apikey in page["items"]:
            conditions = apikey.get("status", {}).get("conditions", ())
            found[next((each["reason"] for each in conditions if each["type"] == "Ready"), "")] += 1
        rest = page["metadata"].get("continue")
        query = f"limit={PAGE}&continue={quote(rest)}" if rest else ""
    return found


def test_they_get_no_more_keys_than_they_may(flooded: Flooded) -> None:
    """The others wait without a record, and cost a little memory each: 30 KiB, and something for busy connections."""
    noisy = flooded.noisy
    records = noisy.team.api.ask(
        "GET", f"/api/v1/namespaces/{noisy.team.records_namespace}/secrets?labelSelector=keyturn.dev/namespace%3D{noisy.namespace}"
    )
    assert (reasons(noisy), len(records["items"])) == ({"Issued": 1 + MOST, "TooManyKeys": MANY - MOST}, 1 + MOST)
    assert flooded.memory_mib < 30 + MANY * 0.03


def test_another_tenants_rotations_are_done_while_they_are_made(flooded: Flooded) -> None:
    say(f"{len(flooded.rotations)} rotations meanwhile, the longest {max(flooded.rotations):.2f} s")
    assert max(flooded.rotations) < SECONDS


def test_another_tenant_gets_a_key_and_a_new_one_beside_them(flooded: Flooded) -> None:
    start = time.monotonic()
    flooded.quiet.asks_for("beside", {"productRef": flooded.market.owners[0].reference})
    flooded.quiet.team.wait_ready("beside", patience=PATIENCE)
    assert time.monotonic() - start < SECONDS
    assert rotate_once(flooded.quiet) < SECONDS


def test_a_restarted_operator_answers_another_tenant_before_it_has_looked_at_them(flooded: Flooded) -> None:
    """His ApiKey stands behind all of theirs in every list. It was the last to be looked at."""
    operator = flooded.market.operator
    operator.stop()
    version = ask_for_a_rotation(flooded.quiet)
    with told("found by a restarted operator, and looked at"):
        operator.restart()
        with told("beside one that was rotated after the restart"):
            flooded.quiet.team.wait_ready("used", version=version, patience=PATIENCE)
        looked_at = operator.metric("keyturn_reconcile_total")
        wait_for_rest(operator)
    assert looked_at < MANY / 2
