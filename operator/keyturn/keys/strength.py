"""How hard a key that was made elsewhere is to guess, estimated from its text. Pure.

A digest without salt protects what nobody can try out. NIST SP 800-63B asks for 112 bits (3.1.2, look-up secrets). What a text was
drawn from cannot be seen, so this is an upper bound: what it calls weak is weak, what it calls strong may be somebody's phrase.
"""

from __future__ import annotations

import math
import re
import uuid
from dataclasses import dataclass
from typing import Final

from keyturn.base.wording import counted
from keyturn.keys.token_format import Token, parse_token

LEAST_BITS: Final = 112
UUID4_BITS: Final = 122
RUN: Final = 3
"""That many characters in a row that are the same, or follow one another, were not drawn by chance: they count as one."""

_PREFIX: Final = re.compile(r"(?:[a-z][a-z0-9]{0,9}[_.:-]){1,2}")
_HEX: Final = (re.compile(r"[0-9a-f]+"), re.compile(r"[0-9A-F]+"))
_CLASSES: Final = ((re.compile(r"[0-9]"), 10), (re.compile(r"[a-z]"), 26), (re.compile(r"[A-Z]"), 26), (re.compile(r"[^0-9A-Za-z]"), 33))
_JSON_WEB_TOKEN: Final = re.compile(r"eyJ[\w-]*\.[\w-]*\.([\w-]+)")


@dataclass(frozen=True, slots=True)
class Strength:
    """At most so many bits, and what was seen."""

    bits: int
    why: str

    @property
    def is_enough(self) -> bool:
        """Whether a plain digest may stand for it."""
        return self.bits >= LEAST_BITS


def strength_of(text: str) -> Strength:
    """Estimate. What stands in front and says whose key it is (`sk_live_`) counts for nothing."""
    if isinstance(parse_token(text), Token):
        return Strength(256, "a key of Keyturn's form")
    if _is_uuid(text):
        version = uuid.UUID(text).version
        return Strength(UUID4_BITS if version == 4 else 62, f"a UUID of version {version}")  # noqa: PLR2004 - the random one
    drawn = _random_part(_once(text))
    alphabet, telling = _alphabet(drawn), _telling(drawn)
    bits = int(telling * math.log2(alphabet)) if telling else 0
    shown = len(_random_part(text))
    what = f"{counted(shown, 'character')} of {alphabet}"
    return Strength(bits, what if telling == shown else f"{what}, of which repeats and sequences leave {telling}")


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _random_part(text: str) -> str:
    token = _JSON_WEB_TOKEN.fullmatch(text)
    if token is not None:
        return token[1]  # the signature: all before it is known
    prefix = _PREFIX.match(text)
    return text[prefix.end() :] if prefix is not None else text


def _alphabet(text: str) -> int:
    if any(pattern.fullmatch(text) for pattern in _HEX):
        return 10 if text.isdigit() else 16
    return max(2, sum(size for pattern, size in _CLASSES if pattern.search(text)))


def _telling(text: str) -> int:
    """How many characters tell something: of a text that repeats itself, those of its period; of a run, one."""
    return _without_runs(_once(text))


def _once(text: str) -> str:
    """The shortest text that this one is a repetition of, and that one of, if only of its beginning at the end."""
    periods = range(1, len(text) // 2 + 1)
    found = next((text[:length] for length in periods if all(text[i] == text[i % length] for i in range(len(text)))), text)
    return found if found == text else _once(found)


def _without_runs(text: str) -> int:
    telling, start = 0, 0
    while start < len(text):
        end = _end_of_run(text, start)
        telling += 1
        start = end if end - start >= RUN else start + 1
    return telling


def _end_of_run(text: str, start: int) -> int:
    """Up to where the same step leads from each character to the next: 0 (aaa), 1 (abc) or -1 (321)."""
    if start + 1 >= len(text):
        return len(text)
    step = ord(text[start + 1]) - ord(text[start])
    if step not in (-1, 0, 1):
        return start + 1
    end = start + 1
    while end < len(text) and ord(text[end]) - ord(text[end - 1]) == step:
        end += 1
    return end
