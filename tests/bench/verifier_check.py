"""What the decision itself costs, in this process: beside the SHA-256, the lookup and the comparison that no check can do without."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from hashlib import sha256
from hmac import compare_digest
from statistics import median
from time import thread_time_ns
from typing import Final

from bench.report import Report, Row
from gen import verifying
from gen.many_keys import ASKED, garbage, record, token
from keyturn.keys.token_format import BODY_LENGTH, KEY_ID_LENGTH
from keyturn.verifier.check import Asked, check
from keyturn.verifier.guard import Guard

FEW: Final = 1_000
MANY: Final = 100_000
TOKENS: Final = 20_000
"""Asked about in one round, in an order of chance."""
NOW: Final = verifying.NOW.timestamp()

Costs = dict[str, list[float]]


def measure(report: Report, *, quick: bool) -> None:
    """Every kind in turn, several times over."""
    many = MANY // 10 if quick else MANY
    rounds = 5 if quick else 31
    kinds = {**_kinds("few", FEW), **_kinds("some of many", many, asked_about=FEW), **_kinds("many", many)}
    costs: Costs = {name: [] for name in kinds}
    for _ in range(rounds):
        for name, ask in kinds.items():
            costs[name].append(ask() / TOKENS / 1000)
    how = f"median of {rounds} rounds of {TOKENS} tokens, CPU time of the thread"
    report.add(
        Row("check in process / bare SHA-256, lookup and comparison", _ratio(costs, "check few", "bare few"), "x", 3, how=how),
        Row("  one check", median(costs["check few"]), "us", how=f"{FEW} keys; bare: {median(costs['bare few']):.2f} us"),
        Row("  garbage as long as a key / a good key", _ratio(costs, "garbage few", "check few"), "x", 1),
        Row("  garbage refused, each", median(costs["garbage few"]), "us", 20, gate=False, how="20 us: 50,000 a second"),
        Row(
            f"  {many} keys known / {FEW}",
            _ratio(costs, "check some of many", "check few"),
            "x",
            1.1,
            how=f"asked about {FEW} that lie together in memory",
        ),
        Row("  asked about all of them", _ratio(costs, "check many", "check few"), "x", how=_growth(costs)),
        Row("  with the header found, use noted, limit looked for", median(costs["guard few"]), "us", how="what a front calls"),
    )


def _kinds(size: str, keys: int, *, asked_about: int | None = None) -> dict[str, Callable[[], int]]:
    """What is measured, by name: each answers the nanoseconds that all tokens took."""
    known = verifying.known(*map(record, range(keys)))
    chance = random.Random(1)  # noqa: S311  an order, nothing secret
    tokens = [token(chance.randrange(asked_about or keys)) for _ in range(TOKENS)]
    guesses = [garbage(number) for number in range(TOKENS)]
    proofs = {key_id: key.proof[:32] for key_id, key in known.live.items()}
    guard = Guard(known, clock=lambda: verifying.NOW, on_use=set().add, on_verdict=lambda _: None)
    asked = Asked(**ASKED)
    return {
        f"bare {size}": lambda: _bare(tokens, proofs),
        f"check {size}": lambda: _checked(tokens, asked, known),
        f"garbage {size}": lambda: _checked(guesses, asked, known),
        f"guard {size}": lambda: _judged(tokens, asked, guard),
    }


def _bare(tokens: Sequence[str], proofs: dict[str, bytes]) -> int:
    nobody = bytes(32)
    start = thread_time_ns()
    for each in tokens:
        compare_digest(sha256(each.encode()).digest(), proofs.get(each[-BODY_LENGTH : KEY_ID_LENGTH - BODY_LENGTH], nobody))
    return thread_time_ns() - start


def _checked(tokens: Sequence[str], asked: Asked, known: verifying.Known) -> int:
    start = thread_time_ns()
    for each in tokens:
        check(each, asked, known, now=NOW)
    return thread_time_ns() - start


def _judged(tokens: Sequence[str], asked: Asked, guard: Guard) -> int:
    requests = [[(b"host", b"keyturn-verifier"), (b"authorization", b"Bearer " + each.encode())] for each in tokens]
    start = thread_time_ns()
    for headers in requests:
        guard.judge(headers, asked)
    return thread_time_ns() - start


def _ratio(costs: Costs, name: str, beside: str) -> float:
    """Of the medians' pairs, round by round: what else the machine did slows both."""
    return median(one / other for one, other in zip(costs[name], costs[beside], strict=True))


def _growth(costs: Costs) -> str:
    return f"in memory that no cache holds; the bare work itself: {_ratio(costs, 'bare many', 'bare few'):.2f} x"
