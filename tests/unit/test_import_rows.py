"""A file of existing keys: what is made of each row, and why nothing is."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from keyturn.api.v1alpha1.apikey import ApiKey, ListedDigest
from keyturn.base.names import Key
from keyturn.cli.apikeys.import_rows import FileInvalid, Row, read_rows
from keyturn.cli.apikeys.importing import why_another
from keyturn.keys.digest import derived_key_id, digest_token
from keyturn.keys.mint import mint

DOCS = Path(__file__).parents[2] / "docs"
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
STRONG = "sk_live_51HxQzLkdIwHu7ixiNq2Vn8f"
DIGEST = digest_token(STRONG)


def rows(text: str, *, bits: int = 0) -> tuple[Row, ...]:
    return read_rows(text, namespace="shop", at_least_bits=bits, now=NOW)


def one(**fields: object) -> Row:
    (row,) = rows(json.dumps([fields]), bits=128)
    return row


def spec_of(row: Row) -> object:
    assert row.manifest is not None, row.problem
    return row.manifest["spec"]


def test_a_key_becomes_an_apikey_with_its_digest_alone() -> None:
    (row,) = rows(f"name,key\nacme,{STRONG}\n")
    assert (row.where, row.key_id, spec_of(row)) == (
        Key("shop", "acme"),
        derived_key_id(DIGEST),
        {"delivery": "None", "digests": [{"digest": DIGEST}]},
    )
    assert STRONG not in repr(row)


def test_every_column_reaches_the_spec() -> None:
    text = (
        "name,namespace,digest,product,plan,scopes,audience,expirationTime\n"
        f"acme,mail,{DIGEST},billing-api/invoices,basic,invoices:read invoices:write,,2027-01-31T18:00:00Z\n"
    )
    (row,) = rows(text, bits=128)
    assert row.where == Key("mail", "acme")
    assert spec_of(row) == {
        "productRef": {"namespace": "billing-api", "name": "invoices"},
        "plan": "basic",
        "scopes": ["invoices:read", "invoices:write"],
        "delivery": "None",
        "digests": [{"digest": DIGEST}],
        "expirationTime": "2027-01-31T18:00:00Z",
    }


def test_json_says_the_same_as_csv() -> None:
    listed = one(name="acme", key=STRONG, product="invoices", scopes=["invoices:read"], plan=None)
    (as_csv,) = rows(f"name,key,product,scopes\nacme,{STRONG},invoices,invoices:read\n")
    assert spec_of(listed) == spec_of(as_csv)


def test_a_key_of_our_own_form_keeps_its_id() -> None:
    minted = mint("kt")
    assert spec_of(one(name="a", key=minted.plaintext.reveal())) == {
        "delivery": "None",
        "digests": [{"digest": minted.digest, "keyID": minted.key_id}],
    }
    assert spec_of(one(name="a", digest=minted.digest, keyID=minted.key_id)) == spec_of(one(name="a", key=minted.plaintext.reveal()))


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"name": "Acme", "key": STRONG}, "name is none"),
        ({"name": "", "key": STRONG}, "name is none"),
        ({"name": "a", "namespace": "x.y", "key": STRONG}, "namespace is none"),
        ({"name": "a"}, "one of the two"),
        ({"name": "a", "key": STRONG, "digest": DIGEST}, "one of the two"),
        ({"name": "a", "key": "password1"}, "too weak"),
        ({"name": "a", "key": "a" * 40}, "repeats and sequences"),
        ({"name": "a", "key": f"{STRONG} x"}, "HTTP header"),
        ({"name": "a", "key": f"{STRONG}ä"}, "HTTP header"),
        ({"name": "a", "key": STRONG * 40}, "HTTP header"),
        ({"name": "a", "digest": "d41d8cd98f00b204e9800998ecf8427e"}, "digest is none"),
        ({"name": "a", "key": STRONG, "keyID": "Ab3dEf6hIj9k"}, "own form"),
        ({"name": "a", "key": mint("kt").plaintext.reveal(), "keyID": "Ab3dEf6hIj9k"}, "inside of the key"),
        ({"name": "a", "key": STRONG, "audience": "invoices"}, "give the product"),
        ({"name": "a", "key": STRONG, "expirationTime": "2020-01-01T00:00:00Z"}, "has passed"),
        ({"name": "a", "key": STRONG, "expirationTime": "soon"}, "is no instant"),
        ({"name": "a", "key": STRONG, "expirationTime": "99999999h"}, "is no instant"),
        ({"name": "a", "key": STRONG, "expirationTime": "9" * 400 + "h"}, "is no instant"),
        ({"name": "a", "key": STRONG, "expirationTime": "9999-12-31T23:59:59-12:00"}, "is no instant"),
        ({"name": "a", "key": STRONG, "product": "p", "scopes": "NOT:VALID"}, "scopes"),
    ],
)
def test_a_bad_row_says_why_and_shows_no_key(fields: dict[str, object], word: str) -> None:
    row = one(**fields)
    assert row.manifest is None
    assert word in row.problem
    assert str(fields.get("key", "-no-key-")) not in row.problem


def test_of_a_bare_digest_somebody_has_to_say_how_strong_its_key_is() -> None:
    for bits, is_good in ((0, False), (111, False), (112, True)):
        (row,) = rows(json.dumps([{"name": "a", "digest": DIGEST}]), bits=bits)
        assert (row.manifest is not None) == is_good
        assert is_good or "--at-least-bits" in row.problem


def test_what_stands_twice_counts_once() -> None:
    other = "sk_live_9bWq7RtYpLmZ3xKc5vN1sD8f"
    text = f"name,key\na,{STRONG}\nb,{STRONG}\na,{other}\nc,{other}\n"
    problems = [row.problem for row in rows(text)]
    assert problems[:3] == ["", "the same key stands in line 2", "an ApiKey of this name stands in line 2"]
    assert problems[3] == "the same key stands in line 4"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no row"),
        ("name,key\n", "no row"),
        ("name,secret\na,b\n", "unknown columns"),
        ("name,key\na,b,c\n", "unknown columns"),
        ('name,key\na,"b\n', "no CSV"),
        ("[{]", "is none"),
        ('{"name": "a"}', "no list"),
        ("[1]", "no list"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(text: str, word: str) -> None:
    with pytest.raises(FileInvalid) as invalid:
        rows(text)
    assert word in str(invalid.value)


def test_what_is_there_already_is_compared() -> None:
    (row,) = rows(f"name,key,plan,product\nacme,{STRONG},basic,invoices\n")
    assert row.manifest is not None
    same = {"spec": dict(row.manifest["spec"])}  # type: ignore[call-overload]
    assert why_another(same, row) == ""
    assert "differs in plan" in why_another({"spec": {**same["spec"], "plan": "gold"}}, row)
    assert "of delivery Secret" in why_another({"spec": {}}, row)
    assert "another key" in why_another({"spec": {**same["spec"], "digests": [{"digest": digest_token("x")}]}}, row)


def test_the_example_on_the_page_is_imported_as_the_page_says() -> None:
    page = (DOCS / "how-to" / "import-existing-keys.md").read_text()
    (table,) = re.findall(r"```\n(name,key.*?)```", page, re.DOTALL)
    (manifest,) = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    (row,) = rows(table)
    assert ApiKey.model_validate(manifest).spec.digests == (ListedDigest(digest=row.digest),)
