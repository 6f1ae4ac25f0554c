"""Which ApiKeys a restore from a backup was about: Ready says so until one version is left, and its consumers have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gen import lifecycle as gen
from keyturn.api.v1alpha1.conditions import ConditionType
from keyturn.keys.record import Record
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.observed import Observed
from keyturn.lifecycle.plan import Change, SaveRecord, Stage


def put_right(record: Record) -> Record:
    return replace(record, restored_time=gen.NOW - gen.MINUTE, change=Change.RECOVERED)


def ready(seen: Observed) -> tuple[str, str]:
    condition = conclude(seen, decide(seen), Outcome()).condition(ConditionType.READY)
    assert condition is not None
    return condition.reason, condition.message


def test_while_the_secret_holds_an_older_key_a_new_one_comes_first() -> None:
    (step,) = decide(gen.observed(put_right(gen.record(gen.active(7))), gen.ours(1))).steps
    assert isinstance(step, Stage)
    assert step.base.restored_time == gen.NOW - gen.MINUTE, "and what it is about stands in the record all the while"


def test_as_long_as_an_older_version_is_accepted_ready_says_what_happened() -> None:
    seen = gen.observed(put_right(gen.record(gen.retiring(7), gen.active(8, ago=gen.MINUTE))), gen.ours(8))
    reason, message = ready(seen)
    assert reason == "RestoreDetected"
    assert message.startswith("Version 8 is in force. At 2026-03-02T11:59:00Z its verifier record was an older one")


@pytest.mark.parametrize(
    ("record", "secret"),
    [
        (gen.record(gen.active(7)), gen.ours(7)),
        (replace(gen.record(dead=(gen.tombstone(7),)), expiration_time=gen.NOW - gen.HOUR), gen.ours(7)),
    ],
    ids=["one version that its consumers have", "an expired key"],
)
def test_when_nothing_is_left_to_follow_that_is_written_down_and_no_more_said(record: Record, secret: gen.SecretSeen) -> None:
    apikey = gen.apikey({"expirationTime": "2026-03-02T11:00:00Z"} if record.expiration_time else None)
    (step,) = decide(gen.observed(put_right(record), secret, of=apikey)).steps
    assert step == SaveRecord(replace(record, change=Change.SETTLED))
    after = gen.observed(step.record, secret, of=apikey)
    assert decide(after).steps == ()
    assert ready(after)[0] in {"Issued", "Expired"}
