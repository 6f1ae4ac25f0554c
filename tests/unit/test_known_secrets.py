"""What is known of Secrets that nobody watches: of two answers the newer one counts, but for a store that went back."""

from __future__ import annotations

from keyturn.base.names import Key
from keyturn.cluster.cache import Caches, Entry
from keyturn.cluster.credential_secrets import CredentialMetadata
from keyturn.controller.known_secrets import KnownSecrets
from keyturn.lifecycle.look_rounds import LookRounds

WHERE = Key("shop", "billing")


def entry(version: int, *, uid: str = "uid") -> Entry[CredentialMetadata]:
    return Entry(CredentialMetadata(managed=True, apikey_name="billing", key_id="k", version=1, adoption_tag=""), version, uid)


def unwatched() -> KnownSecrets:
    return KnownSecrets(Caches[CredentialMetadata](), LookRounds(rate=4.0, interval=60.0))


def test_a_late_answer_does_not_hide_a_write_that_came_between() -> None:
    known = unwatched()
    known.put(WHERE, entry(10))
    known.put(WHERE, entry(12))
    known.put_read(WHERE, entry(10), held=entry(10))
    assert known.get(WHERE) == entry(12)


def test_a_late_absence_does_not_hide_a_write_that_came_between() -> None:
    known = unwatched()
    known.put(WHERE, entry(10))
    known.put(WHERE, entry(12, uid="another"))
    known.remove(WHERE, entry(10))
    assert known.get(WHERE) == entry(12, uid="another")


def test_what_is_older_than_what_was_known_before_the_question_is_a_store_that_went_back() -> None:
    known = unwatched()
    known.put(WHERE, entry(10))
    known.put_read(WHERE, entry(4), held=entry(10))
    assert known.get(WHERE) == entry(4)


def test_nothing_is_presumed_of_a_secret_that_was_asked_for_and_not_there() -> None:
    known = unwatched()
    assert known.is_unknown(WHERE)
    known.presume(WHERE, entry(10))
    assert (known.is_presumed(WHERE), known.is_unknown(WHERE)) == (True, False)
    known.remove(WHERE, entry(10))
    assert (known.is_presumed(WHERE), known.is_unknown(WHERE)) == (False, False)
    assert known.get(WHERE) is None


def test_whoever_sees_a_secret_changed_or_gone_all_who_want_it_are_told() -> None:
    """Else an ApiKey that wants another one's Secret finds it gone, and the one whose key it was never looks again."""
    told: list[Key] = []
    known = unwatched()
    known.tell = told.append
    known.put(WHERE, entry(10))
    known.put_read(WHERE, entry(10), held=entry(10))
    known.remove(Key("shop", "nothing"), None)
    assert told == []
    known.put_read(WHERE, entry(11), held=entry(10))
    assert told == [WHERE]
    known.remove(WHERE, entry(11))
    assert told == [WHERE, WHERE]


def test_where_there_is_a_watch_its_silence_says_that_there_is_nothing() -> None:
    known = KnownSecrets(Caches[CredentialMetadata](), None)
    assert (known.is_presumed(WHERE), known.is_unknown(WHERE)) == (False, False)
