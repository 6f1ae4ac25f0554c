"""Values that must not get out by accident: `Plaintext` is an API key, `SecretBytes` is key material.

Both show only a public name when printed, logged, formatted or listed in a traceback, and refuse pickling, copying,
JSON and hashing. The way out is `.reveal()`, whose callers a test counts. They are not wiped: Python strings cannot be.
Truth: an instance is always true and says nothing about its content, so `held is None` and `not held` agree.
"""

from __future__ import annotations

import hmac
from typing import NoReturn, final


class _Hidden:
    """What both kinds share. Subclasses keep the value in `_value` and its public name in `_name`."""

    __slots__ = ("_name", "_value")

    _name: str
    _value: bytes

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name})"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, format_spec: str) -> str:
        return format(repr(self), format_spec)

    def __eq__(self, other: object) -> bool:
        """Compare names plainly and values in constant time. Another type is never equal."""
        if type(other) is not type(self) or not isinstance(other, _Hidden):
            return NotImplemented
        same_value = hmac.compare_digest(self._value, other._value)
        return same_value and self._name == other._name

    def __hash__(self) -> NoReturn:
        raise TypeError(f"{self!r} is not hashable: use its public name as the key")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self!r} does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} does not change")

    # pickle and copy ask for __reduce_ex__ first; code that walks objects by hand asks for the other two.
    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{self!r} is neither pickled nor copied")

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"{self!r} is neither pickled nor copied")

    def __getstate__(self) -> NoReturn:
        raise TypeError(f"{self!r} is neither pickled nor copied")


@final
class Plaintext(_Hidden):
    """An API key as its consumer sends it, under its public key ID."""

    __slots__ = ()

    def __init__(self, key_id: str, text: str) -> None:
        object.__setattr__(self, "_name", key_id)
        # As bytes, since compare_digest takes no non-ASCII text; surrogatepass, since this must not fail for any text.
        object.__setattr__(self, "_value", text.encode("utf-8", "surrogatepass"))

    @property
    def key_id(self) -> str:
        """The public name."""
        return self._name

    def reveal(self) -> str:
        """The key itself. Call it only where it is written into the credential Secret, hashed or parsed."""
        return self._value.decode("utf-8", "surrogatepass")


@final
class SecretBytes(_Hidden):
    """Key material that never leaves the process, under a name for people."""

    __slots__ = ()

    def __init__(self, name: str, value: bytes) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_value", bytes(value))

    def reveal(self) -> bytes:
        """The bytes themselves. Call it only to compute with them, or to store the root secret."""
        return self._value
