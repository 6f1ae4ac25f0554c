"""What cannot be done is said where the team looks, with what to write instead; a key in force is not harmed by it."""

from __future__ import annotations

import pytest

from gen.team import Json, Team
from testbed.cluster import ApiFailed

BAD: dict[str, tuple[Json, str, str]] = {
    "cron": ({"rotation": {"schedule": "every monday"}}, "InvalidSchedule", "rotation.schedule"),
    "cron-that-never-comes": ({"rotation": {"schedule": "0 3 31 2 *"}}, "InvalidSchedule", "no such day exists"),
    "time-zone": ({"rotation": {"schedule": "0 3 1 * *", "timeZone": "Europe/Atlantis"}}, "UnknownTimeZone", "Europe/Atlantis"),
    "window": (
        {"rotation": {"windows": [{"cron": "0 22 * * 1-9", "windowDuration": "4h"}]}},
        "InvalidSchedule",
        "rotation.windows[0].cron",
    ),
    "grace-beyond-the-inherited-interval": ({"rotation": {"gracePeriod": "3000h"}}, "GracePeriodTooLong", "write less than the 2160h"),
    "interval": ({"rotation": {"interval": "0s"}}, "IntervalTooShort", "write one of at least 1s"),
    "grace": ({"rotation": {"gracePeriod": "0s"}}, "GracePeriodTooShort", "write at least 200ms"),
    "product": ({"productRef": {"name": "invoices"}}, "ProductUnavailable", "spec.productRef"),
    "scopes": ({"scopes": ["invoices:read"]}, "ProductUnavailable", "spec.scopes"),
}


@pytest.fixture(scope="module")
def refused(module_team: Team) -> Team:
    """All of them, asked for at once; and beside each a key that was in force before the mistake."""
    for name in BAD:
        module_team.apply_apikey(f"was-{name}")
    for name in BAD:
        module_team.wait_ready(f"was-{name}")
    for name, (spec, _, _) in BAD.items():
        module_team.apply_apikey(name, spec)
        if name != "product":  # immutable
            module_team.apply_apikey(f"was-{name}", spec)
    return module_team


@pytest.mark.parametrize("name", BAD)
def test_no_key_is_issued_and_the_condition_says_what_to_write(refused: Team, name: str) -> None:
    _, reason, words = BAD[name]
    told = refused.wait_says(name, "Stalled", "True", reason)
    assert words in told["message"]
    assert refused.says(name, "Ready") == ("False", reason)
    assert refused.find_secret(name) is None
    assert refused.status(name)["observedGeneration"] == 1
    refused.wait_event(name, f"Warning/{reason}")


@pytest.mark.parametrize("name", [name for name in BAD if name != "product"])
def test_a_key_in_force_goes_on_working_and_the_mistake_is_told(refused: Team, name: str) -> None:
    _, reason, _ = BAD[name]
    refused.wait_says(f"was-{name}", "Stalled", "True", reason)
    assert refused.says(f"was-{name}", "Ready")[0] == "True"
    assert refused.accepted(f"was-{name}") == {refused.secret(f"was-{name}").key_id}


def test_a_corrected_spec_is_acted_on(team: Team) -> None:
    team.apply_apikey("billing", {"rotation": {"schedule": "every monday"}})
    team.wait_says("billing", "Stalled", "True", "InvalidSchedule")
    team.apply_apikey("billing", {"rotation": {"schedule": "0 3 * * 1"}})
    team.wait_ready("billing")
    assert team.condition("billing", "Stalled") == {}


def test_the_same_mistake_made_again_is_an_event_of_its_own(team: Team) -> None:
    for spec, reason in (
        (BAD["cron"][0], "InvalidSchedule"),
        (BAD["time-zone"][0], "UnknownTimeZone"),
        (BAD["cron"][0], "InvalidSchedule"),
    ):
        team.apply_apikey("billing", spec)
        team.wait_says("billing", "Stalled", "True", reason)
    assert sorted(team.event_reasons("billing")) == ["Warning/InvalidSchedule"] * 2 + ["Warning/UnknownTimeZone"]


def test_a_key_with_a_mistake_in_its_spec_can_still_be_disabled(team: Team) -> None:
    team.issue("billing")
    team.apply_apikey("billing", {"rotation": {"schedule": "every monday"}, "disabled": True})
    team.wait_says("billing", "Disabled", "True", "Disabled")
    assert team.accepted("billing") == set()


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ({}, {"rotation": {"interval": "30d"}}, "interval"),
        ({}, {"rotation": {"interval": "10h", "schedule": "0 3 1 * *"}}, "exclude each other"),
        ({}, {"rotation": {"gracePeriod": "3h", "overlapLimit": "2h"}}, "lower gracePeriod or raise overlapLimit"),
        ({"minVersion": 1}, {}, "minVersion may only grow"),
        ({"secretName": "a"}, {"secretName": "b"}, "secretName is immutable"),
        ({}, {"productRef": {"name": "invoices"}}, "productRef is immutable"),
        ({}, {"restrictions": {"allowedCIDRs": ["10.0.0.0/33"]}}, "allowedCIDRs"),
    ],
)
def test_what_can_be_known_beforehand_is_refused_by_the_api_server(team: Team, before: Json, after: Json, complaint: str) -> None:
    team.apply_apikey("billing", before)
    with pytest.raises(ApiFailed, match=complaint) as refused:
        team.apply_apikey("billing", after)
    assert refused.value.status == 422


def test_a_quota_that_refuses_the_secret_is_told_and_outlived(own_team: Team) -> None:
    quotas = f"/api/v1/namespaces/{own_team.namespace}/resourcequotas"
    made = own_team.api.ask("POST", quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"count/secrets": "0"}}})
    own_team.api.merge(f"{quotas}/none/status", {"status": {"hard": made["spec"]["hard"], "used": {"count/secrets": "0"}}})
    own_team.apply_apikey("billing")
    told = own_team.wait_says("billing", "Stalled", "True", "AdmissionDenied")
    assert "ResourceQuota" in told["message"]
    assert own_team.says("billing", "Ready") == ("False", "AdmissionDenied")
    assert own_team.find_secret("billing") is None
    own_team.api.delete(f"{quotas}/none")
    own_team.annotate_apikey("billing", "note", "tried again at once when it is touched, every half minute otherwise")
    own_team.wait_ready("billing")
