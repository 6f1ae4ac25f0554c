"""The frozen vectors: published ones for what we build on, our own for what stands in clusters."""

from __future__ import annotations

import hashlib
import hmac
import json
import zlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gen.vectors import VECTORS, cases
from keyturn.base.names import Key
from keyturn.base.plaintext import Plaintext
from keyturn.keys.adoption_tag import adoption_tag
from keyturn.keys.base64url import encode_base64url
from keyturn.keys.digest import digest_token
from keyturn.keys.record_encoding import decode_record, encode_record
from keyturn.keys.record_signing import Genuine, sign_record, verify_record
from keyturn.keys.root_secret import RootSecret, SigningRing
from keyturn.keys.token_format import Token, checksum, encode_base62, format_token, parse_token
from keyturn.keys.verification_keys import DATA_KEY, VerificationKeys


def test_every_vector_says_where_it_comes_from_and_is_in_the_readme() -> None:
    readme = (VECTORS / "README.md").read_text(encoding="utf-8")
    names = {path.stem for path in VECTORS.glob("*.json")}
    assert [name for name in sorted(names) if f"`{name}.json`" not in readme] == []
    assert all(case["origin"] for name in names for case in cases(name))


@pytest.mark.parametrize("case", cases("sha256"), ids=lambda case: case["origin"])
def test_the_digest_is_sha_256(case: dict[str, Any]) -> None:
    assert digest_token(case["message"]) == "$sha256$" + encode_base64url(bytes.fromhex(case["sha256"]))


@pytest.mark.parametrize("case", cases("crc32"), ids=lambda case: case["origin"])
def test_the_checksum_is_the_crc_32_of_zlib(case: dict[str, Any]) -> None:
    assert zlib.crc32(case["message"].encode()) == int(case["crc32"], 16)
    assert checksum(case["message"]) == encode_base62(int(case["crc32"], 16), length=6)


@pytest.mark.parametrize("case", cases("hkdf"), ids=lambda case: case["origin"])
def test_the_key_derivation_is_hkdf_sha_256(case: dict[str, Any]) -> None:
    hkdf = HKDF(algorithm=SHA256(), length=case["length"], salt=bytes.fromhex(case["salt"]) or None, info=bytes.fromhex(case["info"]))
    assert hkdf.derive(bytes.fromhex(case["ikm"])).hex() == case["okm"]


@pytest.mark.parametrize("case", cases("ed25519"), ids=lambda case: case["origin"])
def test_the_signature_is_pure_ed25519(case: dict[str, Any]) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(case["secret_key"]))
    assert key.public_key().public_bytes_raw().hex() == case["public_key"]
    assert key.sign(bytes.fromhex(case["message"])).hex() == case["signature"]


@pytest.mark.parametrize("case", cases("hmac_sha256"), ids=lambda case: case["origin"])
def test_the_mac_is_hmac_sha_256(case: dict[str, Any]) -> None:
    assert hmac.digest(bytes.fromhex(case["key"]), bytes.fromhex(case["message"]), hashlib.sha256).hex() == case["mac"]


@pytest.mark.parametrize("case", cases("tokens"), ids=lambda case: case["prefix"])
def test_tokens_are_written_and_read_as_ever(case: dict[str, Any]) -> None:
    assert format_token(case["prefix"], key_id=case["keyID"], secret=case["secret"]) == case["token"]
    assert parse_token(case["token"]) == Token(case["prefix"], case["keyID"], Plaintext(case["keyID"], case["token"]))
    assert digest_token(case["token"]) == case["digest"]


@pytest.mark.parametrize("case", cases("roots"), ids=lambda case: case["keyID"])
def test_a_root_gives_the_same_keys_as_ever(case: dict[str, Any]) -> None:
    ring = SigningRing.of(RootSecret(bytes.fromhex(case["root"])))
    assert ring.first.key_id == case["keyID"]
    assert ring.first.verification_key.public_key.public_bytes_raw().hex() == case["publicKey"]
    assert ring.verification_keys.to_data() == {DATA_KEY: case["verificationKeys"]}
    assert VerificationKeys.from_data({DATA_KEY: case["verificationKeys"]}) == ring.verification_keys


@pytest.mark.parametrize("case", cases("records"), ids=lambda case: case["name"])
def test_records_are_written_signed_and_read_as_ever(case: dict[str, Any]) -> None:
    ring = SigningRing.of(RootSecret(bytes.fromhex(case["root"])))
    data = case["bytes"].encode()
    record = decode_record(data)
    assert encode_record(record) == data
    assert sign_record(data, ring=ring) == case["signature"]
    place = Key(record.namespace, record.name)
    verdict = verify_record(
        data, signature=case["signature"], keys=ring.verification_keys, expected=place, installation=record.installation
    )
    assert verdict == Genuine(record)


def test_the_newest_record_vector_has_every_field() -> None:
    """A field that a frozen record lacks could be renamed without any test noticing. A new field: a new case in front."""
    full = cases("records")[0]
    record = decode_record(full["bytes"].encode())
    empty = [name for name in record.__slots__ if getattr(record, name) in (None, (), 0, False)]
    assert empty == []
    assert "previousVersion" in json.loads(full["bytes"])["secret"]


@pytest.mark.parametrize("case", cases("adoption_tags"), ids=lambda case: f"version {case['version']}")
def test_adoption_tags_are_made_as_ever(case: dict[str, Any]) -> None:
    made = adoption_tag(
        RootSecret(bytes.fromhex(case["root"])).tag_key(),
        installation=case["installation"],
        namespace=case["namespace"],
        name=case["name"],
        key_id=case["keyID"],
        version=case["version"],
        token_digest=case["tokenDigest"],
    )
    assert made == case["tag"]
