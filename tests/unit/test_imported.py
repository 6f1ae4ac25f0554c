"""Delivery None: which version is made of which listed digest, when it is in force, and when it ends."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from gen.deliveries import NEW, NEWEST, OLD, imported, ledger, listing
from gen.lifecycle import HOUR, KEY, NOW, SECOND, apikey, observed, tombstone
from keyturn.api.v1alpha1.conditions import Reason
from keyturn.base.names import Key
from keyturn.base.version_state import VersionState
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.record import DeadEntry, Record, VersionEntry
from keyturn.keys.record_encoding import encode_record
from keyturn.lifecycle.conclude import Outcome, conclude
from keyturn.lifecycle.decide import decide
from keyturn.lifecycle.imported import has_ended
from keyturn.lifecycle.observed import Holder, Observed
from keyturn.lifecycle.plan import Change, Plan, SaveRecord

OTHER = Key("mail", "smtp")
BESIDE = Key(KEY.namespace, "beside")


def active(number: int, digest: str, *, ago: timedelta = HOUR) -> VersionEntry:
    return imported(number, digest, VersionState.ACTIVE, ago=ago)


def grave(number: int, digest: str, *, reason: str) -> DeadEntry:
    return replace(tombstone(number, reason=reason), key_id=derived_key_id(digest), digest=digest)


def saved(plan: Plan) -> Record:
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    return step.record


def states(record: Record) -> dict[str, str]:
    """Digest to state, the dead ones too."""
    return {each.digest: str(each.state) for each in (*record.versions, *record.dead)}


def ready(seen: Observed) -> tuple[str, str]:
    status = conclude(seen, decide(seen), Outcome())
    found = status.condition("Ready")
    assert found is not None
    return found.status, found.reason


def stalled(seen: Observed) -> str:
    waits = decide(seen).stalled
    return waits.reason if waits is not None else ""


def advice(seen: Observed) -> str:
    waits = decide(seen).stalled
    return waits.message if waits is not None else ""


def test_a_listed_digest_is_staged_and_nothing_is_minted() -> None:
    plan = decide(observed(of=listing(NEW)))
    (step,) = plan.steps
    assert isinstance(step, SaveRecord)
    assert step.create
    (entry,) = step.record.versions
    assert entry == replace(imported(1, NEW, VersionState.STAGED), staged_time=NOW)
    assert (step.record.highest, step.record.change) == (1, Change.STAGED)


def test_a_key_of_our_own_form_keeps_its_id() -> None:
    own = apikey({"delivery": "None", "digests": [{"digest": NEW, "keyID": "Ab3dEf6hIj9k"}]})
    assert [entry.key_id for entry in saved(decide(observed(of=own))).versions] == ["Ab3dEf6hIj9k"]


def test_it_waits_for_the_verifiers_and_is_in_force_then() -> None:
    fresh = observed(ledger(imported(1, NEW, VersionState.STAGED, ago=-4 * SECOND)), of=listing(NEW))
    assert (decide(fresh).steps, ready(fresh)) == ((), ("False", Reason.PROPAGATION_PENDING))
    known = observed(ledger(imported(1, NEW, VersionState.STAGED, ago=SECOND)), of=listing(NEW))
    activated = saved(decide(known))
    assert (states(activated), activated.secret, activated.change) == ({NEW: "Active"}, None, Change.ACTIVATED)


def test_a_settled_key_is_ready_without_a_secret_or_a_planned_rotation() -> None:
    seen = observed(ledger(active(1, NEW, ago=9999 * HOUR)), of=listing(NEW))
    status = conclude(seen, decide(seen), Outcome())
    assert (decide(seen).steps, ready(seen)) == ((), ("True", Reason.IMPORTED))
    assert (status.secret_ref, status.next_rotation_time, status.key_id) == (None, None, derived_key_id(NEW))


def test_whoever_lists_a_minted_key_without_its_id_is_told_why_it_is_refused() -> None:
    """A digest does not tell the form of its key: Ready, and a 401 for ever."""
    own = apikey({"delivery": "None", "digests": [{"digest": NEW, "keyID": "Ab3dEf6hIj9k"}]})
    for spec, entry, is_told in ((listing(NEW), active(1, NEW), True), (own, replace(active(1, NEW), key_id="Ab3dEf6hIj9k"), False)):
        seen = observed(ledger(entry), of=spec)
        said = conclude(seen, decide(seen), Outcome()).condition("Ready")
        assert said is not None
        assert ("list it with its keyID" in said.message) is is_told


def test_two_listed_at_once_become_versions_one_after_the_other_in_their_order() -> None:
    both = listing(OLD, NEW)
    assert states(saved(decide(observed(of=both)))) == {OLD: "Staged"}
    assert states(saved(decide(observed(ledger(active(1, OLD)), of=both)))) == {OLD: "Active", NEW: "Staged"}


def test_the_replaced_key_lives_on_until_its_end() -> None:
    turned = saved(decide(observed(ledger(active(1, OLD), imported(2, NEW, VersionState.STAGED)), of=listing(OLD, NEW))))
    assert states(turned) == {OLD: "Retiring", NEW: "Active"}
    assert [entry.not_after for entry in turned.versions] == [NOW + 7 * 24 * HOUR, None]


def test_the_replaced_key_retires_when_its_grace_is_over() -> None:
    old = imported(1, OLD, VersionState.RETIRING, not_after=HOUR)
    seen = observed(ledger(old, active(2, NEW, ago=25 * HOUR)), of=listing(OLD, NEW))
    after = saved(decide(seen))
    assert (states(after), after.dead[0].reason) == ({NEW: "Active", OLD: "Retired"}, "Superseded")


def test_a_key_taken_off_the_list_ends_at_once_by_intent() -> None:
    old = imported(1, OLD, VersionState.RETIRING, not_after=HOUR)
    after = saved(decide(observed(ledger(old, active(2, NEW)), of=listing(NEW))))
    assert (states(after), after.dead[0].reason, after.change) == ({NEW: "Active", OLD: "Revoked"}, "NotListed", Change.REVOKED)


def test_a_third_key_waits_until_one_of_two_has_ended() -> None:
    old = imported(1, OLD, VersionState.RETIRING, not_after=HOUR)
    after = saved(decide(observed(ledger(old, active(2, NEW)), of=listing(NEW, NEWEST))))
    assert states(after) == {OLD: "Revoked", NEW: "Active"}


@pytest.mark.parametrize("reason", ["Leaked", "NotListed", "Superseded", "Expired"])
def test_what_ended_never_comes_back(reason: str) -> None:
    seen = observed(ledger(dead=(grave(1, NEW, reason=reason),)), of=listing(NEW))
    assert (decide(seen).steps, stalled(seen)) == ((), Reason.DIGEST_ENDED)


def test_what_ended_does_not_come_back_under_another_id() -> None:
    dead = replace(grave(1, NEW, reason="Leaked"), key_id="Ab3dEf6hIj9k")
    assert decide(observed(ledger(dead=(dead,)), of=listing(NEW))).steps == ()


def test_what_ended_stays_dead_when_its_tombstone_is_long_gone() -> None:
    gone = replace(ledger(dead=(grave(1, NEW, reason="ApiKeyDeleted"),)), ended_time=NOW - 91 * 24 * HOUR)
    stub = saved(decide(replace(observed(gone), apikey=None)))
    assert (stub.dead, stub.ended_digests, stub.change) == ((), (NEW,), Change.FORGOTTEN)
    back = observed(replace(stub, ended_time=None), of=listing(NEW))
    assert (decide(back).steps, stalled(back)) == ((), Reason.DIGEST_ENDED)


def test_the_fifty_first_end_still_knows_the_first() -> None:
    graves = tuple(grave(number, digest_token(f"sk-{number}"), reason="NotListed") for number in range(1, 51))
    after = saved(decide(observed(ledger(active(51, OLD), dead=graves), of=listing(NEW))))
    assert ([entry.number for entry in after.dead], after.ended_digests) == (list(range(2, 52)), (digest_token("sk-1"),))


def test_a_name_under_which_a_thousand_keys_ended_takes_no_other() -> None:
    full = replace(ledger(active(1001, OLD)), ended_digests=tuple(digest_token(f"sk-{number}") for number in range(1000)))
    assert len(encode_record(full)) < 64 * 1024
    seen = observed(full, of=listing(OLD, NEW))
    assert (decide(seen).steps, ready(seen), stalled(seen)) == ((), ("True", Reason.IMPORTED), Reason.TOO_MANY_DIGESTS)
    assert stalled(observed(full, of=listing(OLD))) == ""


def test_a_lost_record_does_not_bring_back_what_the_status_calls_ended() -> None:
    told = {"versions": [{"number": 1, "keyID": derived_key_id(NEW), "state": "Revoked", "endReason": "Leaked"}]}
    spec = {"delivery": "None", "digests": [{"digest": NEW}]}
    seen = observed(of=apikey(spec, status=told))
    assert (decide(seen).steps, stalled(seen)) == ((), Reason.DIGEST_ENDED)


def test_a_key_that_another_apikey_has_stays_there() -> None:
    seen = observed(of=listing(NEW), elsewhere={NEW: Holder(BESIDE)})
    plan = decide(seen)
    assert (plan.steps, stalled(seen), plan.look_again_time) == ((), Reason.DIGEST_ELSEWHERE, NOW + 30 * SECOND)
    assert str(BESIDE) in advice(seen)


def test_a_key_that_ended_in_another_apikey_of_the_namespace_has_ended() -> None:
    seen = observed(of=listing(NEW), elsewhere={NEW: Holder(BESIDE, has_ended=True)})
    assert (decide(seen).steps, stalled(seen), decide(seen).look_again_time) == ((), Reason.DIGEST_ENDED, None)
    assert str(BESIDE) in advice(seen)
    assert "Make another one" in advice(seen)


def test_a_stranger_is_told_neither_whose_a_key_is_nor_whether_it_lives() -> None:
    living, dead = (observed(of=listing(NEW), elsewhere={NEW: Holder(OTHER, has_ended=ended)}) for ended in (False, True))
    assert (stalled(living), advice(living)) == (stalled(dead), advice(dead))
    assert stalled(living) == Reason.DIGEST_ELSEWHERE
    assert not {OTHER.namespace, OTHER.name} & set(re.split(r"[^a-z]+", advice(living)))
    assert "Make another one" in advice(living)


def test_of_two_apikeys_that_got_one_key_at_once_the_other_one_keeps_it_alive() -> None:
    """Two operators wrote at the same moment: what ends here is this ApiKey's part, and not the key."""
    after = saved(decide(observed(ledger(active(1, NEW)), of=listing(NEW), elsewhere={NEW: Holder(OTHER)})))
    assert ([dead.reason for dead in after.dead], has_ended(after, digest=NEW, key_id=derived_key_id(NEW))) == (["Elsewhere"], False)


