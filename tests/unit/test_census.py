"""What people on call are told of all ApiKeys together: how each is counted, and when a rotation is late."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gen.lifecycle import HOUR, MINUTE, NOW, SECOND, active, apikey, observed, ours, pending, record, retiring, rollout
from keyturn.api.v1alpha1.apikey import ApiKeyStatus
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.key_metrics import READY_REASONS, STALLED_REASONS, UNKNOWN_REASONS, UNREADY_REASONS, KeyMetrics, KeyNumbers
from keyturn.base.names import Key
from keyturn.controller.census import Census
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import ForeignSecret, Observed
from keyturn.lifecycle.standing import Standing, rotation_expected_time, standing_of

DAY = 24 * HOUR
DOCS = Path(__file__).parents[2] / "docs"
FINE = Standing(("True", "Issued"), stalled=None, rollout_stalled=False, retiring=0)
CONFLICT = Standing(("False", "SecretConflict"), stalled="SecretConflict", rollout_stalled=False, retiring=0)
OVERLAP = Standing(("True", "Issued"), stalled=None, rollout_stalled=True, retiring=1)
OTHER = Key("shop", "other")


def standing(seen: Observed) -> Standing:
    return standing_of(conclude(seen, decide(seen), Outcome()))


def expected(seen: Observed) -> datetime | None:
    return rotation_expected_time(seen, decide(seen))


def noted(*standings: Standing, rotation_expected: datetime | None = None, end: datetime | None = None) -> Census:
    census = Census()
    for number, each in enumerate(standings):
        census.note(Key("shop", f"key-{number}"), each, rotation_expected=rotation_expected, end=end)
    return census


def test_a_key_is_counted_by_its_conditions() -> None:
    assert standing(observed(record(active(1, ago=DAY)), ours(1))) == FINE
    assert standing(observed(record(active(1, ago=DAY)), ForeignSecret("not ours"))) == CONFLICT
    late = observed(record(active(2, ago=HOUR), retiring(1)), ours(2), rollout=rollout(pending("web")))
    assert standing(late) == OVERLAP


def test_an_apikey_without_a_status_is_counted_all_the_same() -> None:
    assert standing_of(ApiKeyStatus()).ready == ("Unknown", "Unknown")


def test_keys_are_summed_up_by_what_they_say() -> None:
    numbers = noted(FINE, FINE, CONFLICT, OVERLAP).numbers(NOW)
    assert dict(numbers.ready) == {("True", "Issued"): 3, ("False", "SecretConflict"): 1}
    assert dict(numbers.stalled) == {"SecretConflict": 1}
    assert (numbers.rollouts_stalled, numbers.retiring) == (1, 1)


def test_a_key_that_changes_is_counted_once() -> None:
    census = noted(CONFLICT)
    census.note(Key("shop", "key-0"), FINE, rotation_expected=None, end=None)
    assert census.numbers(NOW) == replace(KeyNumbers(), ready={("True", "Issued"): 1})
    census.note(Key("shop", "key-0"), CONFLICT, rotation_expected=None, end=None)
    assert census.numbers(NOW) == replace(KeyNumbers(), ready={("False", "SecretConflict"): 1}, stalled={"SecretConflict": 1})


def test_a_key_that_is_gone_is_counted_no_more() -> None:
    census = noted(OVERLAP, rotation_expected=NOW - HOUR, end=NOW + HOUR)
    census.forget(Key("shop", "key-0"))
    census.forget(Key("shop", "never-seen"))
    assert census.numbers(NOW) == KeyNumbers()


def test_a_rotation_is_overdue_after_a_quarter_of_an_hour() -> None:
    census = noted(FINE, rotation_expected=NOW)
    assert (census.numbers(NOW).overdue, census.numbers(NOW).overdue_seconds) == (0, 0.0)
    assert (census.numbers(NOW + 15 * MINUTE).overdue, census.numbers(NOW + 15 * MINUTE).overdue_seconds) == (0, 900.0)
    assert (census.numbers(NOW + 16 * MINUTE).overdue, census.numbers(NOW + 16 * MINUTE).overdue_seconds) == (1, 960.0)


def test_the_latest_rotation_is_told() -> None:
    census = noted(FINE, rotation_expected=NOW - HOUR)
    census.note(OTHER, FINE, rotation_expected=NOW - DAY, end=None)
    assert (census.numbers(NOW).overdue, census.numbers(NOW).overdue_seconds) == (2, DAY.total_seconds())
    census.note(OTHER, FINE, rotation_expected=None, end=None)
    assert (census.numbers(NOW).overdue, census.numbers(NOW).overdue_seconds) == (1, HOUR.total_seconds())


@pytest.mark.parametrize(
    ("left", "is_told"), [(31 * DAY, False), (29 * DAY, True), (timedelta(), True), (-23 * HOUR, True), (-25 * HOUR, False)]
)
def test_an_end_is_told_by_name_while_it_is_near(left: timedelta, is_told: bool) -> None:
    ends = noted(FINE, end=NOW + left).numbers(NOW).ends
    assert dict(ends) == ({Key("shop", "key-0"): (NOW + left).timestamp()} if is_told else {})


def test_a_rotation_is_expected_when_it_is_due() -> None:
    due_since = observed(record(active(1, ago=DAY)), ours(1), of=apikey({"rotation": {"schedule": "0 11 * * *", "timeZone": "UTC"}}))
    assert expected(due_since) == NOW - HOUR


def test_what_keeps_a_rotation_does_not_move_its_time() -> None:
    wanted = apikey({"rotation": {"schedule": "0 11 * * *", "timeZone": "UTC"}})
    stuck = observed(record(active(1, ago=DAY)), ForeignSecret("not ours"), of=wanted)
    assert expected(stuck) == NOW - HOUR
    assert expected(replace(stuck, now=NOW + 3 * HOUR)) == NOW - HOUR


def test_a_window_is_no_delay() -> None:
    windows = [{"cron": "0 22 * * *", "timeZone": "UTC", "windowDuration": "2h"}]
    waits = observed(
        record(active(1, ago=DAY)), ours(1), of=apikey({"rotation": {"schedule": "0 11 * * *", "timeZone": "UTC", "windows": windows}})
    )
    assert expected(waits) == NOW + 10 * HOUR


def test_a_missed_window_is_a_delay() -> None:
    windows = [{"cron": "0 22 * * *", "timeZone": "UTC", "windowDuration": "2h"}]
    spec = {"rotation": {"schedule": "0 11 * * *", "timeZone": "UTC", "windows": windows}}
    missed = observed(record(active(1, ago=2 * DAY)), ours(1), of=apikey(spec))
    assert expected(missed) == NOW - 14 * HOUR


def test_a_turn_in_the_pacers_line_is_no_delay() -> None:
    wanted = apikey({"rotation": {"schedule": "0 11 * * *", "timeZone": "UTC"}})
    waits = replace(observed(record(active(1, ago=DAY)), ours(1), of=wanted), pacer_time=NOW + MINUTE)
    plan = decide(waits)
    assert plan.deferred is not None
    assert plan.deferred.reason == Reason.WAITING_FOR_PACER
    assert rotation_expected_time(waits, plan) == NOW + MINUTE


@pytest.mark.parametrize(
    "who",
    [
        apikey({"rotation": {"policy": "Manual"}}),
        apikey({"rotation": {"schedule": "0 11 * * *"}}, annotations={"keyturn.dev/paused": "true"}),
        apikey({"rotation": {"schedule": "0 0 30 2 *"}}),
    ],
    ids=["manual", "paused", "a schedule that cannot be read"],
)
def test_no_rotation_is_expected_of_a_key_that_has_none(who: object) -> None:
    assert expected(observed(record(active(1, ago=DAY)), ours(1), of=who)) is None


def test_every_known_reason_is_there_from_the_start_and_a_standby_knows_of_no_key() -> None:
    registry, keys = CollectorRegistry(), KeyMetrics()
    registry.register(keys)
    untouched = generate_latest(registry).decode()
    assert 'keyturn_apikeys{ready="True",reason="Issued"} 0.0' in untouched
    assert 'keyturn_apikeys_stalled{reason="SecretConflict"} 0.0' in untouched
    keys.count_with(lambda: noted(CONFLICT, rotation_expected=NOW - HOUR, end=NOW).numbers(NOW))
    leading = generate_latest(registry).decode()
    assert 'keyturn_apikeys{ready="False",reason="SecretConflict"} 1.0' in leading
    assert 'keyturn_apikey_expiration_timestamp_seconds{apikey="key-0",apikey_namespace="shop"} ' in leading
    keys.forget()
    assert generate_latest(registry).decode() == untouched


def test_the_known_reasons_are_the_documented_ones() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", (DOCS / "reference" / "conditions.md").read_text(), re.MULTILINE)
    assert {reason for reason, kinds in rows if "Stalled" in kinds.split(", ")} == set(STALLED_REASONS)
    ready = {reason for reason, kinds in rows if "Ready" in kinds.split(", ")}
    assert ready - {*READY_REASONS, *UNREADY_REASONS, *UNKNOWN_REASONS, *STALLED_REASONS} == {"AcceptsKeys"}, "of ApiProducts"


@pytest.mark.parametrize("standing", [FINE, OVERLAP], ids=["as usual", "during a rotation"])
def test_a_key_costs_about_a_hundred_bytes(standing: Standing) -> None:
    """Beside its name, which the caches hold anyway. Keys that end by intent cost as much again."""
    keys = [Key("shop", f"key-{number}") for number in range(100_000)]
    census = Census()
    for key in keys:
        census.note(key, replace(standing), rotation_expected=NOW + SECOND, end=None)
    held = sum(sys.getsizeof(table) for table in (census._standings, census._expected)) + len(keys) * sys.getsizeof(1.5)
    assert len(census._known) <= 2
    assert held / len(keys) <= (80 if standing == FINE else 130)
