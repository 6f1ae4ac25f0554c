"""Words that messages share."""

from __future__ import annotations

import pytest

from keyturn.base.wording import counted


@pytest.mark.parametrize(("number", "words"), [(0, "0 key versions"), (1, "1 key version"), (2, "2 key versions"), (21, "21 key versions")])
def test_only_one_is_singular(number: int, words: str) -> None:
    assert counted(number, "key version") == words