def test_a_key_works_beside_one_that_another_apikey_has() -> None:
    seen = observed(ledger(active(1, OLD)), of=listing(OLD, NEW), elsewhere={NEW: Holder(OTHER)})
    assert (decide(seen).steps, ready(seen), stalled(seen)) == ((), ("True", Reason.IMPORTED), Reason.DIGEST_ELSEWHERE)


def test_a_new_key_before_the_current_one_waits_for_its_author() -> None:
    seen = observed(ledger(active(1, OLD)), of=listing(NEW, OLD))
    assert (decide(seen).steps, stalled(seen)) == ((), Reason.DIGEST_OUT_OF_ORDER)


def test_a_request_to_rotate_is_answered_with_what_to_do() -> None:
    spec = {"delivery": "None", "digests": [{"digest": NEW}]}
    asked = apikey(spec, annotations={"keyturn.dev/rotate-requested-at": "1"})
    seen = observed(ledger(active(1, NEW)), of=asked)
    deferred = decide(seen).deferred
    assert (decide(seen).steps, deferred.reason if deferred else "") == ((), Reason.ROTATION_DEFERRED)


def test_a_plan_with_an_interval_rotates_nothing_that_was_made_elsewhere() -> None:
    seen = observed(ledger(active(1, NEW, ago=99999 * HOUR)), of=listing(NEW))
    assert decide(seen) == Plan()


