"""Headers of an answer that are calculated with: whoever stands between us and the API server may write anything into them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from gen.lifecycle import NOW
from keyturn.cluster.client import LONGEST_ADVICE, _retry_after, _skew

if TYPE_CHECKING:
    import aiohttp


@pytest.mark.parametrize(("text", "seconds"), [("1", 1.0), ("9" * 400, LONGEST_ADVICE), ("99999999999999", LONGEST_ADVICE), ("soon", None)])
def test_a_pause_is_never_so_long_that_nothing_happens_any_more(text: str, seconds: float | None) -> None:
    answer = cast("aiohttp.ClientResponse", SimpleNamespace(headers={"Retry-After": text}))
    assert _retry_after(answer) == seconds


@pytest.mark.parametrize("date", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 10000 00:00:00 GMT", "today"])
def test_a_date_that_is_none_says_nothing_about_the_clock(date: str) -> None:
    assert _skew(NOW, date) is None


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0101 00:00:00 +2359"])
def test_a_date_at_the_end_of_time_is_far_away_and_no_more(date: str) -> None:
    skew = _skew(NOW, date)
    assert skew is not None
    assert abs(skew.days) > 365_000
