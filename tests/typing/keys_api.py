"""The public types of keys/, for mypy and pyright; never run. Each `assert_type` and each ignore below is a promise to callers."""

from __future__ import annotations

from typing import assert_never, assert_type

from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext, SecretBytes
from keyturn.base.verdict import Match, Mismatch
from keyturn.keys.adoption_tag import adoption_tag, tag_matches
from keyturn.keys.digest import digest_matches, digest_token, is_digest
from keyturn.keys.mint import Minted, mint, mint_root_secret
from keyturn.keys.record import Record
from keyturn.keys.record_encoding import decode_record, encode_record
from keyturn.keys.record_signing import Damaged, Forged, Genuine, TooNew, UnknownSigner, sign_record, verify_record
from keyturn.keys.root_secret import RootSecret, SigningRing, TagKey, TagRing
from keyturn.keys.token_format import Fault, Malformed, Token, find_tokens, format_token, parse_token
from keyturn.keys.verification_keys import VerificationKey, VerificationKeys


def minting(root: RootSecret) -> None:
    assert_type(mint("kt"), Minted)
    assert_type(mint("kt").plaintext, Plaintext)
    assert_type(mint("kt").digest, str)
    assert_type(mint_root_secret(), RootSecret)
    assert_type(root.reveal(), bytes)
    assert_type(root.tag_key(), TagKey)
    assert_type(Plaintext("k1", "text").reveal(), str)
    assert_type(SecretBytes("name", b"raw").reveal(), bytes)
    assert_type(format_token("kt", key_id="id", secret="s"), str)
    assert_type(find_tokens("text"), tuple[Token, ...])


def parsing(text: str | bytes) -> str | Fault:
    match parse_token(text):
        case Token(prefix=_, key_id=key_id, plaintext=plaintext):
            assert_type(plaintext, Plaintext)
            return key_id
        case Malformed(fault):
            return fault
        case never:
            assert_never(never)


def comparing(ring: TagRing, text: str) -> None:
    assert_type(digest_token(text), str)
    assert_type(is_digest(text), bool)
    assert_type(digest_matches(text, digest="d"), Match | Mismatch)
    assert_type(adoption_tag(ring.first, installation="i", namespace="n", name="a", key_id="k", version=1, token_digest="d"), str)
    assert_type(
        tag_matches(ring, tag="t", installation="i", namespace="n", name="a", key_id="k", version=1, token_digest="d"), Match | Mismatch
    )


def signing(record: Record, ring: SigningRing) -> Record | str | int:
    data = encode_record(record)
    assert_type(data, bytes)
    assert_type(decode_record(data), Record)
    assert_type(ring.verification_keys, VerificationKeys)
    assert_type(ring.verification_keys.find("id"), VerificationKey | None)
    assert_type(VerificationKeys.from_data(ring.verification_keys.to_data()), VerificationKeys)
    signature = sign_record(data, ring=ring)
    match verify_record(data, signature=signature, keys=ring.verification_keys, expected=Key("n", "a"), installation=None):
        case Genuine(genuine):
            return genuine
        case Forged(reason) | Damaged(reason):
            return reason
        case UnknownSigner(key_id):
            return key_id
        case TooNew(found):
            return found
        case never:
            assert_never(never)


def the_checkers_refuse(text: str, ring: SigningRing) -> None:
    # The operands of two texts cannot be swapped by accident.
    digest_matches(text, "digest")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    # Where the record should stand is never left out.
    verify_record(b"", signature="", keys=ring.verification_keys)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    # The public half cannot sign.
    sign_record(b"", ring=ring.verification_keys)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    # A plaintext is not a text.
    digest_token(Plaintext("k1", text))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    # A verdict tested for truth: pyright refuses the test, mypy calls what follows unreachable.
    if digest_matches(text, digest=""):  # pyright: ignore[reportGeneralTypeIssues]
        return  # type: ignore[unreachable]
