"""Tenants ask, owners grant, the platform team labels, by chance; and no key ever opens more than was granted, nor less.

A run prints its seed. To have the same story again: KEYTURN_TENANCY_SEED=<seed> pytest tests/cluster/tenancy -s
"""

from __future__ import annotations

import os
from random import Random, SystemRandom
from typing import Final

import pytest

from gen.market import Market
from gen.market_chance import begin, round_of
from gen.operator_process import OperatorProcess

SEED: Final = int(os.environ.get("KEYTURN_TENANCY_SEED", "0")) or SystemRandom().randrange(1, 10**6)


def play(market: Market, *, seed: int, rounds: int, acts: int) -> None:
    print(f"seed {seed}")
    chance = Random(seed)  # noqa: S311 - a story that can be told again, no secret
    begin(chance, market)
    for _ in range(rounds):
        round_of(chance, market, acts=acts)
        market.settle()
        assert not market.restarted_bystanders()


def test_power_is_what_was_granted_after_every_round(market: Market, operator: OperatorProcess) -> None:
    play(market, seed=SEED, rounds=6, acts=12)
    assert operator.is_running


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_power_is_what_was_granted_after_very_many_rounds(market: Market) -> None:
    """Several minutes of it."""
    play(market, seed=SEED, rounds=100, acts=15)
