"""Turns: for any coming and going of keys, no namespace is starved, none has more than its share, and no worker waits in vain."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from keyturn.base.names import Key
from keyturn.controller.turns import Turns

WHAT = st.lists(st.tuples(st.sampled_from(["add", "add", "urgent", "take", "end"]), st.integers(0, 3), st.integers(0, 4)), max_size=60)


class Floor:
    """Workers who take a key whenever one may start, and the laws they watch."""

    def __init__(self, share: int) -> None:
        self.turns, self.share = Turns(share=share), share
        self.may_start = 0
        self.waiting: list[Key] = []
        self.urgent: list[Key] = []
        self.running: list[Key] = []
        self.running_urgently: list[Key] = []
        self.passed_over: dict[str, Counter[str]] = {}
        """By namespace that could have started a key: how often each other one did since."""

    def add(self, key: Key, *, urgently: bool = False) -> None:
        if key in self.running or key in self.running_urgently:
            return  # the queue keeps it aside until it has ended
        self.may_start += self.turns.add_urgent(key) if urgently else self.turns.add(key)
        if urgently and key in self.waiting:
            self.waiting.remove(key)
        line = self.urgent if urgently else self.waiting
        if key not in self.urgent and key not in line:
            line.append(key)

    def take(self) -> None:
        if not self.may_start:
            return
        self.may_start -= 1
        key, line = self.turns.take(), self.urgent or self.waiting
        assert key == next(each for each in line if each.namespace == key.namespace), "in order of arrival within a namespace"
        line.remove(key)
        if line is self.urgent:
            self.running_urgently.append(key)
            return
        self.running.append(key)
        self.passed_over.pop(key.namespace, None)
        for namespace, others in self.passed_over.items():
            others[key.namespace] += 1
            assert others[key.namespace] <= 1, f"{namespace} waited for two turns of {key.namespace}"

    def end(self, number: int) -> None:
        running = self.running_urgently if number % 2 and self.running_urgently else self.running
        if running:
            self.may_start += self.turns.end(running.pop(number % len(running)))

    def check(self) -> None:
        busy, lines = Counter(key.namespace for key in self.running), Counter(key.namespace for key in self.waiting)
        assert all(count <= self.share for count in busy.values())
        room = {namespace: min(count, self.share - busy[namespace]) for namespace, count in lines.items()}
        assert self.may_start == len(self.urgent) + sum(room.values()), "exactly as many may start as there is room for"
        assert len(self.turns) == len(self.waiting) + len(self.urgent)
        could_start = {namespace for namespace, more in room.items() if more}  # not one whose last key became urgent
        self.passed_over = {namespace: self.passed_over.get(namespace, Counter()) for namespace in could_start}


@given(share=st.integers(1, 3), steps=WHAT)
def test_the_laws_hold_for_any_coming_and_going(share: int, steps: list[tuple[str, int, int]]) -> None:
    floor = Floor(share)
    for what, namespace, number in steps:
        match what:
            case "add":
                floor.add(Key(f"ns-{namespace}", str(number)))
            case "urgent":
                floor.add(Key(f"ns-{namespace}", str(number)), urgently=True)
            case "take":
                floor.take()
            case _:
                floor.end(number)
        floor.check()
    while floor.waiting or floor.urgent:
        floor.take()
        floor.end(0)
        floor.check()


def test_a_thousand_keys_of_a_namespace_hold_up_another_ones_for_one_turn() -> None:
    turns = Turns(share=8)
    for number in range(1000):
        turns.add(Key("large", str(number)))
    assert turns.take().namespace == "large"
    turns.add(Key("small", "one"))
    assert [turns.take().namespace for _ in range(2)] == ["large", "small"]
