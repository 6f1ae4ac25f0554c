from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.verdict import Match, Mismatch
from keyturn.keys.adoption_tag import adoption_tag, tag_matches
from keyturn.keys.root_secret import RootSecret, TagRing

OLD = RootSecret(b"o" * 32)
NEW = RootSecret(b"n" * 32)
RING = TagRing.of(NEW)
ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=12)


@dataclass(frozen=True)
class Subject:
    """What a tag is about."""

    installation: str = "i"
    namespace: str = "team-a"
    name: str = "billing"
    key_id: str = "0123456789AB"
    version: int = 4
    token_digest: str = "$sha256$x"


SUBJECTS = st.builds(Subject, ANY_TEXT, ANY_TEXT, ANY_TEXT, ANY_TEXT, st.integers(min_value=0), ANY_TEXT)


@given(SUBJECTS)
def test_a_tag_matches_what_it_was_made_for(subject: Subject) -> None:
    tag = adoption_tag(RING.first, **asdict(subject))
    assert tag_matches(RING, tag=tag, **asdict(subject)) == Match()


@given(SUBJECTS, SUBJECTS)
def test_it_matches_nothing_else(subject: Subject, other: Subject) -> None:
    tag = adoption_tag(RING.first, **asdict(subject))
    assert tag_matches(RING, tag=tag, **asdict(other)) == (Match() if subject == other else Mismatch())


@pytest.mark.parametrize(
    "other",
    [
        replace(Subject(), installation="other"),
        replace(Subject(), namespace="other"),
        replace(Subject(), name="other"),
        replace(Subject(), key_id="other"),
        replace(Subject(), version=5),
        replace(Subject(), token_digest="other"),
    ],
    ids=["installation", "namespace", "name", "key ID", "version", "token"],
)
def test_every_part_counts(other: Subject) -> None:
    tag = adoption_tag(RING.first, **asdict(Subject()))
    assert tag_matches(RING, tag=tag, **asdict(other)) == Mismatch()


@given(st.text(min_size=2, max_size=20), st.data())
def test_parts_do_not_run_into_each_other(text: str, data: st.DataObject) -> None:
    """Joined plainly, the key `b` of namespace `team-a` and the key `-ab` of namespace `team` would share tags."""
    ends = data.draw(st.lists(st.integers(min_value=0, max_value=len(text)), min_size=2, max_size=2, unique=True))
    tags = [adoption_tag(RING.first, **asdict(replace(Subject(), namespace=text[:end], name=text[end:]))) for end in ends]
    assert tags[0] != tags[1]


@given(st.data())
def test_an_edited_tag_does_not_match(data: st.DataObject) -> None:
    tag = adoption_tag(RING.first, **asdict(Subject()))
    place = data.draw(st.integers(min_value=0, max_value=len(tag) - 1))
    edited = tag[:place] + data.draw(st.characters(codec=None)) + tag[place + 1 :]
    assert tag_matches(RING, tag=edited, **asdict(Subject())) == (Match() if edited == tag else Mismatch())


@given(ANY_TEXT | ANY_TEXT.map("hmac-sha256:{}:".format))
def test_no_tag_raises_or_matches_by_chance(tag: str) -> None:
    assert tag_matches(RING, tag=tag, **asdict(Subject())) == Mismatch()


def test_during_a_change_of_roots_the_tags_of_both_match() -> None:
    both = TagRing.of(NEW, OLD)
    for root in (NEW, OLD):
        tag = adoption_tag(root.tag_key(), **asdict(Subject()))
        assert tag_matches(both, tag=tag, **asdict(Subject())) == Match()
    assert tag_matches(RING, tag=adoption_tag(OLD.tag_key(), **asdict(Subject())), **asdict(Subject())) == Mismatch()


def test_a_tag_shows_neither_token_nor_key() -> None:
    tag = adoption_tag(RING.first, **asdict(Subject()))
    assert Subject().token_digest not in tag
    assert len(tag) == len("hmac-sha256:") + 16 + 1 + 43
