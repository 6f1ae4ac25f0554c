"""Who follows a dead leader must know what it may not have told of."""

from __future__ import annotations

from keyturn.base.names import Key
from keyturn.controller.runtime import Memory

KEY, OTHER = Key("shop", "billing"), Key("shop", "orders")


def test_what_is_not_told_yet_holds_the_mark_back() -> None:
    memory = Memory()
    assert memory.told_through(1000) == 1000
    memory.will_tell(KEY, 700)
    memory.will_tell(OTHER, 800)
    memory.will_tell(KEY, 900)
    assert memory.told_through(1000) == 699
    memory.told(KEY, 900)
    assert memory.told_through(1000) == 799
    memory.told(OTHER, 800)
    assert memory.told_through(1000) == 1000
