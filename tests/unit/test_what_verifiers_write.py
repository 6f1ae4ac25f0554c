"""Leases and reports, as anybody with a verifier's token may write them: nothing of it stops a watch, the sweep or a replica."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying
from gen.instant_texts import DAY_TEXTS, INSTANT_TEXTS
from gen.lifecycle import active, record, retiring
from keyturn.base import names
from keyturn.base.clock import DAY, HOUR
from keyturn.base.names import Key
from keyturn.base.settings import Settings
from keyturn.cluster.client import Client
from keyturn.cluster.lease import Elector
from keyturn.cluster.raw import instant_of
from keyturn.cluster.replica_reports import ReplicaReports, UseReport
from keyturn.controller.installation import Installation
from keyturn.controller.key_use import KeyUses
from keyturn.controller.leadership import TOLD_THROUGH_NOTE, first_notes
from keyturn.controller.verifiers import Verifiers
from keyturn.controller.witnesses import Witnesses
from keyturn.keys.mint import mint_root_secret
from keyturn.verifier.service.settings import VerifierSettings
from keyturn.verifier.service.use_report import UseReporter
from keyturn.verifier.usage import Usage

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
NO_CLIENT: Final = cast("Client", None)
HOME: Final = "keyturn-verifiers"
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | INSTANT_TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
WORDS: Final = st.sampled_from(["shop.billing", "abcdefghijkl", "shop.", ".", "a b", "\u2028", ""])
LINES: Final = st.lists(st.builds("{} {}".format, WORDS, INSTANT_TEXTS | DAY_TEXTS | st.text(max_size=8)), max_size=4).map("\n".join)


class Operator:
    """What a term knows of verifiers, fed as by its watches."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.verifiers = Verifiers(NO_CLIENT, namespace=HOME, wake=lambda _key: None, monotonic=lambda: self.seconds)
        self.uses = KeyUses(wake=lambda _key, _at: None, lives=lambda: self.verifiers.lives(self.now), clock=lambda: self.now)
        self.witnesses = Witnesses(Installation.of(mint_root_secret()))
        watches = [
            self.verifiers.reflector(),
            self.uses.reflector(NO_CLIENT, namespace=HOME),
            self.witnesses.reflector(NO_CLIENT, namespace=HOME),
        ]
        self._sinks = [watch._sink for watch in watches]

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def list(self, item: Mapping[str, object]) -> None:
        """Each watch takes it as its own, and lists nothing else."""
        for sink in self._sinks:
            sink.begin_list()
            sink.take_listed(item)
            sink.end_list(6)

    def pass_over(self, length: timedelta) -> None:
        """Nobody renews a Lease meanwhile."""
        self.seconds += length.total_seconds()
        self.verifiers._end_what_is_over()
        self.verifiers._look()

    def left_behind(self) -> int:
        """How many objects the sweep would remove."""
        now, replicas = self.now, frozenset(life.replica for life in self.verifiers.lives(self.now))
        return len(self.verifiers.left_behind(now) + self.uses.left_behind(now) + self.witnesses.left_behind(now, replicas=replicas))


def written(component: str, *, notes: Mapping[str, object], **more: object) -> dict[str, Any]:
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.COMPONENT_LABEL: component}
    metadata = {"name": "verifier-x", "namespace": HOME, "uid": "uid", "resourceVersion": "5", "creationTimestamp": "2026-11-30T11:00:00Z"}
    return {"metadata": {**metadata, "labels": labels, "annotations": {names.REPLICA_ANNOTATION: "x", **notes}}, **more}


def lease(renewed: str, *, reported: str = "") -> dict[str, Any]:
    spec = {"holderIdentity": "x", "leaseDurationSeconds": 1, "renewTime": renewed}
    return written(names.VERIFIER, notes={"keyturn.dev/use-reported-time": reported}, spec=spec)


