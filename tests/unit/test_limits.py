"""How often a key may be used, and what its client is told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gen import verifying as gen
from keyturn.keys.record import Limits
from keyturn.verifier.answers import answer_to, limit_headers
from keyturn.verifier.guard import Guard
from keyturn.verifier.limits import Limit, LocalLimiter, Quota
from keyturn.verifier.verdicts import Accepted, Refusal, Refused

NOW = gen.NOW.timestamp()
GOOD = [(b"authorization", b"Bearer " + gen.TOKEN.encode())]
LIMITS = st.builds(Limit, rate=st.integers(1, 10_000) | st.floats(0.001, 10_000), burst=st.integers(1, 50))
SECONDS = st.floats(0, 100) | st.sampled_from([0.0, 0.001, 1.0, 3600.0])
PLAY = 1e-6
"""Seconds by which the test's own clock, a float, may err over a whole example."""


def spend(limiter: LocalLimiter, limit: Limit | None, *, now: float = NOW) -> Quota:
    quota = limiter.spend("team-a.billing", limit, now=now)
    assert quota is not None
    return quota


@given(LIMITS, st.lists(st.tuples(SECONDS, st.booleans()), max_size=60))
def test_no_more_passes_than_rate_times_time_plus_burst_whatever_the_clock_does(limit: Limit, steps: list[tuple[float, bool]]) -> None:
    """Going back gives nothing for free; only seconds that went by forwards count."""
    limiter, now = LocalLimiter(), NOW
    passed, forwards = 0, 0.0
    for seconds, is_back in steps:
        now += -seconds if is_back else seconds
        forwards += 0 if is_back else seconds
        passed += spend(limiter, limit, now=now).may_pass
        assert passed <= limit.rate * (forwards + PLAY) + limit.burst


@given(LIMITS, st.lists(SECONDS, max_size=60))
def test_retry_after_is_true(limit: Limit, steps: list[float]) -> None:
    limiter, now = LocalLimiter(), NOW
    for seconds in steps:
        now += seconds
        quota = spend(limiter, limit, now=now)
        if not quota.may_pass:
            now += quota.wait + PLAY
            assert spend(limiter, limit, now=now).may_pass


@given(LIMITS, st.lists(SECONDS, max_size=20))
def test_what_remains_would_pass_at_once_and_no_more(limit: Limit, steps: list[float]) -> None:
    limiter, now = LocalLimiter(), NOW
    for seconds in steps:
        now += seconds
        remaining = spend(limiter, limit, now=now).remaining
        assert 0 <= remaining < limit.burst
    left = spend(limiter, limit, now=now)
    assert [spend(limiter, limit, now=now).may_pass for _ in range(left.remaining)] == [True] * left.remaining
    assert not spend(limiter, limit, now=now).may_pass


@given(LIMITS, st.floats(1, 1e6))
def test_a_clock_that_goes_back_costs_a_full_bucket_and_no_more(limit: Limit, seconds: float) -> None:
    limiter = LocalLimiter()
    spend(limiter, limit, now=NOW)
    quota = spend(limiter, limit, now=NOW - seconds)
    assert quota.wait <= limit.window
    assert spend(limiter, limit, now=NOW - seconds + quota.wait + PLAY).may_pass


def test_a_refused_request_spends_nothing() -> None:
    limiter, limit = LocalLimiter(), Limit(1, 2)
    assert [spend(limiter, limit).may_pass for _ in range(100)] == [True, True] + [False] * 98
    assert spend(limiter, limit, now=NOW + 1) == Quota(limit, may_pass=True, remaining=0, wait=1)


def test_a_lowered_limit_holds_at_once() -> None:
    limiter = LocalLimiter()
    for _ in range(50):
        spend(limiter, Limit(1, 100))
    quota = spend(limiter, Limit(1, 5))
    assert (quota.may_pass, quota.wait) == (False, 1)


def test_a_key_without_a_limit_has_the_default_and_without_that_none() -> None:
    default = Limit(5, 10, name="default")
    assert LocalLimiter().spend("a.b", None, now=NOW) is None
    assert LocalLimiter(default=default).spend("a.b", None, now=NOW) == Quota(default, may_pass=True, remaining=9, wait=1)
    assert spend(LocalLimiter(default=default), Limit(1, 1)).limit == Limit(1, 1)


