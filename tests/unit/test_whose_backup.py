"""A backup goes into the cluster that it is of, and into one that is empty: into no other one."""

from __future__ import annotations

import base64

import pytest

from keyturn.cli.backups.whose_backup import Standing, why_not_here
from keyturn.controller.installation import Installation
from keyturn.keys.root_secret import RootSecret

OLD, NEW, STRANGE = (RootSecret(letter * 32) for letter in (b"o", b"n", b"s"))
OURS = Installation.of(OLD)
THEIRS = Installation.of(STRANGE)
CHANGING = Installation.of(NEW, OLD)


def root(*roots: RootSecret) -> dict[str, str]:
    names = ("root", "previous-root")
    return {name: base64.b64encode(each.reveal()).decode() for name, each in zip(names, roots, strict=False)}


def standing(
    data: dict[str, str] | None = None, *, published: Installation | None = None, records: tuple[Installation, ...] = ()
) -> Standing:
    keys = published.verification_keys.to_data() if published is not None else {}
    return Standing(data or {}, keys, frozenset(each.id for each in records))


@pytest.mark.parametrize(
    "there",
    [
        standing(),
        standing(root(OLD), published=OURS, records=(OURS,)),
        standing(published=OURS),
        standing(records=(OURS, THEIRS)),
        standing(root(NEW, OLD), published=CHANGING, records=(OURS,)),
    ],
    ids=["empty", "whole", "root lost", "a foreign record among ours", "the root is being changed"],
)
def test_it_goes_where_nothing_speaks_of_another_installation(there: Standing) -> None:
    assert why_not_here(OURS, there) is None


@pytest.mark.parametrize(
    ("there", "what"),
    [
        (standing(root(STRANGE)), f"the root Secret of the cluster is of {THEIRS.id}"),
        (standing(root(STRANGE), published=OURS, records=(OURS,)), f"the root Secret of the cluster is of {THEIRS.id}"),
        (standing({"root": "A" * 8}), "the root Secret of the cluster is of one that cannot be read"),
        (standing({"root": "?"}), "the root Secret of the cluster is of one that cannot be read"),
        (standing({"password": "x"}), "the root Secret of the cluster is of one that cannot be read"),
        (standing(published=THEIRS), f"the public keys of the cluster are of {THEIRS.id}"),
        (standing(records=(THEIRS,)), f"the verifier records of the cluster are of {THEIRS.id}"),
    ],
)
def test_whatever_speaks_of_another_installation_refuses_it_and_says_what_to_do(there: Standing, what: str) -> None:
    said = why_not_here(OURS, there) or ""
    assert f"The backup is of installation {OURS.id}, {what}." in said
    assert "Nothing was changed" in said
    assert "delete root Secret, public keys and verifier records" in said


def test_a_root_by_which_the_backup_is_signed_may_not_be_missing() -> None:
    """The installation is the same, and the newest records would verify for nobody."""
    said = why_not_here(CHANGING, standing(root(OLD), published=OURS)) or ""
    assert "lacks a root by which records of the backup are signed" in said
