"""A file of existing keys, read and judged row by row. Pure; `importing.py` makes ApiKeys of what is good.

A key's text is hashed here and goes no further. No message repeats what stands in the file beside names.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keyturn.base.errors import KeyturnError
from keyturn.base.names import DEFAULT_AUDIENCE, Key
from keyturn.cli.apikeys.manifest import Wish, apikey_manifest, expiration_time, mistakes_in
from keyturn.keys.digest import derived_key_id, digest_token, is_digest
from keyturn.keys.strength import LEAST_BITS, strength_of
from keyturn.keys.token_format import Token, parse_token

COLUMNS: Final = ("name", "namespace", "key", "digest", "keyID", "product", "plan", "scopes", "audience", "expirationTime")
LONGEST_KEY: Final = 1024
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_PRINTABLE: Final = re.compile(r"[!-~]+")
_WHY_BITS: Final = (
    f"a digest without salt protects only what nobody can try out, {LEAST_BITS} bits at least (NIST SP 800-63B, look-up secrets)"
)


class FileInvalid(KeyturnError):
    """The file as a whole cannot be read. The message says where, and shows nothing of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: what to make, or why nothing."""

    line: int
    where: Key
    key_id: str = ""
    digest: str = ""
    manifest: Mapping[str, object] | None = None
    problem: str = ""


Texts = Mapping[str, str]


def read_rows(text: str, *, namespace: str, at_least_bits: int, now: datetime) -> tuple[Row, ...]:
    """Every row, good or not, in order. `namespace`: of rows that name none. Raises FileInvalid."""
    judged = [_judged(line, texts, namespace=namespace, at_least_bits=at_least_bits, now=now) for line, texts in _texts(text)]
    return tuple(_without_repeats(judged))


def _texts(text: str) -> Iterator[tuple[int, Texts]]:
    rows = list(_from_json(text) if text.lstrip()[:1] in {"[", "{"} else _from_csv(text))
    for line, texts in rows:
        unknown = sorted(set(texts) - set(COLUMNS))
        if unknown:
            raise FileInvalid(f"line {line}: unknown columns; known are {', '.join(COLUMNS)}")
    if not rows:
        raise FileInvalid("there is no row in it: write a line of column names, and one for each key")
    yield from rows


def _from_csv(text: str) -> Iterator[tuple[int, Texts]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True, restkey="too many values", restval="")
    try:
        for fields in reader:
            yield reader.line_num, {str(name).strip(): str(value).strip() for name, value in fields.items()}
    except csv.Error as error:
        raise FileInvalid(f"line {reader.line_num} is no CSV: {error}") from None


def _from_json(text: str) -> Iterator[tuple[int, Texts]]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        raise FileInvalid("it begins as JSON and is none: write a list of objects") from None
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise FileInvalid("the JSON is no list of objects")
    for number, item in enumerate(items, start=1):
        yield number, {str(name): _as_text(value) for name, value in item.items()}


def _as_text(value: object) -> str:
    """One of a list's members is separated from the next as in a CSV: by a space."""
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value).strip()


def _judged(line: int, texts: Texts, *, namespace: str, at_least_bits: int, now: datetime) -> Row:
    where = Key(texts.get("namespace") or namespace, texts.get("name", ""))
    problem = _problem_of_names(where) or _problem_of_key(texts, at_least_bits=at_least_bits) or _problem_of_audience(texts)
    if problem:
        return Row(line, where, problem=problem)
    digest, key_id = _key_of(texts)
    shown = key_id or derived_key_id(digest)
    try:
        manifest = apikey_manifest(_wish(texts, where, digest=digest, key_id=key_id, now=now), namespace=where.namespace)
    except ValueError as error:
        return Row(line, where, shown, digest, problem=str(error))
    mistakes = mistakes_in(manifest)
    return Row(line, where, shown, digest, None if mistakes else manifest, "; ".join(mistakes))


def _problem_of_names(where: Key) -> str:
    for what, text in (("name", where.name), ("namespace", where.namespace)):
        if _NAME.fullmatch(text) is None:
            return f"the {what} is none: write 1 to 63 of a-z, 0-9 and -, which is neither first nor last"
    return ""


def _problem_of_key(texts: Texts, *, at_least_bits: int) -> str:
    key, digest = texts.get("key", ""), texts.get("digest", "")
    if bool(key) == bool(digest):
        return "give the key or its digest, one of the two"
    if digest:
        return _problem_of_digest(digest, at_least_bits=at_least_bits)
    if len(key) > LONGEST_KEY or _PRINTABLE.fullmatch(key) is None:
        return f"the key cannot stand in an HTTP header: up to {LONGEST_KEY} printable characters of ASCII without spaces"
    parsed = parse_token(key)
    if isinstance(parsed, Token) and texts.get("keyID") not in {None, "", parsed.key_id}:
        return "keyID is not the one inside of the key: leave it away"
    if not isinstance(parsed, Token) and texts.get("keyID"):
        return "only a key of Keyturn's own form has a keyID: leave it away"
    strength = strength_of(key)
    return "" if strength.is_enough else f"the key is too weak ({strength.why}: at most {strength.bits} bits): {_WHY_BITS}"


def _problem_of_digest(digest: str, *, at_least_bits: int) -> str:
    if not is_digest(digest):
        return "the digest is none: $sha256$ and the SHA-256 of the whole key in base64url, 43 characters without padding"
    if at_least_bits < LEAST_BITS:
        return f"how strong the key behind a digest is you have to say, by --at-least-bits N: {_WHY_BITS}"
    return ""


def _problem_of_audience(texts: Texts) -> str:
    if texts.get("audience", "") in {"", DEFAULT_AUDIENCE} and not (texts.get("audience") and texts.get("product")):
        return ""
    return "the audience of a key is that of its product: give the product, and leave the audience empty"


def _key_of(texts: Texts) -> tuple[str, str | None]:
    key = texts.get("key", "")
    if not key:
        return texts["digest"], texts.get("keyID") or None
    parsed = parse_token(key)
    return digest_token(key), parsed.key_id if isinstance(parsed, Token) else None


def _wish(texts: Texts, where: Key, *, digest: str, key_id: str | None, now: datetime) -> Wish:
    namespace, _, product = texts.get("product", "").rpartition("/")
    return Wish(
        name=where.name,
        product=Key(namespace, product) if product else None,
        plan=texts.get("plan") or None,
        scopes=tuple(texts.get("scopes", "").split()) or None,
        expiration_time=expiration_time(texts["expirationTime"], now=now) if texts.get("expirationTime") else None,
        digest=digest,
        digest_key_id=key_id,
    )


def _without_repeats(rows: Iterable[Row]) -> Iterator[Row]:
    """A key, and a name, counts where it stands first."""
    digests: dict[str, int] = {}
    names: dict[Key, int] = {}
    for row in rows:
        if row.problem:
            yield row
            continue
        first_digest, first_name = digests.setdefault(row.digest, row.line), names.setdefault(row.where, row.line)
        if first_digest != row.line:
            yield Row(row.line, row.where, row.key_id, row.digest, problem=f"the same key stands in line {first_digest}")
        elif first_name != row.line:
            yield Row(row.line, row.where, row.key_id, row.digest, problem=f"an ApiKey of this name stands in line {first_name}")
        else:
            yield row
