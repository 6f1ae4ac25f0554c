"""Who stands in line first when an operator starts."""

from __future__ import annotations

from typing import Any

import pytest

from gen.apikey_json import NOW, at, condition, steady
from keyturn.controller.first_look import looks_settled

Json = dict[str, Any]
READY = condition("Ready", "True", "Issued")


def apikey(status: Json, **metadata: object) -> Json:
    return {"metadata": {"name": "billing", "namespace": "team-a", "generation": 1, **metadata}, "spec": {}, "status": status}


WAITING = steady(
    nextRotationTime=None, conditions=[condition("Ready", "False", "TooManyKeys"), condition("Stalled", "True", "TooManyKeys")]
)


@pytest.mark.parametrize(
    "raw",
    [apikey(steady()), apikey(WAITING), apikey(steady(), annotations={"example.com/note": "x"})],
    ids=["steady", "waits for a place", "somebody else's annotation"],
)
def test_those_that_want_nothing_stand_behind(raw: Json) -> None:
    assert looks_settled(raw, now=NOW)


@pytest.mark.parametrize(
    "raw",
    [
        apikey({}),
        apikey(steady(), generation=2),
        apikey(steady(nextRotationTime=at(seconds=-1))),
        apikey(steady(conditions=[READY, condition("Reconciling", "True", "Issuing")])),
        apikey(steady(conditions=[READY, condition("PreviousVersionActive", "True", "InGracePeriod")])),
        apikey(steady(), annotations={"keyturn.dev/rotate-requested-at": "now"}),
        apikey(steady(), annotations={"keyturn.dev/received": "2"}),
        apikey(steady(), deletionTimestamp=at(seconds=-1)),
    ],
    ids=["new", "changed", "due", "under way", "two versions", "asked to rotate", "received", "going"],
)
def test_those_that_may_want_something_stand_first(raw: Json) -> None:
    assert not looks_settled(raw, now=NOW)


@pytest.mark.parametrize("odd", ["soon", 7, [], {}, None])
def test_an_odd_status_ends_nothing(odd: object) -> None:
    assert looks_settled(apikey(steady(nextRotationTime=odd, conditions=odd)), now=NOW)
