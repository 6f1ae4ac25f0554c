"""What the type checkers must know about our types, and what they must refuse. Checked by mypy and pyright, never run.

A refusal is a line with an ignore that must not become unused: when a checker no longer objects, `make check` fails.
"""

from __future__ import annotations

from typing import assert_never, assert_type

from keyturn.base.errors import Conflict, KeyturnError, RetryLater, UserMustAct
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext, SecretBytes
from keyturn.base.verdict import Match, Mismatch
from keyturn.keys.digest import digest_matches
from keyturn.keys.record import Record
from keyturn.keys.record_signing import Damaged, Forged, Genuine, TooNew, UnknownSigner, Verification
from keyturn.keys.token_format import Fault, Malformed, Token, parse_token
from keyturn.lifecycle.plan import Annotate, Announce, Deliver, RenderSecret, SaveRecord, Seal, Stage, Step


def a_parsed_token_is_matched_on(text: str) -> Plaintext | Fault:
    match parse_token(text):
        case Token(plaintext=plaintext):
            return assert_type(plaintext, Plaintext)
        case Malformed(fault=fault):
            return assert_type(fault, Fault)
        case other:
            assert_never(other)


def a_verdict_is_not_tested_for_truth(text: str) -> str:
    if digest_matches(text, digest="$sha256$"):  # pyright: ignore[reportGeneralTypeIssues]  # a verdict refuses
        print("let in")  # type: ignore[unreachable]  # bool(verdict) is NoReturn: mypy knows that nobody comes so far
    return "kept out"  # type: ignore[unreachable]  # as above: the test itself raises


def a_comparison_has_two_outcomes(text: str) -> str:
    match digest_matches(text, digest="$sha256$"):
        case Match():
            return "same"
        case Mismatch():
            return "different"
        case other:
            assert_never(other)


def a_verification_has_five_outcomes(verification: Verification) -> Record | str:
    match verification:
        case Genuine(record=record):
            return assert_type(record, Record)
        case Forged(reason=reason) | Damaged(reason=reason):
            return assert_type(reason, str)
        case UnknownSigner(key_id=key_id):
            return key_id
        case TooNew():
            return "upgrade"
        case other:
            assert_never(other)


def every_step_is_acted_on(step: Step) -> str:
    match step:
        case Stage() | SaveRecord() | Announce():
            return "record"
        case Deliver() | RenderSecret():
            return "Secret"
        case Seal():
            return "status"
        case Annotate(kind=kind):
            return assert_type(kind, str)
        case other:
            assert_never(other)


def plaintext_has_one_way_out(token: Plaintext, material: SecretBytes) -> None:
    assert_type(token.reveal(), str)
    assert_type(material.reveal(), bytes)
    token.key_id = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # it has no setter


def what_passes_between_layers_does_not_change(record: Record, key: Key) -> None:
    record.disabled = True  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen
    key.name = "other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen


def errors_are_raised_with_names() -> None:
    UserMustAct("say what to do")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the condition's reason is missing
    UserMustAct("say what to do", "Reason")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # only by keyword
    a_conflict: RetryLater = Conflict("somebody wrote first")
    assert_type(a_conflict.after_seconds, float | None)
    any_of_ours: KeyturnError = a_conflict
    raise any_of_ours