def test_idle_buckets_are_forgotten_and_busy_ones_are_not() -> None:
    limiter, limit = LocalLimiter(), Limit(1, 1)
    for number in range(100_000):
        limiter.spend(f"team-{number}.billing", limit, now=NOW + number / 10)
    assert len(limiter) < 2_100  # 10 buckets are not full at any moment; the rest waits to be swept
    quota = limiter.spend("team-99999.billing", limit, now=NOW + 9_999.9)
    assert quota is not None
    assert not quota.may_pass


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (float("nan"), 1), (float("inf"), 1), (1, 0)])
def test_what_is_no_limit_is_refused_when_it_is_made(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="a rate above 0"):
        Limit(rate, burst)


def test_a_quota_cannot_be_tested_for_truth() -> None:
    with pytest.raises(TypeError, match="may_pass"):
        bool(Quota(Limit(1, 1), may_pass=False, remaining=0, wait=1))


def door(limits: Limits | None, **fields: object) -> Guard:
    return gen.guard(gen.record(limits=limits), limiter=LocalLimiter(default=Limit(100, 100, name="default")), **fields)


def test_an_accepted_client_learns_what_is_left() -> None:
    verdict = door(Limits(2, 10)).ask(GOOD)
    assert isinstance(verdict, Accepted)
    assert limit_headers(verdict.quota) == (("ratelimit-policy", '"plan";q=10;w=5'), ("ratelimit", '"plan";r=9;t=1'))


def test_a_client_over_its_limit_learns_how_long_to_wait() -> None:
    guard = door(Limits(1, 1))
    guard.ask(GOOD)
    verdict = guard.ask(GOOD)
    assert isinstance(verdict, Refused)
    assert (verdict.refusal, verdict.key_id) == (Refusal.LIMITED, gen.KEY_ID)
    answer = answer_to(verdict)
    headers = dict(answer.headers)
    assert answer.status == 429
    assert headers["retry-after"] == "1"
    assert headers["ratelimit-policy"] == '"plan";q=1;w=1'
    assert headers["ratelimit"] == '"plan";r=0;t=1'
    assert headers["cache-control"] == "no-store"


def test_all_versions_of_a_key_share_one_limit() -> None:
    """A rotation must not double what a client may do."""
    old, new = gen.record(not_after=gen.NOW + timedelta(hours=1)), gen.record(token=gen.OTHER_TOKEN)
    both = gen.record(versions=old.versions + new.versions, limits=Limits(1, 1))
    guard = Guard(gen.known(both), clock=lambda: gen.NOW, limiter=LocalLimiter())
    assert isinstance(guard.ask(GOOD), Accepted)
    verdict = guard.ask([(b"x-api-key", gen.OTHER_TOKEN.encode())])
    assert isinstance(verdict, Refused)
    assert verdict.refusal is Refusal.LIMITED


def test_guesses_and_refusals_are_not_counted() -> None:
    """Whoever guesses at a key must not be able to use up what its owner may do."""
    limiter = LocalLimiter(default=Limit(1, 1))
    guard = gen.guard(gen.record(scopes=("read",)), limiter=limiter)
    wrong = gen.TOKEN[:-1] + ("0" if gen.TOKEN[-1] != "0" else "1")
    for token in (wrong, "junk", gen.OTHER_TOKEN):
        guard.ask([(b"x-api-key", token.encode())])
    guard.ask(GOOD, scopes=("write",))
    assert len(limiter) == 0
    assert isinstance(guard.ask(GOOD, scopes=("read",)), Accepted)


def test_without_a_limit_a_client_is_told_nothing() -> None:
    assert limit_headers(None) == ()
    assert [r.quota for r in map(gen.guard(gen.record()).ask, [GOOD, []])] == [None, None]


def test_windows_are_told_in_whole_seconds() -> None:
    assert [Limit(rate, 10).window for rate in (1000, 7, 0.01)] == [1, 2, 1000]


def test_no_request_is_forgotten_where_threads_ask_at_once(restless_threads: None) -> None:
    assert restless_threads is None
    limiter, limit = LocalLimiter(), Limit(1.0, 100_000)

    def ask() -> None:
        for number in range(5000):
            limiter.spend(f"other {number}", limit, now=NOW)  # so many that full buckets are swept meanwhile
            limiter.spend("one", limit, now=NOW)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(ask) for _ in range(4)]:
            done.result()
    last = limiter.spend("one", limit, now=NOW)
    assert last is not None
    assert last.remaining == 100_000 - 4 * 5000 - 1
