"""Whose turn it is to be looked at, as laws: never too many a second, nobody forgotten, no namespace late because of another."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.lifecycle.look_rounds import LookRounds

INTERVAL = 60.0
SLACK = 1e-6


def key(number: int, namespace: str = "shop") -> Key:
    return Key(namespace, f"key-{number}")


@dataclass(slots=True)
class Simulation:
    """The loop of the operator with a clock of its own, that takes whatever turn there is."""

    rounds: LookRounds
    now: float = 0.0
    looks: list[tuple[float, Key]] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now <= end:
            where = self.rounds.take(self.now)
            if where is not None:
                self.looks.append((self.now, where))
            else:
                self.now += min(max(self.rounds.wait(self.now), SLACK), end - self.now + SLACK)

    def looks_at(self, where: Key) -> list[float]:
        return [at for at, looked in self.looks if looked == where]

    def longest_wait(self, where: Key) -> float:
        times = [0.0, *self.looks_at(where), self.now]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


def simulated(*, rate: float, keys: int, namespace: str = "shop") -> Simulation:
    simulation = Simulation(LookRounds(rate=rate, interval=INTERVAL))
    add(simulation, namespace, keys)
    return simulation


def add(simulation: Simulation, namespace: str, keys: int) -> None:
    for number in range(keys):
        simulation.rounds.look_soon(key(number, namespace), simulation.now)


RATES = st.floats(min_value=0.1, max_value=20.0)
EVENTS = st.lists(st.tuples(st.sampled_from(["soon", "seen", "forget"]), st.integers(0, 30), st.floats(0.0, 90.0)), max_size=40)


@given(rate=RATES, events=EVENTS)
def test_never_more_looks_than_the_rate_allows_in_any_span(rate: float, events: list[tuple[str, int, float]]) -> None:
    simulation = simulated(rate=rate, keys=10)
    for what, number, pause in events:
        act(simulation, what, number)
        simulation.run(pause)
    times = [at for at, _ in simulation.looks]
    assert all(later - earlier >= 1 / rate - SLACK for earlier, later in itertools.pairwise(times))


@given(rate=RATES, keys=st.integers(1, 60), events=EVENTS)
def test_everybody_is_looked_at_in_time_whoever_comes_and_goes(rate: float, keys: int, events: list[tuple[str, int, float]]) -> None:
    """Those that stay, while others are written, come and go: the interval, and then one turn of all that were ever there."""
    simulation = simulated(rate=rate, keys=keys)
    for what, number, pause in events:
        act(simulation, what, keys + number)
        simulation.run(pause)
    longest = INTERVAL + (keys + 31) / rate + SLACK * 100
    simulation.run(longest)
    assert all(simulation.longest_wait(key(number)) <= longest for number in range(keys))


@given(rate=RATES, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), events=EVENTS)
def test_how_long_a_secret_waits_depends_on_its_own_namespace_and_on_how_many_there_are(
    rate: float, sizes: list[int], events: list[tuple[str, int, float]]
) -> None:
    """Not on how many Secrets the others have, nor on what becomes of those."""
    simulation = simulated(rate=rate, keys=0)
    for number, keys in enumerate(sizes):
        add(simulation, f"tenant-{number}", keys)
    add(simulation, "noisy", 300)
    for what, number, pause in events:
        act(simulation, what, number, namespace="noisy")
        simulation.run(pause)
    bounds = [INTERVAL + (keys * (len(sizes) + 1) + 1) / rate + SLACK * 100 for keys in sizes]
    simulation.run(max(bounds))
    for number, (keys, bound) in enumerate(zip(sizes, bounds, strict=True)):
        assert all(simulation.longest_wait(key(each, f"tenant-{number}")) <= bound for each in range(keys))


@given(rate=RATES, tenants=st.integers(1, 5), keys=st.integers(1, 5))
def test_no_turn_is_lost_while_anybody_is_due(rate: float, tenants: int, keys: int) -> None:
    """The large namespace gets what the small ones leave."""
    simulation = simulated(rate=rate, keys=1500, namespace="noisy")
    for number in range(tenants):
        add(simulation, f"tenant-{number}", keys)
    simulation.run(INTERVAL)
    assert len(simulation.looks) >= math.floor(INTERVAL * rate * 0.99)


def test_a_tenant_of_three_is_looked_at_each_minute_beside_one_of_ten_thousand() -> None:
    simulation = simulated(rate=4.0, keys=10_000, namespace="noisy")
    add(simulation, "shop", 3)
    simulation.run(20 * INTERVAL)
    for number in range(3):
        times = simulation.looks_at(key(number))
        assert len(times) >= 19
        assert all(later - earlier <= INTERVAL + 2 / 4.0 + SLACK for earlier, later in itertools.pairwise(times))


def test_whoever_joins_late_waits_for_one_turn_of_each_namespace_and_not_for_their_backlog() -> None:
    simulation = simulated(rate=1.0, keys=1000, namespace="noisy")
    simulation.run(600.0)
    simulation.rounds.look_soon(key(1), simulation.now)
    began = simulation.now
    simulation.run(3.0)
    assert simulation.looks_at(key(1))[0] - began <= 2.0 + SLACK


@pytest.mark.parametrize(("keys", "rate", "expected"), [(10, 4.0, 60.0), (240, 4.0, 60.0), (1000, 4.0, 250.0)])
def test_few_are_looked_at_once_in_an_interval_and_many_as_the_rate_allows(keys: int, rate: float, expected: float) -> None:
    simulation = simulated(rate=rate, keys=keys)
    simulation.run(4 * expected)
    for number in range(keys):
        times = simulation.looks_at(key(number))
        assert all(math.isclose(later - earlier, expected, rel_tol=0.01) for earlier, later in itertools.pairwise(times))
        assert len(times) >= 3


def test_whoever_was_never_looked_at_goes_before_those_that_were() -> None:
    simulation = simulated(rate=1.0, keys=3)
    simulation.run(2.0)
    simulation.rounds.look_soon(key(9), simulation.now)
    simulation.run(2.0)
    assert [where for _, where in simulation.looks] == [key(0), key(1), key(2), key(9)]


def test_what_was_written_just_now_waits_for_the_whole_interval() -> None:
    rounds = LookRounds(rate=4.0, interval=INTERVAL)
    rounds.look_soon(key(1), 0.0)
    rounds.note_look(key(1), 10.0)
    assert rounds.take(10.0) is None
    assert rounds.wait(10.0) == INTERVAL
    assert rounds.take(10.0 + INTERVAL) == key(1)


def test_what_is_forgotten_is_not_looked_at_and_nobody_is_waited_for() -> None:
    rounds = LookRounds(rate=4.0, interval=INTERVAL)
    rounds.look_soon(key(1), 0.0)
    rounds.forget(key(1))
    assert rounds.take(0.0) is None
    assert rounds.wait(0.0) == math.inf
    assert len(rounds) == 0


def test_a_key_that_is_written_all_the_time_takes_no_memory() -> None:
    rounds = LookRounds(rate=4.0, interval=INTERVAL)
    for second in range(100_000):
        rounds.note_look(key(second % 3), float(second))
    assert len(rounds._secrets["shop"]._heap) < 200
    assert len(rounds._resting._heap) < 200


def test_a_namespace_whose_last_secret_went_is_forgotten() -> None:
    rounds = LookRounds(rate=4.0, interval=INTERVAL)
    for namespace in ("shop", "hall"):
        rounds.look_soon(key(1, namespace), 0.0)
    assert rounds.take(0.0) is not None
    for namespace in ("shop", "hall"):
        rounds.forget(key(1, namespace))
    assert (rounds.take(1.0), rounds.wait(1.0)) == (None, math.inf)
    assert not rounds._secrets
    assert not rounds._in_turn
    assert not rounds._resting


def act(simulation: Simulation, what: str, number: int, *, namespace: str = "shop") -> None:
    match what:
        case "soon":
            simulation.rounds.look_soon(key(number, namespace), simulation.now)
        case "seen":
            simulation.rounds.note_look(key(number, namespace), simulation.now)
        case _:
            simulation.rounds.forget(key(number, namespace))