@given(renewed=INSTANT_TEXTS | ANYTHING, reported=INSTANT_TEXTS | ANYTHING, duration=ANYTHING, applied=ANYTHING)
def test_no_lease_raises(renewed: object, reported: object, duration: object, applied: object) -> None:
    notes = {"keyturn.dev/use-reported-time": reported, names.APPLIED_ANNOTATION: applied}
    operator = Operator()
    operator.list(written(names.VERIFIER, notes=notes, spec={"renewTime": renewed, "leaseDurationSeconds": duration}))
    for _ in range(3):
        operator.left_behind()
        operator.uses.of(Key("shop", "billing"), record(active(2), retiring(1)))
        operator.pass_over(13 * HOUR)


@given(data=st.dictionaries(st.sampled_from(["retiring", "days", "records"]), LINES | ANYTHING))
def test_no_report_raises(data: dict[str, object]) -> None:
    operator = Operator()
    operator.list(written(names.USE_REPORT, notes={}, data={**data, "format": "1"}))
    operator.left_behind()
    told = operator.uses.of(Key("shop", "billing"), record(active(2), retiring(1)))
    assert told.last_day is None or told.last_day <= (NOW + DAY).date()


@pytest.mark.parametrize("renewed", ["9999-12-31T12:00:00.000000Z", "2126-01-01T00:00:00.000000Z", "never"])
def test_a_lease_that_says_it_ends_in_the_future_ended_when_it_was_seen_to(renewed: str) -> None:
    operator = Operator()
    operator.list(lease(renewed))
    operator.pass_over(HOUR)
    (life,) = operator.verifiers.lives(operator.now)
    assert life.lapsed_time == NOW + timedelta(seconds=1)
    assert operator.verifiers.left_behind(operator.now) == ()
    operator.pass_over(DAY)
    assert [where.name for where, _ in operator.verifiers.left_behind(operator.now)] == ["verifier-x"]


@pytest.mark.parametrize("line", ["abcdefghijkl 9999-12-31T23:59:59Z", "abcdefghijkl 9999-12-31T23:59:59-12:00"])
def test_a_report_of_the_year_9999_is_removed_like_any_other(line: str) -> None:
    operator = Operator()
    operator.list(written(names.USE_REPORT, notes={}, data={"format": "1", "retiring": line, "days": "shop.billing 9999-12-31"}))
    assert operator.uses.left_behind(operator.now) == ()
    operator.pass_over(33 * DAY)
    assert len(operator.uses.left_behind(operator.now)) == 1


class TakenUp:
    """What stands under a replica's name when it starts again."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def of_use(self) -> list[UseReport]:
        return [UseReport("v-0", retiring=self._text, days=self._text)]


@pytest.mark.parametrize(
    "text", ["abcdefghijkl 9999-12-31T23:59:59-12:00\n", "abcdefghijkl 0001-01-01T00:00:00+14:00\n", "shop.billing 9999-12-31\n"]
)
async def test_a_verifier_starts_under_a_name_that_such_a_report_has(text: str) -> None:
    known = verifying.store(verifying.record())
    usage = Usage()
    reporter = UseReporter(cast("ReplicaReports", TakenUp(text)), VerifierSettings(), known, usage, clock=lambda: NOW)
    await reporter._remember()
    assert all("9999" not in usage.days.take(shard) for shard in list(usage.days.changed))


@given(renewed=INSTANT_TEXTS, told=st.text(alphabet="0123456789", max_size=30) | st.just("9" * 5000))
def test_no_lease_of_an_operator_keeps_the_next_one_from_leading(renewed: str, told: str) -> None:
    settings = Settings()
    elector = Elector(NO_CLIENT, namespace="n", name="n", identity="i", lease_duration=settings.lease_duration)
    elector.previous_renew_time, elector.inherited_notes = instant_of({"renewTime": renewed}, "renewTime"), {TOLD_THROUGH_NOTE: told}
    assert first_notes(elector, settings).keys() == {TOLD_THROUGH_NOTE}