def test_a_key_of_which_all_versions_were_revoked_is_not_made_anew() -> None:
    seen = observed(ledger(dead=(grave(1, NEW, reason="Leaked"),)), of=listing(NEW))
    assert ready(seen) == ("False", Reason.DIGEST_ENDED)


def test_expiry_and_disabling_hold_as_for_every_key() -> None:
    ended = listing(NEW, expirationTime="2026-03-02T11:00:00Z")
    told = saved(decide(observed(ledger(active(1, NEW)), of=ended)))
    after = saved(decide(observed(told, of=ended)))
    assert (states(after), after.change) == ({NEW: "Revoked"}, Change.EXPIRED)
    assert saved(decide(observed(ledger(active(1, NEW)), of=listing(NEW, disabled=True)))).disabled


def test_the_apikey_gone_ends_it() -> None:
    seen = observed(ledger(active(1, NEW)), of=listing(NEW))
    assert states(saved(decide(replace(seen, apikey=None)))) == {NEW: "Revoked"}
    assert seen.key == KEY


def test_a_key_that_a_revocation_gave_an_end_before_it_was_in_force_is_in_force_until_then() -> None:
    ending = imported(1, NEW, VersionState.STAGED, not_after=HOUR)
    after = saved(decide(observed(ledger(ending), of=listing(NEW))))
    assert [(str(entry.state), entry.not_after) for entry in after.versions] == [("Active", NOW + HOUR)]
    assert decide(observed(after, of=listing(NEW))).look_again_time == NOW + HOUR
