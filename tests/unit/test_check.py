"""The verifier's decision: may this request pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from gen.records import records
from keyturn.base.names import Key
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import Record
from keyturn.keys.token_format import MAXIMUM_LENGTH, MINIMUM_LENGTH
from keyturn.verifier.answers import answer_to
from keyturn.verifier.check import LONGEST_IMPORTED, Asked, check
from keyturn.verifier.live_key import DEFAULT_STALENESS, live_keys
from keyturn.verifier.verdicts import IDENTITY_HEADERS, Accepted, CheckVerdict, Refusal, Refused

ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=MAXIMUM_LENGTH + 2)
SECOND = timedelta(seconds=1)


def ask(token: str, *known_records: Record, asked: Asked | None = None, later: timedelta = timedelta(0), **facts: object) -> CheckVerdict:
    return check(token, asked or Asked(), gen.known(*known_records, **facts), now=(gen.NOW + later).timestamp())


def test_a_good_key_is_accepted_as_whose_it_is() -> None:
    verdict = ask(gen.TOKEN, gen.record(product="apis/payments", plan="gold", scopes=("read", "write")), asked=Asked(scopes=("write",)))
    assert verdict == Accepted("team-a.billing", gen.KEY_ID, 3, "default", "apis/payments", "gold", ("read", "write"))
    assert isinstance(verdict, Accepted)
    assert verdict.key == Key("team-a", "billing")
    assert verdict.headers == {
        "x-keyturn-key-id": gen.KEY_ID,
        "x-keyturn-apikey": "team-a/billing",
        "x-keyturn-scopes": "read write",
        "x-keyturn-plan": "gold",
    }


def test_what_is_passed_on_replaces_every_identity_header_of_the_client() -> None:
    verdict = ask(gen.TOKEN, gen.record())
    assert isinstance(verdict, Accepted)
    assert set(verdict.headers) == set(IDENTITY_HEADERS)


@pytest.mark.parametrize(
    ("fields", "asked", "refused"),
    [
        ({"disabled": True}, Asked(), Refused(Refusal.DISABLED, gen.KEY_ID)),
        ({"expiration_time": gen.NOW}, Asked(), Refused(Refusal.EXPIRED, gen.KEY_ID)),
        ({"not_after": gen.NOW}, Asked(), Refused(Refusal.ENDED, gen.KEY_ID)),
        ({"audience": "https://other"}, Asked(), Refused(Refusal.AUDIENCE, gen.KEY_ID)),
        ({}, Asked(audience="https://other"), Refused(Refusal.AUDIENCE, gen.KEY_ID)),
        ({"scopes": ("read",)}, Asked(scopes=("read", "write")), Refused(Refusal.SCOPE, gen.KEY_ID, ("read", "write"))),
        ({"allowed_cidrs": ("192.0.2.0/24",)}, Asked(address="192.0.3.1"), Refused(Refusal.ADDRESS, gen.KEY_ID)),
        ({"allowed_cidrs": ("192.0.2.0/24",)}, Asked(address=None), Refused(Refusal.ADDRESS, gen.KEY_ID)),
        ({"allowed_cidrs": ("192.0.2.0/24",)}, Asked(address="unix:"), Refused(Refusal.ADDRESS, gen.KEY_ID)),
        ({"allowed_cidrs": ("192.0.2.0/24",)}, Asked(address="2001:db8::1"), Refused(Refusal.ADDRESS, gen.KEY_ID)),
    ],
)
def test_a_key_that_matched_is_told_why_it_is_refused(fields: dict[str, Any], asked: Asked, refused: Refused) -> None:
    assert ask(gen.TOKEN, gen.record(**fields), asked=asked) == refused


@pytest.mark.parametrize("fields", [{"expiration_time": gen.NOW}, {"not_after": gen.NOW}])
def test_a_key_is_good_until_the_very_instant_of_its_end(fields: dict[str, Any]) -> None:
    assert isinstance(ask(gen.TOKEN, gen.record(**fields), later=-SECOND), Accepted)


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"])
def test_an_allowed_address_passes_in_either_family(address: str) -> None:
    assert isinstance(ask(gen.TOKEN, gen.record(allowed_cidrs=("192.0.2.0/24", "2001:db8::/32")), asked=Asked(address=address)), Accepted)


def test_without_news_from_the_cluster_a_key_is_believed_for_a_while_only() -> None:
    late = timedelta(seconds=DEFAULT_STALENESS)
    assert isinstance(ask(gen.TOKEN, gen.record(), later=late), Accepted)
    assert ask(gen.TOKEN, gen.record(), later=late + SECOND) == Refused(Refusal.STALE, gen.KEY_ID)
    assert ask(gen.TOKEN, gen.record(max_staleness_seconds=60), later=61 * SECOND) == Refused(Refusal.STALE, gen.KEY_ID)


def test_what_was_over_before_the_silence_stays_over_and_is_not_blamed_on_it() -> None:
    assert ask(gen.TOKEN, gen.record(disabled=True), later=timedelta(days=1)) == Refused(Refusal.DISABLED, gen.KEY_ID)


def test_an_unknown_key_is_refused_and_by_a_verifier_that_is_behind_not_for_good() -> None:
    assert ask(gen.OTHER_TOKEN, gen.record()) == Refused(Refusal.UNKNOWN)
    assert ask(gen.OTHER_TOKEN, gen.record(), is_caught_up=False) == Refused(Refusal.NOT_CAUGHT_UP)


def test_a_guess_learns_nothing_from_the_answer() -> None:
    """Unknown, wrong and malformed are one and the same 401, whatever the key they came near to."""
    wrong = gen.TOKEN[:-1] + ("0" if gen.TOKEN[-1] != "0" else "1")
    nearby = [ask(text, gen.record(disabled=True, scopes=("read",))) for text in (gen.OTHER_TOKEN, wrong, "kt_", "", gen.TOKEN + "x")]
    assert [verdict for verdict in nearby if isinstance(verdict, Accepted)] == []
    answers = {answer_to(verdict) for verdict in nearby if isinstance(verdict, Refused)}
    assert len(answers) == 1
    assert all(isinstance(verdict, Refused) and verdict.key_id is None for verdict in nearby)


@given(st.integers(min_value=0, max_value=len(gen.TOKEN) - 1), st.characters(codec=None))
def test_any_other_character_anywhere_makes_another_key(place: int, other: str) -> None:
    edited = gen.TOKEN[:place] + other + gen.TOKEN[place + 1 :]
    verdict = ask(edited, gen.record())
    assert isinstance(verdict, Accepted if edited == gen.TOKEN else Refused)


@given(ANY_TEXT)
def test_no_text_raises_and_none_but_the_key_is_accepted(text: str) -> None:
    verdict = ask(text, gen.record())
    assert isinstance(verdict, Refused)
    assert (verdict.refusal is Refusal.MALFORMED) == (not MINIMUM_LENGTH <= len(text) <= MAXIMUM_LENGTH)


@given(records())
def test_every_live_version_of_any_record_and_nothing_else_can_be_accepted(record: Record) -> None:
    made = {live.key_id: live for live in live_keys(record, record_name="n.a")}
    assert {(key_id, live.version) for key_id, live in made.items()} == {(entry.key_id, entry.number) for entry in record.versions}
    for entry in record.versions:
        live = made[entry.key_id]
        power = live.terms.power
        assert live.serial == record.serial
        ends = [instant.timestamp() for instant in (entry.not_after, record.expiration_time) if instant is not None]
        assert min(live.terms.not_after, live.terms.expiration) == min(ends, default=float("inf"))
        assert live.terms.disabled == record.disabled
        assert (power.audience, power.scopes, power.plan) == (record.audience, record.scopes, record.plan)
        assert len(power.networks) == len(record.allowed_cidrs)


def test_a_digest_of_an_unknown_kind_makes_no_key() -> None:
    (entry,) = gen.record().versions
    strange = replace(entry, digest="$blake9$" + "A" * 43)
    assert list(live_keys(gen.record(versions=(strange,)), record_name="n.a")) == []


def test_a_record_with_an_unreadable_limit_is_not_taken_for_one_without_limits() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        list(live_keys(gen.record(allowed_cidrs=("10.0.0.0/99",)), record_name="n.a"))


@pytest.mark.parametrize("verdict", [Refused(Refusal.WRONG), Accepted("a.b", "k", 1, "default", None, None, ())])
def test_a_verdict_cannot_be_tested_for_truth(verdict: CheckVerdict) -> None:
    with pytest.raises(TypeError, match="match on Accepted or Refused"):
        bool(verdict)


@pytest.mark.parametrize("scope", ["", "two words", 'a"b', "a\\b", "a\r\nSet-Cookie: x", "é"])
def test_a_scope_that_would_break_a_header_is_refused_at_once(scope: str) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        Asked(scopes=(scope,))


FOREIGN = "sk_live_51HxQzLkdIwHu7ixiNq2Vn8f"
FOREIGN_ID = derived_key_id(digest_token(FOREIGN))


@pytest.mark.parametrize("token", [FOREIGN, "0" * 24, "eyJ" + "a" * 700, "x" * len(gen.TOKEN), "kt_not-of-our-form-0123456789"])
def test_a_key_of_any_form_that_was_made_elsewhere_is_accepted(token: str) -> None:
    key_id = derived_key_id(digest_token(token))
    verdict = ask(token, gen.foreign(token, scopes=("read",)), gen.record(), asked=Asked(scopes=("read",)))
    assert verdict == Accepted("team-a.imported", key_id, 3, "default", None, None, ("read",))


def test_a_key_that_was_made_elsewhere_is_told_why_it_is_refused_like_any_other() -> None:
    assert ask(FOREIGN, gen.foreign(FOREIGN, disabled=True)) == Refused(Refusal.DISABLED, FOREIGN_ID)
    assert ask(FOREIGN, gen.foreign(FOREIGN, expiration_time=gen.NOW)) == Refused(Refusal.EXPIRED, FOREIGN_ID)


def test_an_imported_key_of_our_own_form_is_accepted_under_its_own_id_alone() -> None:
    """One that was revoked by its ID would be back otherwise, once somebody lists its digest."""
    assert isinstance(ask(gen.TOKEN, gen.foreign(gen.TOKEN, key_id=gen.KEY_ID)), Accepted)
    assert ask(gen.TOKEN, gen.foreign(gen.TOKEN)) == Refused(Refusal.UNKNOWN)
    assert ask(gen.TOKEN, gen.foreign(gen.TOKEN, key_id="ZZZZZZZZZZZZ")) == Refused(Refusal.UNKNOWN)


@given(ANY_TEXT)
def test_beside_imported_keys_no_other_text_is_accepted_or_told_apart(text: str) -> None:
    verdict = ask(text, gen.foreign(FOREIGN), gen.record())
    assert isinstance(verdict, Refused)
    assert verdict.key_id is None
    assert answer_to(verdict) == answer_to(Refused(Refusal.UNKNOWN))


def test_a_text_of_another_form_costs_no_hash_where_no_key_was_made_elsewhere() -> None:
    assert ask(FOREIGN, gen.record()) == Refused(Refusal.MALFORMED)
    assert ask("x" * (LONGEST_IMPORTED + 1), gen.foreign(FOREIGN)) == Refused(Refusal.MALFORMED)


def test_a_verifier_that_is_behind_does_not_know_that_there_are_no_imported_keys() -> None:
    assert ask(FOREIGN, gen.record(), is_caught_up=False) == Refused(Refusal.NOT_CAUGHT_UP)
